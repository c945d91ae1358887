"""
Campaigns of hundreds of customers whose processes are killed or stopped at random, or whose
database is stopped, while one request in five fails and clocks are moved (with libfaketime).

It measures no speed. Each line is a campaign that was run to its end. Then ledger, campaign and
simulator must agree: no attempt dialled twice, never more callbacks in progress than allowed, and
each customer in the state that its callback ended in. "never sent" is how many of the unknown
outcomes are those of requests that were not received. It takes an hour.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from support.chaos import (
    MAX_ACTIVE,
    Report,
    kill_runs,
    kill_workers,
    stop_database,
    stop_runs,
    stop_workers,
)
from support.postgresql import new_database, postgresql

if TYPE_CHECKING:
    from collections.abc import Callable

CUSTOMERS, KILLS = 400, 150
FEWER_CUSTOMERS, STOPS = 200, 10


def show(name: str, run: Callable[[], Report]) -> None:
    """Run a campaign and print what has happened."""
    began = time.monotonic()
    report = run()
    states = ", ".join(f"{count} {state}" for state, count in sorted(report.states.items()))
    seconds = time.monotonic() - began
    print(
        f"{name:28}  {report.kills:5}  {report.stops:5}  {report.dialled:7}  "
        f"{report.most_active:11}  {report.never_sent:10}  {seconds:4.0f}  {states}",
        flush=True,
    )


def main() -> None:
    """Print a line for each campaign."""
    print(f"each customer called at most twice, at most {MAX_ACTIVE} at a time")
    names = "kills  stops  dialled  most active  never sent     s  customers by how it ended"
    print(f"{'':28}  {names}")
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}"
        show("one process, SQLite", lambda: kill_runs(f"{url}/1.db", CUSTOMERS, KILLS))
        show("two processes, SQLite", lambda: stop_runs(f"{url}/2.db", FEWER_CUSTOMERS, STOPS))
    with postgresql() as server:
        for name, run, count, times in (
            ("three workers killed", kill_workers, CUSTOMERS, KILLS),
            ("three workers stopped", stop_workers, FEWER_CUSTOMERS, STOPS),
        ):
            url = new_database(server)
            show(name, lambda run=run, url=url, count=count, times=times: run(url, count, times))  # type: ignore[misc] # bound at once
    show("PostgreSQL stopped or frozen", lambda: stop_database(FEWER_CUSTOMERS, STOPS))


if __name__ == "__main__":
    main()
