"""What happens in a callback: who answers, after how long, and how long they talk."""

from __future__ import annotations

from itertools import accumulate

from attrs import frozen
from tenios_client.models import CallbackStatus

# How long TENIOS takes to accept a callback, and from then (or from the end of the delay) to the first call; seconds, invented.
_ACCEPTED_AFTER = 1.0
_CALLED_AFTER = 1.0


@frozen
class Journey:
    """
    The course of a callback from the first call on.

    Attributes:
        steps: Each status from CALLING_A on, with the seconds for which it lasts; the last one lasts for ever.
    """

    steps: tuple[tuple[CallbackStatus, float], ...]

    @classmethod
    def answered(cls, *, agent_after: float = 3, customer_after: float = 4, talking: float = 6) -> Journey:
        """Agent and customer answer after so many seconds of ringing, and talk for so many seconds."""
        return cls(
            (
                (CallbackStatus.CALLING_A, agent_after),
                (CallbackStatus.CALLING_B, customer_after),
                (CallbackStatus.CONNECTED, talking),
                (CallbackStatus.DISCONNECTED, 0),
            ),
        )

    @classmethod
    def agent_fails(cls, *, after: float = 20) -> Journey:
        """The agent is not reached within so many seconds; the customer's telephone never rings."""
        return cls(((CallbackStatus.CALLING_A, after), (CallbackStatus.CALL_A_FAILED, 0)))

    @classmethod
    def customer_fails(cls, *, agent_after: float = 3, after: float = 20) -> Journey:
        """The agent answers, and the customer is not reached within so many seconds."""
        return cls(
            (
                (CallbackStatus.CALLING_A, agent_after),
                (CallbackStatus.CALLING_B, after),
                (CallbackStatus.CALL_B_FAILED, 0),
            ),
        )

    def status_at(self, elapsed: float, *, delay: float) -> CallbackStatus:
        """The status so many seconds after the request, where the first call was to wait for *delay* seconds."""
        first_call = max(delay, _ACCEPTED_AFTER) + _CALLED_AFTER
        begins = accumulate((lasts for _, lasts in self.steps), initial=first_call)
        timeline = [
            (0.0, CallbackStatus.REQUESTED),
            (_ACCEPTED_AFTER, CallbackStatus.ACCEPTED),
            *zip(begins, (status for status, _ in self.steps), strict=False),
        ]
        return next(status for begin, status in reversed(timeline) if elapsed >= begin)
