"""
The schedule and the limits of status requests. Without a clock or a network, so that all clients
share it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from tenios_client.models import CallbackStatus

from ._checks import limit
from ._exceptions import CallbackTimeoutError, StatusUnavailableError
from ._models import FINAL, RANK, CallbackHandle, Outcome, StatusChange

#: Takes the newest status (None before the first) and the seconds since it was first seen; returns
#: the seconds until the next poll.
PollInterval = Callable[[CallbackStatus | None, float], float]

#: Seconds until both must have answered: each phone rings for at most a minute, one after the
#: other.
ANSWER_TIMEOUT = 300.0
#: Seconds until the call must have ended.
END_TIMEOUT = 4 * 3600.0

#: The minimum interval between two polls of one callback (seconds).
MIN_INTERVAL = 0.25
#: The maximum interval after failed polls (seconds).
MAX_BACKOFF = 30.0

#: The minimum time limit of a poll, even if the caller's limit has passed (seconds).
MIN_POLL_SECONDS = 1.0
#: The maximum number of unknown statuses that are reported for one callback.
MAX_UNKNOWN_STATUSES = 100

# The default intervals in seconds, as found with benchmarks/poll_interval.py.
_STARTING = 1.5
_RINGING = 1.9
_CONNECTED = 9.5
# Few people answer sooner than this after the first ring.
_FIRST_RING = 3.5
# No phone rings longer than this (seconds). From then on, polls are as rare as in a conversation.
_LONG = 120.0
# The maximum part by which intervals are extended at random, to spread the polls of callbacks that
# were started together.
_JITTER = 0.1
# A first poll that is later than this means that a program resumes, perhaps with thousands of
# callbacks (seconds).
_PICKED_UP_AFTER = 10.0
# After this number of consecutive rejections, polling ends.
_MAX_REFUSALS = 3
_REFUSED = {400, 404, 405}
_KNOWN = RANK.keys() | FINAL
# Callback.status() may be called in a web request, so it waits no longer than this (seconds).
_MAX_RETRY_PAUSE = 5.0
_FIRST_RETRY_AFTER = 0.5
_REDIRECTION, _TOO_MANY, _SERVER_ERROR = 300, 429, 500


def default_poll_interval(status: CallbackStatus | None, elapsed: float) -> float:
    """
    Return the seconds until the next poll: 1.5 before a phone rings, 1.9 while one rings, 9.5
    during the conversation.

    The first poll after a phone has begun to ring comes after 3.5 seconds. Unknown statuses have
    the interval of a ringing phone. A status that has lasted for two minutes has that of a
    conversation.

    Args:
        status: The newest status; None before the first one, which is requested at once.
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
    """Return the seconds until the next request after a number of consecutive *failures*."""
    doubled = min(max(interval, MIN_INTERVAL) * 2.0 ** min(failures, 16), MAX_BACKOFF)
    return max(doubled, interval, retry_after or 0.0)


def retry_pause(error: StatusUnavailableError, attempt: int) -> float:
    """Return the seconds until :meth:`Callback.status` retries. Raise *error* if it should not."""
    status = error.http_status or 0
    is_permanent = _REDIRECTION <= status < _SERVER_ERROR and status != _TOO_MANY
    pause = back_off(_FIRST_RETRY_AFTER, failures=attempt - 1, retry_after=error.retry_after)
    if is_permanent or pause > _MAX_RETRY_PAUSE:
        raise error
    return pause


