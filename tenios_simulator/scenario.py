"""Scenarios: who answers, after how many seconds, and how long they talk."""

from __future__ import annotations

from enum import StrEnum
from math import inf
from random import Random
from typing import TYPE_CHECKING

from attrs import evolve, field, frozen

from tenios_ext import CallbackStatus

from . import _validators

if TYPE_CHECKING:
    from collections.abc import Iterator

# Seconds until TENIOS accepts a callback, and from then (or from the end of the delay) until it
# calls the agent. Both are invented, because TENIOS publishes no figures.
_ACCEPTED_AFTER = 1.0
_CALLED_AFTER = 1.0


class Ending(StrEnum):
    """What ends the ringing of a phone."""

    ANSWERS = "answers"
    BUSY = "busy"
    DECLINES = "declines"
    NO_ANSWER = "no answer"


@frozen
class Leg:
    """
    One of the two calls of a callback.

    Attributes:
        ending: What ends the ringing.
        after: Seconds of ringing; infinite to ring until an :class:`Action` ends it.
    """

    ending: Ending = field(validator=_validators.kind(Ending))
    after: float = field(validator=_validators.number(0, inf))

    @property
    def answered(self) -> bool:
        """Whether the call is answered."""
        return self.ending is Ending.ANSWERS


_CUSTOMER = Leg(Ending.ANSWERS, 4)
_TALKING = 6.0


class Action(StrEnum):
    """An action of the agent or the customer in a running callback."""

    AGENT_ANSWERS = "agent_answers"
    AGENT_DECLINES = "agent_declines"
    CUSTOMER_ANSWERS = "customer_answers"
    CUSTOMER_DECLINES = "customer_declines"
    HANG_UP = "hang_up"


@frozen
class Scenario:
    """
    Who answers, after how many seconds, and how long they talk. Use one of the constructors, such
    as :meth:`answered`. Their arguments are seconds, and may be infinite.

    Attributes:
        agent: The call to the agent.
        customer: The call to the customer, which begins when the agent has answered.
        talking: Seconds that the two talk.
    """

    agent: Leg = field(validator=_validators.kind(Leg))
    customer: Leg = field(default=_CUSTOMER, validator=_validators.kind(Leg))
    talking: float = field(default=_TALKING, validator=_validators.number(0, inf))

    @classmethod
    def answered(
        cls, *, agent_after: float = 3, customer_after: float = 4, talking: float = _TALKING
    ) -> Scenario:
        """Agent and customer answer, talk and hang up."""
        return cls(Leg(Ending.ANSWERS, agent_after), Leg(Ending.ANSWERS, customer_after), talking)

    @classmethod
    def agent_busy(cls, *, after: float = 1) -> Scenario:
        """The agent is busy. The customer is not called."""
        return cls(Leg(Ending.BUSY, after))

    @classmethod
    def agent_declines(cls, *, after: float = 5) -> Scenario:
        """The agent declines the call. The customer is not called."""
        return cls(Leg(Ending.DECLINES, after))

    @classmethod
    def agent_no_answer(cls, *, after: float = 30) -> Scenario:
        """The agent does not answer. The customer is not called."""
        return cls(Leg(Ending.NO_ANSWER, after))

    @classmethod
    def customer_busy(cls, *, agent_after: float = 3, after: float = 1) -> Scenario:
        """The agent answers, and the customer is busy."""
        return cls(Leg(Ending.ANSWERS, agent_after), Leg(Ending.BUSY, after))

    @classmethod
    def customer_declines(cls, *, agent_after: float = 3, after: float = 5) -> Scenario:
        """The agent answers, and the customer declines the call."""
        return cls(Leg(Ending.ANSWERS, agent_after), Leg(Ending.DECLINES, after))

    @classmethod
    def customer_no_answer(cls, *, agent_after: float = 3, after: float = 30) -> Scenario:
        """The agent answers, and the customer does not."""
        return cls(Leg(Ending.ANSWERS, agent_after), Leg(Ending.NO_ANSWER, after))

    @classmethod
    def manual(cls) -> Scenario:
        """Phones ring until you call :meth:`Simulator.perform`."""
        return cls(Leg(Ending.ANSWERS, inf), Leg(Ending.ANSWERS, inf), inf)

    @classmethod
    def random(cls, seed: int) -> Iterator[Scenario]:
        """
        Yield an endless series of random scenarios, the same for the same seed. About six in ten
        callbacks are connected. The shares and seconds are invented, because TENIOS publishes no
        figures.
        """
        random = Random(seed)  # noqa: S311 - reproducible scenarios need a seed, not a secret
        while True:
            agent, customer = (
                Leg(random.choices(list(Ending), weights)[0], random.uniform(1, 30))
                for weights in ([86, 4, 2, 8], [70, 8, 7, 15])
            )
            yield cls(agent, customer, random.lognormvariate(4.5, 1))

    def timeline(self, *, delay: float) -> list[tuple[float, CallbackStatus]]:
        """
        Return each status with the time at which it begins, in seconds since the init request.

        Args:
            delay: Seconds before the agent is called.
        """
        calling_agent = max(delay, _ACCEPTED_AFTER) + _CALLED_AFTER
        calling_customer = calling_agent + self.agent.after
        connected = calling_customer + self.customer.after
        timeline = [
            (0.0, CallbackStatus.REQUESTED),
            (_ACCEPTED_AFTER, CallbackStatus.ACCEPTED),
            (calling_agent, CallbackStatus.CALLING_A),
        ]
        if not self.agent.answered:
            return [*timeline, (calling_customer, CallbackStatus.CALL_A_FAILED)]
        timeline.append((calling_customer, CallbackStatus.CALLING_B))
        if not self.customer.answered:
            return [*timeline, (connected, CallbackStatus.CALL_B_FAILED)]
        return [
            *timeline,
            (connected, CallbackStatus.CONNECTED),
            (connected + self.talking, CallbackStatus.DISCONNECTED),
        ]

    def after(self, action: Action, status: CallbackStatus, seconds: float) -> Scenario | None:
        """
        Return the scenario that follows from an action; None if the action is not possible.

        Args:
            action: The action.
            status: The current status.
            seconds: Seconds since the callback got this status.
        """
        answers, declines = Leg(Ending.ANSWERS, seconds), Leg(Ending.DECLINES, seconds)
        match status, action:
            case CallbackStatus.CALLING_A, Action.AGENT_ANSWERS:
                return evolve(self, agent=answers)
            case CallbackStatus.CALLING_A, Action.AGENT_DECLINES | Action.HANG_UP:
                return evolve(self, agent=declines)
            case CallbackStatus.CALLING_B, Action.CUSTOMER_ANSWERS:
                return evolve(self, customer=answers)
            case CallbackStatus.CALLING_B, Action.CUSTOMER_DECLINES | Action.HANG_UP:
                return evolve(self, customer=declines)
            case CallbackStatus.CONNECTED, Action.HANG_UP:
                return evolve(self, talking=seconds)
            case _:
                return None
