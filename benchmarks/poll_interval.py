"""
When to poll: requests per callback, and how late answers and ends are learned of, for several ways
to choose the interval.

    poll_interval.py [--chart FILE]

Each follows the same 10,000 simulated callbacks of each population; see `_polling_model.py`. The
chart is an SVG. The other libraries do not poll TENIOS. Their defaults, without their time limits,
are those of:

- azure-core 1.41, `azure.core.polling.base_polling.LROBasePolling`: 30 s unless the server sends
  Retry-After
- google-api-core 2.44, `google.api_core.future.polling.DEFAULT_POLLING`, and
  `exponential_sleep_generator`: uniform between 0 and 1 s, which grows by a factor of 1.5 up to 20
  s
- temporalio 1.35, `temporalio.common.RetryPolicy`: 1 s, doubled up to 100 s
"""

from __future__ import annotations

import argparse
import math
import random
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import product, repeat
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

from _best_intervals import best_poll_interval
from _chart import document
from _polling_model import (
    POPULATIONS,
    Course,
    Polls,
    Population,
    Result,
    by_interval,
    by_pauses,
    follow,
)

from tenios_ext import CallbackStatus, default_poll_interval

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

COUNT = 10_000
FIXED = [1, 2, 3, 5, 10]
OURS = "default_poll_interval"
OPTIMUM = "optimum for the population"
A_TENTH = "a tenth of what has passed"


def a_tenth(status: CallbackStatus | None, elapsed: float) -> float:
    """Return the interval that was the default before: a tenth of *elapsed*, within limits."""
    if status is None:
        return 0.0
    ringing = (
        (1.0, 5.0) if status in {CallbackStatus.CALLING_A, CallbackStatus.CALLING_B} else (0.5, 5.0)
    )
    shortest, longest = (2.0, 30.0) if status == CallbackStatus.CONNECTED else ringing
    return min(max(shortest, elapsed / 10), longest)


def always(seconds: float) -> Callable[[CallbackStatus | None, float], float]:
    """Return a fixed interval; the first poll is at once."""
    return lambda *_: seconds


def growing(
    factor: float, longest: float, *, share: Callable[[], float] = lambda: 1.0
) -> Callable[[], Iterable[float]]:
    """Return pauses that begin at 1 s and grow by *factor*; each is multiplied by *share*."""

    def pauses() -> Iterable[float]:
        pause = 1.0
        while True:
            yield pause * share()
            pause = min(pause * factor, longest)

    return pauses


def optimum(population: Population, courses: list[Course]) -> Polls:
    """
    Return the best intervals for a population whose distributions are known, on average about as
    late as ours.
    """
    ours = follow(courses, by_interval(default_poll_interval))
    return by_interval(
        best_poll_interval(population, answers_late=mean(ours.answers), ends_late=mean(ours.ends))
    )


#: The optimum depends on the population.
POLICIES: dict[str, Polls | None] = {
    OURS: by_interval(default_poll_interval),
    OPTIMUM: None,
    A_TENTH: by_interval(a_tenth),
    **{f"fixed {seconds} s": by_interval(always(seconds)) for seconds in FIXED},
    "azure-core": by_pauses(lambda: repeat(30.0)),
    "google-api-core": by_pauses(growing(1.5, 20, share=random.random)),
    "Temporal": by_pauses(growing(2, 100)),
}


def measure(job: tuple[str, str]) -> Result:
    """Follow a population by a policy, both by name."""
    population = POPULATIONS[job[0]]
    courses = population.courses(COUNT)
    return follow(courses, POLICIES[job[1]] or optimum(population, courses))


def percentile(late: list[float], share: float) -> float:
    """Return the value below which *share* of the sorted values are."""
    return late[math.ceil(share * len(late)) - 1]


def print_table(name: str, results: dict[str, Result]) -> None:
    """Print the results for one population."""
    heads = "".join(f" | {kind:>6} mean    p50    p95    p99" for kind in ("answer", "end"))
    print(f"\n{name:28} requests  of 2 s{heads}")
    for policy, result in results.items():
        cells = (
            f"{policy:28} {result.requests:8.1f} "
            f"{result.requests / results['fixed 2 s'].requests:7.2f}"
        )
        for late in (result.answers, result.ends):
            cells += f" | {mean(late):11.2f}" + "".join(
                f" {percentile(late, share):6.2f}" for share in (0.5, 0.95, 0.99)
            )
        print(cells)


# The chart.

