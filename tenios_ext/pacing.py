"""When it is worth asking again. Pure: no clock, no network."""

from __future__ import annotations

from collections.abc import Callable

from tenios_client.models import CallbackStatus

#: Takes the newest status (None where none was seen yet) and the seconds since it was first seen; gives the seconds to wait.
Pacing = Callable[[CallbackStatus | None, float], float]

#: No callback is asked about more often than this, whatever a pacing function says (seconds).
FLOOR = 0.25
#: Nor is the next question put off for longer than this because questions have failed (seconds).
LONGEST_BACKOFF = 30.0

# The first and the longest interval in seconds. A telephone rings for tens of seconds and a conversation lasts minutes:
# asking about them each second would tell nobody anything sooner that matters.
_INTERVALS = {
    None: (0.0, 0.0),
    CallbackStatus.REQUESTED: (0.5, 5.0),
    CallbackStatus.ACCEPTED: (0.5, 5.0),
    CallbackStatus.CALLING_A: (1.0, 5.0),
    CallbackStatus.CALLING_B: (1.0, 5.0),
    CallbackStatus.CONNECTED: (2.0, 30.0),
}
_UNKNOWN = (2.0, 30.0)
# Half of a conversation's seconds may pass unseen only if they are few: the interval is a tenth of what has passed.
_SHARE = 0.1


def default_pacing(status: CallbackStatus | None, waited: float) -> float:
    """
    Seconds until it is worth asking again: a tenth of the time already waited, within limits that fit the status.

    Args:
        status: The newest status that was seen; None before the first one.
        waited: Seconds since *status* was first seen.
    """
    shortest, longest = _INTERVALS.get(status, _UNKNOWN)
    return min(max(shortest, waited * _SHARE), longest)


def back_off(interval: float, *, failures: int, retry_after: float | None) -> float:
    """
    Seconds until it is worth asking again after *failures* questions in a row have failed.

    Args:
        interval: What the pacing says.
        failures: How many questions in a row have failed.
        retry_after: Seconds that the server asked for; never cut short.
    """
    doubled = min(max(interval, FLOOR) * 2.0 ** min(failures, 16), LONGEST_BACKOFF)
    return max(doubled, interval, retry_after or 0.0)
