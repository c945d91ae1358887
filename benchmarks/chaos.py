"""
Campaigns of 1,000 customers whose processes are killed at random, or whose database is stopped,
while one request in five fails.

It measures no speed. Each line is a campaign that was run to its end and then compared with what
the simulator has seen: no attempt dialled twice, never more callbacks in progress than allowed, and
each customer in the state that its callback ended in. It takes twenty minutes, since a campaign
pauses for five seconds whenever TENIOS is too busy.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from support.chaos import MAX_ACTIVE, Report, kill_runs, kill_workers, stop_database
from support.postgresql import new_database, postgresql

if TYPE_CHECKING:
    from collections.abc import Callable

CUSTOMERS = 1_000
KILLS, STOPS = 25, 10


def show(name: str, run: Callable[[], Report]) -> None:
    """Run a campaign and print what has happened."""
    began = time.monotonic()
    report = run()
    assert report.states.total() == CUSTOMERS
    states = ", ".join(f"{count} {state}" for state, count in sorted(report.states.items()))
    seconds = time.monotonic() - began
    print(
        f"{name:26}  {report.kills:5}  {report.dialled:7}  {report.most_active:11}  {seconds:4.0f} "
        f" {states}",
        flush=True,
    )


def main() -> None:
    """Print a line for each campaign."""
    print(f"{CUSTOMERS} customers, each called at most twice, at most {MAX_ACTIVE} at a time")
    print(f"{'':26}  kills  dialled  most active     s  customers by how it ended")
    with tempfile.TemporaryDirectory() as folder:
        show(
            "one process, SQLite",
            lambda: kill_runs(f"sqlite:///{folder}/campaign.db", CUSTOMERS, KILLS),
        )
    with postgresql() as server:
        show(
            "three workers, PostgreSQL",
            lambda: kill_workers(new_database(server), CUSTOMERS, KILLS),
        )
    show(f"PostgreSQL stopped {STOPS} times", lambda: stop_database(CUSTOMERS, STOPS))


if __name__ == "__main__":
    main()
