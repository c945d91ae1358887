"""
The best poll intervals for a population whose distributions are known, by dynamic programming.
"""

from __future__ import annotations

import math
from itertools import accumulate, pairwise
from statistics import mean
from typing import TYPE_CHECKING

from attrs import frozen

from tenios_ext import CallbackStatus

if TYPE_CHECKING:
    from _polling_model import Duration, Population

    from tenios_ext import PollInterval

#: The probability below which nothing is optimised.
NEGLIGIBLE = 1e-6


@frozen
class Phase:
    """
    How long a status lasts once it has been seen: at each *step*, the probability that it still
    lasts, and its integral.

    When it is seen, it has lasted for up to *LAG*.
    """

    LAG = 2.0  # seconds; about the interval before

    step: float
    survival: list[float]
    integral: list[float]

    @classmethod
    def of(cls, lasts: Duration, *, step: float, horizon: float) -> Phase:
        """Make one of a duration that is known from its beginning."""
        lag = int(cls.LAG / step)
        known = _integral(
            [lasts.survival(at * step) for at in range(int(horizon / step) + lag + 2)], step
        )
        survival = [(known[at + lag] - known[at]) / known[lag] for at in range(len(known) - lag)]
        return cls(step, survival, _integral(survival, step))

    def lateness(self, start: int, end: int) -> float:
        """
        Return how late a poll at *end* tells of a change after *start*, times the probability that
        it does.
        """
        return (end - start) * self.step * self.survival[start] - (
            self.integral[end] - self.integral[start]
        )

    def best_intervals(self, weight: float, *, longest: float) -> tuple[list[float], float]:
        """
        Return the intervals (by steps since it was seen) with the least sum of requests and
        *weight* times lateness.

        Also returns the lateness. Dynamic programming, from the end: the best that can be had from
        each step on is known for all later steps.
        """
        last, reach = len(self.survival) - 1, int(longest / self.step)
        cost, following = [0.0] * (last + 1), [last] * (last + 1)
        for start in range(last - 1, -1, -1):
            if self.survival[start] > NEGLIGIBLE:
                cost[start], following[start] = min(
                    (self.survival[start] + weight * self.lateness(start, end) + cost[end], end)
                    for end in range(start + 1, min(start + reach, last) + 1)
                )
            else:
                following[start] = min(start + reach, last)
        late, at = 0.0, 0
        while at < last:
            late += self.lateness(at, following[at])
            at = following[at]
        return [(end - start) * self.step for start, end in enumerate(following)], late


def _integral(values: list[float], step: float) -> list[float]:
    """Return the integral up to each of the values, which are *step* apart."""
    return list(
        accumulate(((one + other) / 2 * step for one, other in pairwise(values)), initial=0.0)
    )


def best_poll_interval(
    population: Population, *, answers_late: float, ends_late: float
) -> PollInterval:
    """
    Return the intervals with the fewest requests that tell of answers and of ends so late on
    average (seconds).
    """
    ringing = (CallbackStatus.CALLING_A, CallbackStatus.CALLING_B)
    rings = [Phase.of(population.phases[status], step=0.25, horizon=50) for status in ringing]
    talk = Phase.of(population.talks, step=1, horizon=3000)
    tables = dict(zip(ringing, _as_late_as(answers_late, rings, longest=10), strict=True))
    tables[CallbackStatus.CONNECTED] = _as_late_as(ends_late, [talk], longest=40)[0]

    def poll_interval(status: CallbackStatus | None, elapsed: float) -> float:
        if status is None:
            return 0.0
        step = 1 if status == CallbackStatus.CONNECTED else 0.25
        table = tables.get(status, [Phase.LAG])
        # The jitter adds 5 % on average.
        return table[min(int(elapsed / step), len(table) - 1)] / 1.05

    return poll_interval


def _as_late_as(late: float, phases: list[Phase], *, longest: float) -> list[list[float]]:
    """Return the best intervals of each of the phases whose mean lateness is *late*."""
    low, high = 0.01, 100.0
    best: list[tuple[list[float], float]] = []
    for _ in range(12):
        weight = math.sqrt(low * high)
        best = [phase.best_intervals(weight, longest=longest) for phase in phases]
        low, high = (
            (weight, high) if mean(lateness for _, lateness in best) > late else (low, weight)
        )
    return [intervals for intervals, _ in best]
