"""Processes are killed at random while one request in five fails, and the database is stopped: nobody is called twice."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from support.chaos import chaos
from support.postgresql import new_database, postgresql_server

if TYPE_CHECKING:
    from pathlib import Path

MAX_ACTIVE = 40


def test_run_that_is_killed_again_and_again_goes_on_with_sqlite(tmp_path: Path) -> None:
    with chaos(f"sqlite:///{tmp_path}/campaign.db", 150, seed=1) as campaign:
        while campaign.kills < 8:
            run = campaign.start("run", MAX_ACTIVE)
            time.sleep(campaign.random.uniform(1.5, 5))
            campaign.kill(run)
        campaign.start("run", MAX_ACTIVE).wait()
        assert sum(campaign.check(max_active=MAX_ACTIVE).values()) == 150


def test_workers_that_are_killed_go_on_and_one_that_stays_away_loses_nothing(server: str) -> None:
    with chaos(new_database(server), 150, seed=2) as campaign:
        workers = campaign.start_workers(3, MAX_ACTIVE)
        for index in (0, 1, 2, 1, 2, 1):
            time.sleep(campaign.random.uniform(2, 5))
            campaign.kill(workers[index])
            if index != 0:  # which never comes back
                workers[index] = campaign.start("worker", MAX_ACTIVE)
        campaign.finish()
        assert sum(campaign.check(max_active=MAX_ACTIVE).values()) == 150


def test_workers_wait_for_a_database_that_is_stopped_and_started() -> None:
    with postgresql_server() as server, chaos(new_database(server.url), 100, seed=3) as campaign:
        workers = campaign.start_workers(2, MAX_ACTIVE)
        for _ in range(3):
            time.sleep(campaign.random.uniform(2, 5))
            server.stop()
            time.sleep(campaign.random.uniform(0.5, 2))
            server.start()
        campaign.finish()
        assert [worker.poll() for worker in workers] == [None, None]
        assert sum(campaign.check(max_active=MAX_ACTIVE).values()) == 100
