"""
The goals of the default poll interval, with fewer callbacks than in
``benchmarks/poll_interval.py``.
"""

from __future__ import annotations

import functools
import math
import random
import sys
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

import pytest

from tenios_ext import CallbackStatus, default_poll_interval

if TYPE_CHECKING:
    from collections.abc import Iterator

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

from _polling_model import POPULATIONS, Result, by_interval, follow

COUNT = 2000


@pytest.fixture(autouse=True)
def random_state() -> Iterator[None]:
    """Restore the random state, because following callbacks sets its seed."""
    state = random.getstate()
    yield
    random.setstate(state)


@functools.cache
def results(population: str, seconds: float) -> tuple[Result, Result]:
    """Results of the default and of a fixed interval."""
    courses = POPULATIONS[population].courses(COUNT)
    return follow(courses, by_interval(default_poll_interval)), follow(
        courses, by_interval(lambda *_: seconds)
    )


def percentile_95(late: list[float]) -> float:
    return late[math.ceil(0.95 * len(late)) - 1]


@pytest.mark.parametrize(("population", "most"), [("log-normal", 0.42), ("uniform", 0.47)])
def test_default_costs_few_requests_and_tells_soon(population: str, most: float) -> None:
    ours, fixed = results(population, 2.0)
    assert ours.requests <= most * fixed.requests
    assert percentile_95(ours.answers) <= 2.1
    assert percentile_95(ours.ends) <= 10


def test_default_tells_of_the_end_of_short_talks_within_seconds() -> None:
    ours, _ = results("short talks", 2.0)
    assert mean(ours.ends) <= 5.5
    assert percentile_95(ours.ends) <= 10


def test_default_is_not_beaten_by_a_fixed_interval_that_costs_as_much() -> None:
    ours, fixed = results("log-normal", 5.0)
    assert ours.requests <= fixed.requests
    assert mean(ours.answers) < mean(fixed.answers) / 2


@pytest.mark.parametrize("population", POPULATIONS)
def test_each_answer_and_end_of_the_simulated_callbacks_is_learned_of_once(population: str) -> None:
    courses = POPULATIONS[population].courses(COUNT)
    ours = follow(courses, by_interval(default_poll_interval))
    ended = [course for course in courses if course.statuses[-1] == CallbackStatus.DISCONNECTED]
    # The answers of both, or the failure of the customer after the agent's answer; else the failure
    # of the agent.
    agent_failed = [
        course for course in courses if course.statuses[-1] == CallbackStatus.CALL_A_FAILED
    ]
    assert len(ours.ends) == len(ended)
    assert len(ours.answers) == 2 * COUNT - len(agent_failed)
    assert min(ours.answers + ours.ends) >= 0
