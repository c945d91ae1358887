"""Callback handles, statuses and outcomes. In TENIOS's statuses, A is the agent, B the customer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal

from attrs import Attribute, asdict, field, fields_dict, frozen
from tenios_client.models import CallbackStatus

from ._checks import MAX_TIME, is_number, is_whole, must_be

if TYPE_CHECKING:
    from collections.abc import Mapping


Party = Literal["agent", "customer"]

#: Seconds, as in the contract.
MAX_DELAY = 2**31 - 1
#: Nineteen digits. More than the contract's 64 bits, so that no id is lost.
MAX_ID = 10**19 - 1

#: The order of the statuses that are not final. A callback never returns to an earlier one.
RANK = {
    CallbackStatus.REQUESTED: 0,
    CallbackStatus.ACCEPTED: 1,
    CallbackStatus.CALLING_A: 2,
    CallbackStatus.CALLING_B: 3,
    CallbackStatus.CONNECTED: 4,
}
FAILED_PARTY: dict[CallbackStatus, Party] = {
    CallbackStatus.CALL_A_FAILED: "agent",
    CallbackStatus.CALL_B_FAILED: "customer",
}
FINAL = frozenset({*FAILED_PARTY, CallbackStatus.DISCONNECTED})
# DISCONNECTED implies CONNECTED, even if no poll saw that.
_CONNECTED = frozenset({CallbackStatus.CONNECTED, CallbackStatus.DISCONNECTED})


def is_final(status: CallbackStatus) -> bool:
    """Return whether a callback with this status has ended. Unknown statuses are not final."""
    return status in FINAL


def _check_whole(_: object, attribute: Attribute[int], value: object) -> None:
    largest = MAX_ID if attribute.name == "id" else MAX_DELAY
    if not is_whole(value, largest):
        expected = f"a whole number from 0 to {largest}"
        raise ValueError(must_be(f"callback {attribute.name}", expected, value))


@frozen
class CallbackHandle:
    """
    Identifies a callback. Store it to follow the callback in another process. Contains no secret.

    Attributes:
        id: The id that TENIOS assigned to the callback.
        delay: Seconds between the request and the call to the agent.
        started_at: The start of the callback in seconds since the epoch, by the clock of the
            machine that started it.
    """

    id: int = field(validator=_check_whole)
    delay: int = field(default=0, kw_only=True, validator=_check_whole)
    started_at: float = field(kw_only=True)

    @started_at.validator
    def _check_time(self, _: object, value: object) -> None:
        if not is_number(value) or not 0 <= value < MAX_TIME:
            raise ValueError(must_be("started_at", "in seconds since the epoch", value))

    def to_json(self) -> str:
        """Return this handle as a JSON object for :meth:`from_json`."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> CallbackHandle:
        """
        Read a handle that :meth:`to_json` wrote. Additional fields, as a later version may write
        them, are ignored.

        Raises:
            ValueError: *text* is anything else.
        """
        try:
            document = json.loads(text)
            return cls(**{name: document[name] for name in fields_dict(cls) if name in document})
        except (RecursionError, TypeError, ValueError) as error:
            raise ValueError(f"Not a callback handle from to_json(): {error}") from error


@frozen
class StatusChange:
    """
    A new status of a callback.

    Attributes:
        status: The status.
        observed_at: The time of the first poll that returned it, in seconds since the epoch.
    """

    status: CallbackStatus
    observed_at: float


@frozen
class Outcome:
    """
    The outcome of a callback, so far or at its end.

    Attributes:
        handle: The handle of the callback.
        history: The statuses in order. Those shorter than the poll interval may be missing.
    """

    handle: CallbackHandle
    history: tuple[StatusChange, ...] = ()

    @property
    def status(self) -> CallbackStatus | None:
        """The newest status; None if there is none yet."""
        return self.history[-1].status if self.history else None

    @property
    def connected(self) -> bool:
        """Whether agent and customer are or were connected."""
        return any(change.status in _CONNECTED for change in self.history)

    @property
    def failed_party(self) -> Party | None:
        """The party that could not be reached; None if there is none or they were connected."""
        if self.status is None or self.connected:
            return None
        return FAILED_PARTY.get(self.status)

    @property
    def ended(self) -> bool:
        """Whether the callback has ended."""
        return self.status in FINAL

    @property
    def durations(self) -> Mapping[CallbackStatus, float]:
        """
        The duration of each status except the newest, in seconds.

        Accurate to about one poll interval.
        """
        pairs = zip(self.history, self.history[1:], strict=False)
        return {earlier.status: later.observed_at - earlier.observed_at for earlier, later in pairs}
