"""
What the other packages of this project need of the client, and programs do not. It may change in
any release.
"""

from ._clock import SYSTEM_CLOCK, SystemClock
from ._extras import requires_extra
from ._hosts import is_loopback
from ._polling import PollState
from ._secret import MASK, Secret, redact

__all__ = [
    "MASK",
    "SYSTEM_CLOCK",
    "PollState",
    "Secret",
    "SystemClock",
    "is_loopback",
    "redact",
    "requires_extra",
]
