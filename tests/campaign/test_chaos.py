"""
Nobody is called twice when processes are killed and suspended at random, one request in five fails,
clocks are changed and the database is stopped.

Each function checks this itself. ``benchmarks/chaos.py`` does the same with more customers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.chaos import kill_runs, kill_workers, stop_database, stop_runs, stop_workers
from support.postgresql import new_database

if TYPE_CHECKING:
    from pathlib import Path


def test_killed_runs_resume_with_sqlite(tmp_path: Path) -> None:
    report = kill_runs(f"sqlite:///{tmp_path}/campaign.db", 40, kills=6)
    assert (report.states.total(), report.kills) == (40, 6)


def test_suspended_run_calls_nobody_twice_with_sqlite(tmp_path: Path) -> None:
    report = stop_runs(f"sqlite:///{tmp_path}/campaign.db", 40, stops=1)
    assert (report.states.total(), report.stops) == (40, 1)


def test_workers_that_are_killed_continue_and_one_that_stays_away_loses_nothing(
    server: str,
) -> None:
    report = kill_workers(new_database(server), 40, kills=5)
    assert (report.states.total(), report.kills) == (40, 5)


def test_suspended_worker_calls_nobody_twice(server: str) -> None:
    report = stop_workers(new_database(server), 40, stops=1)
    assert (report.states.total(), report.stops) == (40, 1)


def test_workers_wait_for_a_database_that_is_stopped_or_frozen() -> None:
    report = stop_database(40, stops=2)
    assert (report.states.total(), report.kills) == (40, 0)