class PollState:
    """
    The state of a callback that is followed.

    Sleep for :meth:`pause`; if :meth:`may_poll`, poll and call :meth:`record_status` or
    :meth:`record_failure`; then call :meth:`raise_if_expired` with the time before the poll; repeat
    until the outcome has ended.

    Times are seconds by a monotonic clock. The start in a handle comes from the wall clock of
    another machine, which may be wrong. So the delay ends at most *delay* seconds from now, and a
    limit that would have passed already begins now.

    Args:
        handle: The handle of the callback.
        poll_interval: The intervals.
        answer_timeout: As in :meth:`.Callback.watch`.
        end_timeout: As in :meth:`.Callback.watch`.
        wall_time: The current time in seconds since the epoch.
        now: The current time by the monotonic clock.

    Attributes:
        outcome: The outcome so far.
        failures: The number of consecutive failures.
        interval_error: The exception that the caller's poll interval has raised.

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
        self._poll_interval = poll_interval
        self._retry_not_before = -math.inf
        self._last_error: StatusUnavailableError | None = None
        self._wall_offset = wall_time - now
        self._due = min(handle.started_at + handle.delay - self._wall_offset, now + handle.delay)
        self._is_picked_up = now - self._due > _PICKED_UP_AFTER
        answer_by = _deadline("answer_timeout", answer_timeout, self._due, now)
        self._end_by = _deadline("end_timeout", end_timeout, self._due, now)
        self._expires_at, self._limit = min(answer_by, self._end_by)

    def pause(self, now: float) -> float:
        """Return the seconds until the next poll or the limit, whichever comes first."""
        return max(0.0, min(self._due, self._expires_at) - now)

    def may_poll(self, now: float) -> bool:
        """Return whether the server's last Retry-After has passed."""
        return now >= self._retry_not_before

    def time_limit(self, now: float) -> float | None:
        """Return the time limit of a poll in seconds: until the limit, but at least a second."""
        left = self._expires_at - now
        return None if math.isinf(left) else max(left, MIN_POLL_SECONDS)

    def record_status(self, status: CallbackStatus, now: float) -> bool:
        """
        Record a response. Return whether it is a change.

        A callback never returns to an earlier status, so such a response is stale and ignored.
        """
        self.failures = self._refusals = 0
        seen = [change.status for change in self.outcome.history]
        rank = RANK.get(status, self._rank)
        is_change = status not in seen and (status in FINAL or rank >= self._rank)
        if is_change and status not in _KNOWN:
            is_change = len(set(seen) - _KNOWN) < MAX_UNKNOWN_STATUSES
        if is_change:
            self._rank = rank
            change = StatusChange(status, now + self._wall_offset)
            self.outcome = Outcome(self.handle, (*self.outcome.history, change))
            if self.outcome.connected:
                self._expires_at, self._limit = self._end_by
        interval = self._interval(now)
        if self._is_picked_up and not seen:
            # Callbacks that are resumed together would always be polled together.
            interval *= random.random()  # noqa: S311 - not a secret
        self._schedule(now, interval)
        return is_change

    def record_failure(self, error: StatusUnavailableError, now: float) -> None:
        """Record a failed poll. Raise *error* if polling should end."""
        self.failures += 1
        self._refusals = self._refusals + 1 if error.http_status in _REFUSED else 0
        self._last_error = error
        if error.credentials_refused or self._refusals >= _MAX_REFUSALS:
            raise error
        self._retry_not_before = now + (error.retry_after or 0.0)
        interval = self._interval(now)
        pause = back_off(interval, failures=self.failures, retry_after=error.retry_after)
        self._schedule(now, pause)

    def raise_if_expired(self, polled_at: float) -> None:
        """
        Raise CallbackTimeoutError if a limit had passed at *polled_at*.

        That is the time before the newest poll, so that a slow caller does not lose a status.
        """
        if self.outcome.ended or polled_at < self._expires_at:
            return
        missed = "did not end" if self.outcome.connected else "was not answered by both"
        last = self.outcome.status
        status = f"its last status was {last}" if last else "it has no status yet"
        unit = "second" if self._limit == 1 else "seconds"
        trouble = f" The last poll failed: {self._last_error}" if self.failures else ""
        raise CallbackTimeoutError(
            f"Callback {self.handle.id} {missed} within {self._limit:g} {unit}; {status}. It is "
            f"still running. To resume, use tenios.callback({self.handle.id}).{trouble}",
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


def _deadline(name: str, value: float | None, begin: float, now: float) -> tuple[float, float]:
    """Return the end of a limit, from *begin*, or from now if it would have passed; and it."""
    seconds = limit(name, value)
    return begin + seconds if begin + seconds >= now else now + seconds, seconds
