"""
When to poll a callback next, and when to give up. Pure: no clock and no network, so that all
clients share it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from tenios_client.models import CallbackStatus

from ._checks import limit
from ._exceptions import CallbackTimeoutError
from ._models import FINAL, RANK, Outcome, StatusChange

if TYPE_CHECKING:
    from ._exceptions import StatusUnavailableError
    from ._models import CallbackHandle

#: Takes the newest status (None before the first) and the seconds since it was first seen. Returns
#: the seconds until the next poll.
PollInterval = Callable[[CallbackStatus | None, float], float]

#: Seconds until both must have answered: two phones ring for a minute each at most, and TENIOS
#: needs a moment.
ANSWER_TIMEOUT = 300.0
#: Seconds until the call must have ended.
END_TIMEOUT = 4 * 3600.0

#: The shortest interval between two polls of one callback, whatever a caller's function returns
#: (seconds).
MIN_INTERVAL = 0.25
#: The longest interval that is due to failed polls (seconds).
MAX_BACKOFF = 30.0

#: The least time that a poll is given, also when the caller's limit has passed (seconds).
MIN_POLL_SECONDS = 1.0
#: How many statuses that this version does not know are reported for one callback; more are
#: ignored.
MAX_UNKNOWN_STATUSES = 100

# The default intervals in seconds, as found with benchmarks/poll_interval.py.
_STARTING = 1.5
_RINGING = 1.9
_CONNECTED = 9.5
# A phone that has just begun to ring is left alone for so long, because few people answer sooner.
_FIRST_RING = 3.5
# No phone rings for so long (seconds). A status that lasts longer costs no more requests than a
# conversation.
_LONG = 120.0
# Intervals are up to this much longer, so that callbacks that were started together are not polled
# together.
_JITTER = 0.1
# A callback that is first polled so long after it was due was picked up, perhaps with thousands
# after a restart (seconds).
_PICKED_UP_AFTER = 10.0
# So many refusals in a row mean that TENIOS will not give the status at the next poll either.
_MAX_REFUSALS = 3
_REFUSED = {400, 404, 405}
# Callback.status() waits for no longer than this, since it may be called in a web request
# (seconds).
_MAX_RETRY_PAUSE = 5.0
_FIRST_RETRY_AFTER = 0.5
_REDIRECTION, _TOO_MANY, _SERVER_ERROR = 300, 429, 500


def default_poll_interval(status: CallbackStatus | None, elapsed: float) -> float:
    """
    Return the seconds until the next poll: 1.5 before a phone rings, 1.9 while one rings, 9.5
    during the conversation.

    A phone that has just begun to ring is left alone for 3.5 seconds. A status that this version
    does not know is polled like a ringing phone, and one that has lasted for two minutes like a
    conversation.

    Args:
        status: The newest status; None before the first, which is polled at once.
        elapsed: Seconds since *status* was first seen.
    """
    if status is None:
        return 0.0
    if status == CallbackStatus.CONNECTED or elapsed >= _LONG:
        return _CONNECTED
    if status in {CallbackStatus.REQUESTED, CallbackStatus.ACCEPTED}:
        return _STARTING
    if status in {CallbackStatus.CALLING_A, CallbackStatus.CALLING_B}:
        return max(_RINGING, _FIRST_RING - elapsed)
    return _RINGING


def back_off(interval: float, *, failures: int, retry_after: float | None) -> float:
    """
    Return the seconds until the next request after *failures* failed ones in a row.

    Args:
        interval: The interval without failures, in seconds.
        failures: How many requests in a row have failed.
        retry_after: Seconds that the server asked to wait; never shortened.
    """
    doubled = min(max(interval, MIN_INTERVAL) * 2.0 ** min(failures, 16), MAX_BACKOFF)
    return max(doubled, interval, retry_after or 0.0)


def retry_pause(error: StatusUnavailableError, attempt: int) -> float:
    """
    Return the seconds until the next attempt of :meth:`Callback.status`. Raises *error* if that
    would be of no use, or takes too long.
    """
    status = error.http_status
    if status is not None and _REDIRECTION <= status < _SERVER_ERROR and status != _TOO_MANY:
        raise error
    pause = back_off(_FIRST_RETRY_AFTER, failures=attempt - 1, retry_after=error.retry_after)
    if pause > _MAX_RETRY_PAUSE:
        raise error
    return pause


class PollState:
    """
    What is known of a watched callback, and what to do next.

    Sleep for :meth:`pause`; if :meth:`may_poll`, poll and call :meth:`record_status` or
    :meth:`record_failure`; then call :meth:`raise_if_expired` with the time before the poll; repeat
    until the outcome has ended.

    Times are in seconds by a monotonic clock. The start in a handle is by the wall clock of the
    machine that started the call, which may be wrong, and is used as far as it is plausible: the
    delay ends at most *delay* seconds from now, and a limit that would have passed already begins
    now.

    Args:
        handle: The callback.
        poll_interval: When to poll.
        answer_timeout: Seconds from the end of the delay until both must have answered; None for no
            limit.
        end_timeout: Seconds from the end of the delay until the call must have ended; None for no
            limit.
        wall_time: Seconds since the epoch.
        now: The same moment by the monotonic clock.

    Attributes:
        outcome: What was seen so far.
        failures: How many polls in a row have failed.
        interval_error: What the poll interval has raised, if it is the caller's function.

    Raises:
        TypeError: A limit is not a number.
        ValueError: A limit is negative.
    """

    def __init__(
        self,
        handle: CallbackHandle,
        poll_interval: PollInterval,
        *,
        answer_timeout: float | None,
        end_timeout: float | None,
        wall_time: float,
        now: float,
    ) -> None:
        self.handle = handle
        self.outcome = Outcome(handle)
        self.failures = 0
        self.interval_error: Exception | None = None
        self._refusals = 0
        self._rank = -1
        self._unknown = 0
        self._poll_interval = poll_interval
        self._retry_not_before = -math.inf
        self._last_error: StatusUnavailableError | None = None
        self._wall_offset = wall_time - now
        self._due = min(handle.started_at + handle.delay - self._wall_offset, now + handle.delay)
        self._is_picked_up = now - self._due > _PICKED_UP_AFTER
        self._answer_timeout, self._answer_by = _deadline(
            limit("answer_timeout", answer_timeout), self._due, now
        )
        self._end_timeout, self._end_by = _deadline(
            limit("end_timeout", end_timeout), self._due, now
        )
        self._expires_at = min(self._answer_by, self._end_by)

    def pause(self, now: float) -> float:
        """
        Return the seconds to sleep until the next poll, or until the limit if that comes first.
        """
        return max(0.0, min(self._due, self._expires_at) - now)

    def may_poll(self, now: float) -> bool:
        """Return whether the server's last Retry-After has passed."""
        return now >= self._retry_not_before

    def time_limit(self, now: float) -> float | None:
        """
        Return the seconds that a poll may take: what is left until the limit, and a second for the
        last one.
        """
        left = self._expires_at - now
        return None if math.isinf(left) else max(left, MIN_POLL_SECONDS)

    def record_status(self, status: CallbackStatus, now: float) -> bool:
        """
        Record a response; return whether it is a change.

        A callback never goes back, so an earlier status is a stale response and ignored. A final
        status never is.
        """
        self.failures = self._refusals = 0
        seen = [change.status for change in self.outcome.history]
        rank = RANK.get(status, self._rank)
        is_change = status not in seen and (status in FINAL or rank >= self._rank)
        if status not in RANK and status not in FINAL:
            self._unknown += is_change
            is_change = is_change and self._unknown <= MAX_UNKNOWN_STATUSES
        if is_change:
            self._rank = rank
            change = StatusChange(status, now + self._wall_offset)
            self.outcome = Outcome(self.handle, (*self.outcome.history, change))
            if self.outcome.connected:
                self._expires_at = self._end_by
        interval = self._interval(now)
        if self._is_picked_up and not seen:
            # Those that were picked up together have been polled together, and would stay in step.
            interval *= random.random()  # noqa: S311 - not a secret
        self._schedule(now, interval)
        return is_change

    def record_failure(self, error: StatusUnavailableError, now: float) -> None:
        """Record a poll that failed. Raises *error* if polling again is of no use."""
        self.failures += 1
        self._refusals = self._refusals + 1 if error.http_status in _REFUSED else 0
        self._last_error = error
        if error.credentials_refused or self._refusals >= _MAX_REFUSALS:
            raise error
        self._retry_not_before = now + (error.retry_after or 0.0)
        self._schedule(
            now,
            back_off(self._interval(now), failures=self.failures, retry_after=error.retry_after),
        )

    def raise_if_expired(self, polled_at: float) -> None:
        """
        Raise CallbackTimeoutError if a limit had passed at *polled_at*.

        That is the time before the newest poll, so that a caller that takes long over a status does
        not lose the next one.
        """
        if self.outcome.ended or polled_at < self._expires_at:
            return
        expected, seconds = "been answered by both", min(self._answer_timeout, self._end_timeout)
        if self.outcome.connected:
            expected, seconds = "ended", self._end_timeout
        status = (
            f"its last status was {self.outcome.status}"
            if self.outcome.status
            else "no status was seen"
        )
        trouble = f" The last poll failed: {self._last_error}" if self.failures else ""
        raise CallbackTimeoutError(
            f"Callback {self.handle.id} had not {expected} after {seconds:g} seconds; {status}. "
            f"It goes on: tenios.callback({self.handle.id}) picks it up again.{trouble}",
            outcome=self.outcome,
        )

    def _interval(self, now: float) -> float:
        history = self.outcome.history
        elapsed = now + self._wall_offset - history[-1].observed_at if history else 0.0
        try:
            return self._poll_interval(self.outcome.status, max(0.0, elapsed))
        except Exception as error:
            self.interval_error = error
            raise

    def _schedule(self, now: float, interval: float) -> None:
        spread = 1 + _JITTER * random.random()  # noqa: S311 - not a secret
        self._due = now + max(MIN_INTERVAL, interval * spread)


def _deadline(seconds: float, begin: float, now: float) -> tuple[float, float]:
    """
    Return a limit in seconds and when it passes: from *begin*, or from now if it would have passed
    already.
    """
    return seconds, begin + seconds if begin + seconds >= now else now + seconds
