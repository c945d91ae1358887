"""
Following a callback to its end, without doing it: no clock and no network, so that sync, async and many share it.

Whoever follows sleeps for :meth:`Follower.pause`, asks if he :meth:`Follower.may_ask`, reports with :meth:`Follower.heard`
or :meth:`Follower.failed`, calls :meth:`Follower.check`, and repeats until :attr:`Follower.outcome` is over.
"""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

from .errors import CallbackTimeoutError
from .outcome import Outcome, Sighting
from .pacing import FLOOR, back_off
from .status import FINAL, RANK

if TYPE_CHECKING:
    from tenios_client.models import CallbackStatus

    from .errors import StatusUnavailableError
    from .outcome import CallbackHandle
    from .pacing import Pacing

#: Two telephones ring for a minute each at most, and TENIOS works a little; seconds.
ANSWERED_WITHIN = 300.0
#: No conversation that a callback starts lasts longer; seconds.
ENDED_WITHIN = 4 * 3600.0

# A question that TENIOS understands and refuses this often in a row will not be answered at the next attempt.
_REFUSALS = 3
_REFUSED = {400, 404, 405}
_JITTER = 0.1


class Follower:
    """
    What is known of one callback, and what to do next. All times are seconds since the epoch.

    Both limits are seconds from the end of the delay; None is no limit. Raises ValueError where one is negative.

    Attributes:
        outcome: What was seen up to now.
        failures: How many questions in a row have failed.
    """

    def __init__(
        self,
        handle: CallbackHandle,
        pacing: Pacing,
        *,
        answered_within: float | None,
        ended_within: float | None,
    ) -> None:
        self.handle = handle
        self.outcome = Outcome(handle)
        self._pacing = pacing
        self._begins = handle.started_at + handle.delay
        self._answered_by = self._by("answered_within", answered_within)
        self._ended_by = self._by("ended_within", ended_within)
        self._not_before = self._begins
        self._left_alone_until = 0.0
        self._rank = -1
        self.failures = self._refusals = 0
        self._last_error: StatusUnavailableError | None = None

    def _by(self, name: str, limit: float | None) -> float:
        if limit is not None and not limit >= 0:
            raise ValueError(f"{name} is a number of seconds, 0 or more, or None, not {limit!r}.")
        return math.inf if limit is None else self._begins + limit

    def pause(self, now: float) -> float:
        """Seconds to sleep from *now* until the next question, or until the limit where that comes first."""
        return max(0.0, min(self._not_before, self._limit) - now)

    def may_ask(self, now: float) -> bool:
        """Whether TENIOS has not asked to be left alone until later than *now*."""
        return now >= self._left_alone_until

    def heard(self, status: CallbackStatus, now: float) -> bool:
        """
        Take note of an answer; say whether it is news.

        A callback never goes back, so a status that does is a lagging answer, and no news. A final status always is one.
        """
        self.failures = self._refusals = 0
        known = {sighting.status for sighting in self.outcome.sightings}
        rank = RANK.get(status, self._rank)
        news = status not in known and (status in FINAL or rank >= self._rank)
        if news:
            self._rank = rank
            self.outcome = Outcome(self.handle, (*self.outcome.sightings, Sighting(status, now)))
        self._next(now, self._interval(now))
        return news

    def failed(self, error: StatusUnavailableError, now: float) -> None:
        """Take note of a question without an answer. Raises *error* where asking again is of no use."""
        self.failures += 1
        self._refusals = self._refusals + 1 if error.http_status in _REFUSED else 0
        self._last_error = error
        if error.credentials_refused or self._refusals >= _REFUSALS:
            raise error
        self._left_alone_until = now + (error.retry_after or 0.0)
        self._next(now, back_off(self._interval(now), failures=self.failures, retry_after=error.retry_after))

    def check(self, now: float) -> None:
        """Raise CallbackTimeoutError where a limit has passed and the callback has not got that far."""
        if self.outcome.over or now < self._limit:
            return
        answered = self.outcome.connected
        limit, what = (self._ended_by, "ended") if answered else (self._limit, "been answered by both")
        seconds = limit - self._begins
        seen = f"its last status was {self.outcome.status}" if self.outcome.status else "no status was seen"
        trouble = f" The last question failed: {self._last_error}" if self.failures else ""
        error = CallbackTimeoutError(
            f"Callback {self.handle.id} had not {what} after {seconds:g} seconds; {seen}. "
            f"It goes on: tenios.callback({self.handle.id}) picks it up again.{trouble}",
        )
        error.handle, error.last_status, error.outcome = self.handle, self.outcome.status, self.outcome
        raise error

    @property
    def _limit(self) -> float:
        return self._ended_by if self.outcome.connected else min(self._answered_by, self._ended_by)

    def _interval(self, now: float) -> float:
        seen = self.outcome.sightings
        return self._pacing(self.outcome.status, max(0.0, now - seen[-1].at) if seen else 0.0)

    def _next(self, now: float, interval: float) -> None:
        spread = 1 + _JITTER * random.random()  # noqa: S311 - no secret
        self._not_before = now + max(FLOOR, interval * spread)
