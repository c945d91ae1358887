"""What happens in a callback: who answers, after how long, and how long they talk."""

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
# calls the agent. TENIOS publishes no such times, so these are invented.
_ACCEPTED_AFTER = 1.0
_CALLED_AFTER = 1.0


class Ending(StrEnum):
    """How the ringing of a phone ends."""

    ANSWERS = "answers"
    BUSY = "busy"
    DECLINES = "declines"
    NO_ANSWER = "no answer"


@frozen
class Leg:
    """
    One of the two calls of a callback.

    Attributes:
        ending: How the ringing ends.
        after: Seconds of ringing until then; infinite to ring until an :class:`Action` ends it.
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
    """What the agent or the customer can do while a callback is running."""

    AGENT_ANSWERS = "agent_answers"
    AGENT_DECLINES = "agent_declines"
    CUSTOMER_ANSWERS = "customer_answers"
    CUSTOMER_DECLINES = "customer_declines"
    HANG_UP = "hang_up"


@frozen
class Scenario:
    """
    What happens in a callback from the first call on. Use one of the constructors, such as
    :meth:`answered`.

    All arguments of the constructors are seconds: ``after`` and ``talking`` may be infinite.

    Attributes:
        agent: The call to the agent.
        customer: The call to the customer, which begins when the agent has answered.
        talking: How long the two talk, in seconds.
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
        """The agent answers, the customer is busy."""
        return cls(Leg(Ending.ANSWERS, agent_after), Leg(Ending.BUSY, after))

    @classmethod
    def customer_declines(cls, *, agent_after: float = 3, after: float = 5) -> Scenario:
        """The agent answers, the customer declines the call."""
        return cls(Leg(Ending.ANSWERS, agent_after), Leg(Ending.DECLINES, after))

    @classmethod
    def customer_no_answer(cls, *, agent_after: float = 3, after: float = 30) -> Scenario:
        """The agent answers, the customer does not."""
        return cls(Leg(Ending.ANSWERS, agent_after), Leg(Ending.NO_ANSWER, after))

    @classmethod
    def manual(cls) -> Scenario:
        """The agent's phone rings. What happens then is up to :meth:`Simulator.perform`."""
        return cls(Leg(Ending.ANSWERS, inf), Leg(Ending.ANSWERS, inf), inf)

    @classmethod
    def random(cls, seed: int) -> Iterator[Scenario]:
        """
        Yield random scenarios without end, the same ones for the same seed. About six in ten
        callbacks are connected.

        The shares and seconds are invented: TENIOS publishes no such figures.
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
            delay: Seconds to wait before the agent is called.
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
        Return the scenario as it continues after an action; None if the action is impossible with
        this status.

        Args:
            action: What the agent or the customer does.
            status: The current status.
            seconds: How long the callback has had this status.
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
