"""
Processes are killed at random while one request in five fails, and the database is stopped: nobody
is called twice.

What must be true is checked by each way to hurt a campaign itself. ``benchmarks/chaos.py`` does the
same with more customers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.chaos import kill_runs, kill_workers, stop_database
from support.postgresql import new_database

if TYPE_CHECKING:
    from pathlib import Path


def test_run_that_is_killed_again_and_again_goes_on_with_sqlite(tmp_path: Path) -> None:
    report = kill_runs(f"sqlite:///{tmp_path}/campaign.db", 150, kills=8)
    assert (report.states.total(), report.kills) == (150, 8)


def test_workers_that_are_killed_go_on_and_one_that_stays_away_loses_nothing(server: str) -> None:
    report = kill_workers(new_database(server), 150, kills=6)
    assert (report.states.total(), report.kills) == (150, 6)


def test_workers_wait_for_a_database_that_is_stopped_and_started() -> None:
    report = stop_database(100, stops=3)
    assert (report.states.total(), report.kills) == (100, 0)