WIDTH, HEIGHT, LEFT, TOP, PANEL, GAP = 850, 400, 62, 46, 345, 78
REQUESTS = (3, 200)
SECONDS = (0.5, 140)
#: Where labels stand that would cover others: the way from the point, and the alignment.
LABELS = {
    OURS: (10, 16, "start"),
    OPTIMUM: (-9, 16, "end"),
    "azure-core": (-2, 20, "middle"),
    "Temporal": (9, 0, "start"),
    "fixed 10 s": (-9, 4, "end"),
    "fixed 5 s": (-9, 12, "end"),
    "fixed 3 s": (8, -6, "start"),
    A_TENTH: (-9, 4, "end"),
    "fixed 1 s": (-4, 20, "middle"),
}
#: Shorter names of the policies.
NAMES = {OURS: "this SDK", OPTIMUM: "optimum", A_TENTH: "a tenth"}


def position(requests: float, seconds: float, left: float) -> tuple[float, float]:
    """Return where a point is on the chart; both scales are logarithmic."""

    def share(value: float, limits: tuple[float, float]) -> float:
        return math.log(value / limits[0]) / math.log(limits[1] / limits[0])

    bottom = HEIGHT - 54
    return left + share(requests, REQUESTS) * PANEL, bottom - share(seconds, SECONDS) * (
        bottom - TOP
    )


def panel(title: str, left: float, points: dict[str, tuple[float, float]]) -> list[str]:
    """Return one half of the chart."""
    parts = [f'<text class="title" x="{left}" y="{TOP - 16}">{title}</text>']
    for seconds in (0.5, 1, 2, 5, 10, 20, 50, 100):
        _, y = position(REQUESTS[0], seconds, left)
        parts.append(f'<path class="grid" d="M{left} {y:.0f} h{PANEL}"/>')
        parts.append(f'<text x="{left - 8}" y="{y + 4:.0f}" text-anchor="end">{seconds:g} s</text>')
    for requests in (5, 10, 20, 50, 100, 200):
        x, y = position(requests, SECONDS[0], left)
        parts.append(f'<path class="grid" d="M{x:.0f} {y:.0f} V{TOP}"/>')
        parts.append(f'<text x="{x:.0f}" y="{y + 18:.0f}" text-anchor="middle">{requests}</text>')
    parts.append(
        f'<text x="{left + PANEL / 2}" y="{HEIGHT - 14}" text-anchor="middle">'
        "requests for one callback</text>"
    )
    line = " L".join(
        "{:.0f} {:.0f}".format(*position(*points[f"fixed {seconds} s"], left)) for seconds in FIXED
    )
    parts.append(f'<path class="fixed" d="M{line}"/>')
    for name, point in points.items():
        x, y = position(*point, left)
        kind = ' class="ours"' if name == OURS else ""
        right, down, anchor = LABELS.get(name, (9, 4, "start"))
        parts.append(f'<circle{kind} cx="{x:.0f}" cy="{y:.0f}" r="5"/>')
        parts.append(
            f'<text{kind} x="{x + right:.0f}" y="{y + down:.0f}" text-anchor="{anchor}">'
            f"{NAMES.get(name, name)}</text>"
        )
    return parts


def chart(results: dict[str, Result]) -> str:
    """Return an SVG of requests against delay, for one population."""
    halves = {"Answers: 95 % are known within": "answers", "Ends: 95 % are known within": "ends"}
    parts = []
    for number, (title, field) in enumerate(halves.items()):
        points = {
            name: (result.requests, percentile(getattr(result, field), 0.95))
            for name, result in results.items()
        }
        parts += panel(title, LEFT + number * (PANEL + GAP), points)
    ours = results[OURS]
    description = (
        f"With {ours.requests:.0f} requests for a callback, this SDK knows 95 % of the answers "
        f"within {percentile(ours.answers, 0.95):.1f} s and 95 % of the ends within "
        f"{percentile(ours.ends, 0.95):.1f} s. Fixed intervals of 1 to 10 s, a tenth of what has "
        "passed, and the defaults of azure-core, google-api-core and Temporal need more requests "
        "or tell later."
    )
    title = "Requests for one callback against how late answers and ends are known"
    return document(WIDTH, HEIGHT, title, description, parts)


def main() -> None:
    """Print a table for each population, and write the chart."""
    parser = argparse.ArgumentParser(
        description="Measure ways to choose the poll interval on simulated callbacks."
    )
    parser.add_argument(
        "--chart", type=Path, metavar="FILE", help="write an SVG of the log-normal population"
    )
    file: Path | None = parser.parse_args().chart
    began = time.monotonic()
    jobs = list(product(POPULATIONS, POLICIES))
    with ProcessPoolExecutor() as pool:
        results = dict(zip(jobs, pool.map(measure, jobs), strict=True))
    for population in POPULATIONS:
        print_table(population, {policy: results[population, policy] for policy in POLICIES})
    print(f"\n{COUNT} callbacks each, {time.monotonic() - began:.0f} s")
    if file:
        file.write_text(
            chart({policy: results["log-normal", policy] for policy in POLICIES}), encoding="utf-8"
        )


if __name__ == "__main__":
    main()
