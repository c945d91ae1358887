"""
Simulated callbacks: what polling them costs, and how soon it tells. No network and no real time.

The callbacks, of which TENIOS publishes no statistics: half have no delay, the others one of up to
a minute. The agent's phone begins to ring 0.3 to 2 s after the delay. 14 % of the agents and 30 %
of the customers are not reached: half of them refuse after 1 to 8 s, half let the phone ring for 45
s. Requests take no time.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import TYPE_CHECKING, Protocol

from attrs import frozen

from tenios_ext import CallbackHandle, CallbackStatus
from tenios_ext.shared import PollState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tenios_ext import PollInterval

#: How many of those who are not reached refuse, and how many callbacks have a delay.
REFUSED = DELAYED = 0.5
ANSWERS = {
    CallbackStatus.CALLING_B,
    CallbackStatus.CONNECTED,
    CallbackStatus.CALL_A_FAILED,
    CallbackStatus.CALL_B_FAILED,
}


class Duration(Protocol):
    """A random number of seconds."""

    def draw(self, rng: random.Random) -> float: ...

    def survival(self, seconds: float) -> float:
        """Return the probability that it is longer than *seconds*."""


@frozen
class LogNormal:
    """Log-normal, where what is outside the limits is moved to the limit."""

    median: float
    sigma: float
    shortest: float = 0.0
    longest: float = 4000.0

    def draw(self, rng: random.Random) -> float:
        return min(
            max(self.median * math.exp(rng.gauss(0, self.sigma)), self.shortest), self.longest
        )

    def survival(self, seconds: float) -> float:
        """Return the probability that it is longer than *seconds*."""
        if not self.shortest <= seconds < self.longest or seconds <= 0:
            return float(seconds < self.longest)
        return math.erfc(math.log(seconds / self.median) / self.sigma / math.sqrt(2)) / 2


@frozen
class Uniform:
    """Uniform."""

    shortest: float
    longest: float

    def draw(self, rng: random.Random) -> float:
        return rng.uniform(self.shortest, self.longest)

    def survival(self, seconds: float) -> float:
        """Return the probability that it is longer than *seconds*."""
        return min(max((self.longest - seconds) / (self.longest - self.shortest), 0.0), 1.0)


@frozen
class Ringing:
    """How long a phone rings: until somebody answers, or until it is refused or given up."""

    answered: Duration
    failing: float
    refused: Duration = Uniform(1, 8)
    given_up: float = 45.0

    def draw(self, rng: random.Random) -> float:
        """Return one that ends with an answer."""
        return self.answered.draw(rng)

    def draw_failure(self, rng: random.Random) -> float | None:
        """Return how long it rings without an answer, or None if there will be one."""
        if rng.random() >= self.failing:
            return None
        return self.refused.draw(rng) if rng.random() < REFUSED else self.given_up

    def survival(self, seconds: float) -> float:
        """Return the probability that it is longer than *seconds*."""
        failure = REFUSED * self.refused.survival(seconds) + (1 - REFUSED) * (
            seconds < self.given_up
        )
        return (1 - self.failing) * self.answered.survival(seconds) + self.failing * failure


@frozen
class Course:
    """A callback: its delay, and its statuses with the time at which each begins."""

    delay: int
    times: list[float]
    statuses: list[CallbackStatus]

    def status_at(self, now: float) -> CallbackStatus:
        """Return the status that a request gets."""
        return self.statuses[bisect_right(self.times, now) - 1]


#: When a callback is polled, which may depend on the responses.
Polls = Callable[[Course], Iterator[float]]


@frozen
class Population:
    """A kind of callback."""

    rings: Duration
    talks: Duration

    @property
    def phases(self) -> dict[CallbackStatus, Duration]:
        """What a status lasts."""
        return {
            CallbackStatus.CALLING_A: Ringing(self.rings, failing=0.14),
            CallbackStatus.CALLING_B: Ringing(self.rings, failing=0.30),
            CallbackStatus.CONNECTED: self.talks,
        }

    def courses(self, count: int, seed: int = 7) -> list[Course]:
        """Return callbacks, the same ones for each *seed*."""
        rng = random.Random(seed)  # noqa: S311 - not a secret
        return [self._course(rng) for _ in range(count)]

    def _course(self, rng: random.Random) -> Course:
        delay = rng.randrange(61) if rng.random() < DELAYED else 0
        now = delay + rng.uniform(0.3, 2)
        times, statuses = [0.0], [CallbackStatus.ACCEPTED]
        failures = {
            CallbackStatus.CALLING_A: CallbackStatus.CALL_A_FAILED,
            CallbackStatus.CALLING_B: CallbackStatus.CALL_B_FAILED,
        }
        for status, lasts in self.phases.items():
            times.append(now)
            statuses.append(status)
            failure = lasts.draw_failure(rng) if isinstance(lasts, Ringing) else None
            now += lasts.draw(rng) if failure is None else failure
            if failure is not None:
                return Course(delay, [*times, now], [*statuses, failures[status]])
        return Course(delay, [*times, now], [*statuses, CallbackStatus.DISCONNECTED])


POPULATIONS = {
    "log-normal": Population(LogNormal(12, 0.6, 2, 45), LogNormal(120, 0.9)),
    "uniform": Population(Uniform(5, 40), LogNormal(120, 0.9)),
    "short talks": Population(LogNormal(12, 0.6, 2, 45), LogNormal(30, 0.9)),
}


# Following them.


def by_interval(poll_interval: PollInterval) -> Polls:
    """Return when the SDK polls, with its jitter: the real :class:`PollState` decides."""

    def polls(course: Course) -> Iterator[float]:
        handle = CallbackHandle(10, delay=course.delay, started_at=0.0)
        state = PollState(
            handle, poll_interval, answer_timeout=None, end_timeout=None, wall_time=0.0, now=0.0
        )
        now = 0.0
        while not state.outcome.ended:
            now += state.pause(now)
            yield now
            state.record_status(course.status_at(now), now)

    return polls


def by_pauses(pauses: Callable[[], Iterable[float]]) -> Polls:
    """
    Return when a program polls that pauses for so long between polls, whatever the responses; it
    begins after the delay.
    """
    return lambda course: accumulate(pauses(), initial=float(course.delay))


@frozen
class Result:
    """
    The requests of each callback, and how late each answer and each end was learned of, sorted
    (seconds).
    """

    requests: float
    answers: list[float]
    ends: list[float]


def follow(courses: list[Course], polls: Polls, seed: int = 1) -> Result:
    """Poll each callback until its end is learned of."""
    random.seed(seed)
    requests = 0
    answers, ends = [], []
    for course in courses:
        begin, learned = 1, []
        for now in polls(course):
            requests += 1
            reached = bisect_right(course.times, now)
            reached_now = zip(
                course.statuses[begin:reached], course.times[begin:reached], strict=True
            )
            learned += [(status, now - time) for status, time in reached_now]
            begin = max(begin, reached)
            if reached == len(course.times):
                break
        answers += [late for status, late in learned if status in ANSWERS]
        ends += [late for status, late in learned if status == CallbackStatus.DISCONNECTED]
    return Result(requests / len(courses), sorted(answers), sorted(ends))
