"""What happens in a callback: who answers, after how long, and how long they talk."""

from __future__ import annotations

from enum import StrEnum
from math import inf
from random import Random
from typing import TYPE_CHECKING

from attrs import evolve, field, frozen
from tenios_client.models import CallbackStatus

from . import checks

if TYPE_CHECKING:
    from collections.abc import Iterator

# How long TENIOS takes to accept a callback, and from then (or from the end of the delay) to the first call; seconds, invented.
_ACCEPTED_AFTER = 1.0
_CALLED_AFTER = 1.0


class Ending(StrEnum):
    """How the ringing of a telephone ends."""

    ANSWERS = "answers"
    BUSY = "is busy"
    DECLINES = "declines"
    DOES_NOT_ANSWER = "does not answer"


@frozen
class Leg:
    """
    One of the two calls.

    Attributes:
        ending: How its ringing ends.
        after: After how many seconds of ringing; infinite where somebody has yet to decide.
    """

    ending: Ending = field(validator=checks.kind(Ending))
    after: float = field(validator=checks.number(0, inf))

    @property
    def answered(self) -> bool:
        """Whether somebody answers."""
        return self.ending is Ending.ANSWERS


_CUSTOMER = Leg(Ending.ANSWERS, 4)
_TALKING = 6.0


class Move(StrEnum):
    """What a party can do while a callback runs."""

    AGENT_ANSWERS = "agent_answers"
    AGENT_DECLINES = "agent_declines"
    CUSTOMER_ANSWERS = "customer_answers"
    CUSTOMER_DECLINES = "customer_declines"
    HANG_UP = "hang_up"


@frozen
class Journey:
    """
    The course of a callback from the first call on; made by the constructors, whose arguments are seconds.

    Attributes:
        agent: The call to the agent.
        customer: The call to the customer, which begins when the agent has answered.
        talking: How many seconds the two talk.
    """

    agent: Leg = field(validator=checks.kind(Leg))
    customer: Leg = field(default=_CUSTOMER, validator=checks.kind(Leg))
    talking: float = field(default=_TALKING, validator=checks.number(0, inf))

    @classmethod
    def answered(cls, *, agent_after: float = 3, customer_after: float = 4, talking: float = _TALKING) -> Journey:
        """Both answer, and talk."""
        return cls(Leg(Ending.ANSWERS, agent_after), Leg(Ending.ANSWERS, customer_after), talking)

    @classmethod
    def agent_busy(cls, *, after: float = 1) -> Journey:
        """The agent is on the telephone already; the customer's never rings."""
        return cls(Leg(Ending.BUSY, after))

    @classmethod
    def agent_declines(cls, *, after: float = 5) -> Journey:
        """The agent rejects the call; the customer's telephone never rings."""
        return cls(Leg(Ending.DECLINES, after))

    @classmethod
    def agent_does_not_answer(cls, *, after: float = 30) -> Journey:
        """The agent's telephone rings for so long; the customer's never does."""
        return cls(Leg(Ending.DOES_NOT_ANSWER, after))

    @classmethod
    def customer_busy(cls, *, agent_after: float = 3, after: float = 1) -> Journey:
        """The agent answers, and the customer is on the telephone already."""
        return cls(Leg(Ending.ANSWERS, agent_after), Leg(Ending.BUSY, after))

    @classmethod
    def customer_declines(cls, *, agent_after: float = 3, after: float = 5) -> Journey:
        """The agent answers, and the customer rejects the call."""
        return cls(Leg(Ending.ANSWERS, agent_after), Leg(Ending.DECLINES, after))

    @classmethod
    def customer_does_not_answer(cls, *, agent_after: float = 3, after: float = 30) -> Journey:
        """The agent answers, and the customer's telephone rings for so long."""
        return cls(Leg(Ending.ANSWERS, agent_after), Leg(Ending.DOES_NOT_ANSWER, after))

    @classmethod
    def by_hand(cls) -> Journey:
        """Telephones ring, and people talk, until somebody makes the next move."""
        return cls(Leg(Ending.ANSWERS, inf), Leg(Ending.ANSWERS, inf), inf)

    @classmethod
    def population(cls, seed: int) -> Iterator[Journey]:
        """
        Journeys without end, as different as people are; the same seed gives the same ones.

        About six of ten succeed. Shares and seconds are invented; TENIOS publishes none.
        """
        random = Random(seed)  # noqa: S311 - a population is to be repeatable, not secret
        while True:
            agent, customer = (
                Leg(random.choices(list(Ending), weights)[0], random.uniform(1, 30))
                for weights in ([86, 4, 2, 8], [70, 8, 7, 15])
            )
            yield cls(agent, customer, random.lognormvariate(4.5, 1))

    def timeline(self, *, delay: float) -> list[tuple[float, CallbackStatus]]:
        """Each status with the seconds from the request until it begins, where the first call waits for *delay* seconds."""
        calling_agent = max(delay, _ACCEPTED_AFTER) + _CALLED_AFTER
        calling_customer = calling_agent + self.agent.after
        joined = calling_customer + self.customer.after
        course = [
            (0.0, CallbackStatus.REQUESTED),
            (_ACCEPTED_AFTER, CallbackStatus.ACCEPTED),
            (calling_agent, CallbackStatus.CALLING_A),
        ]
        if not self.agent.answered:
            return [*course, (calling_customer, CallbackStatus.CALL_A_FAILED)]
        course.append((calling_customer, CallbackStatus.CALLING_B))
        if not self.customer.answered:
            return [*course, (joined, CallbackStatus.CALL_B_FAILED)]
        return [*course, (joined, CallbackStatus.CONNECTED), (joined + self.talking, CallbackStatus.DISCONNECTED)]

    def after(self, move: Move, status: CallbackStatus, seconds: float) -> Journey | None:
        """
        The journey as it goes on when a party makes a move; None where nobody can make it.

        Args:
            move: What a party does.
            status: How far the callback is.
            seconds: For how long it has been so.
        """
        answers, declines = Leg(Ending.ANSWERS, seconds), Leg(Ending.DECLINES, seconds)
        match status, move:
            case CallbackStatus.CALLING_A, Move.AGENT_ANSWERS:
                return evolve(self, agent=answers)
            case CallbackStatus.CALLING_A, Move.AGENT_DECLINES | Move.HANG_UP:
                return evolve(self, agent=declines)
            case CallbackStatus.CALLING_B, Move.CUSTOMER_ANSWERS:
                return evolve(self, customer=answers)
            case CallbackStatus.CALLING_B, Move.CUSTOMER_DECLINES | Move.HANG_UP:
                return evolve(self, customer=declines)
            case CallbackStatus.CONNECTED, Move.HANG_UP:
                return evolve(self, talking=seconds)
            case _:
                return None
