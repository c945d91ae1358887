"""
What each status means.

The order and the meaning are TENIOS's: partner A is the agent, partner B the customer. A status that is not known here is
neither final nor anybody's failure.
"""

from __future__ import annotations

from typing import Literal

from tenios_client.models import CallbackStatus

Party = Literal["agent", "customer"]

#: How far a callback is that has a status; a callback never goes back.
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
#: The two have talked: DISCONNECTED says so, too, to somebody who missed CONNECTED.
TALKED = frozenset({CallbackStatus.CONNECTED, CallbackStatus.DISCONNECTED})


def is_final(status: CallbackStatus) -> bool:
    """Whether a callback with *status* is over."""
    return status in FINAL
