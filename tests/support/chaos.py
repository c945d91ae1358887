"""
Campaigns whose processes are killed at random while requests fail, and what must be true at the
end.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from attrs import frozen

from support.postgresql import new_database, postgresql_server
from support.serving import serving
from tenios_campaign import Campaign, Customer
from tenios_ext.ledger import Ledger
from tenios_simulator import ACCESS_KEY, CALLBACK_CONFIG_ID, Scenario, Simulator, faults
from tenios_simulator._clocks import ScaledClock

if TYPE_CHECKING:
    from collections.abc import Iterator

TENIOS = Path(sys.executable).with_name("tenios")
#: How much faster phones ring and people talk than in reality.
SPEED = 60
#: So that 20 % of the requests fail: some without having been received, some after it, and some by
#: TENIOS's response.
PROBABILITY = 0.05
DIAL_FAULTS: list[faults.Fault] = [
    faults.Drop(),
    faults.Reset(),
    faults.HttpError(500),
    faults.HttpError(429),
]
POLL_FAULTS: list[faults.Fault] = [
    faults.Drop(),
    faults.Reset(),
    faults.HttpError(503),
    faults.Malformed(),
]
#: Numbers that belong to nobody, without their last three digits.
RANGES = ["+492214710", "+496990009", "+494066969", "+498999998"]
MAX_ACTIVE = 40
ENDINGS = {
    "DISCONNECTED": "talked",
    "CALL_A_FAILED": "agent_failed",
    "CALL_B_FAILED": "customer_failed",
}


def nobodys_number(index: int) -> str:
    """Return one of 4,000 numbers that belong to nobody."""
    return f"{RANGES[index // 1000]}{index % 1000:03}"


@frozen
class Report:
    """
    What has happened to a campaign, of which everything was checked.

    Attributes:
        states: How many customers ended in each state.
        dialled: How many callbacks reached the simulator.
        kills: How many processes were killed.
        most_active: How many callbacks were in progress at the same time, at most.
    """

    states: Counter[str]
    dialled: int
    kills: int
    most_active: int


class Chaos:
    """
    A campaign, and the processes that run it.

    Args:
        url: The ledger's database.
        address: Where the simulator is served.
        simulator: The simulator.
        seed: Of the random numbers.
    """

    def __init__(self, url: str, address: str, simulator: Simulator, seed: int) -> None:
        self.url, self.simulator = url, simulator
        self.random = random.Random(seed)
        self.kills = 0
        self._processes: list[subprocess.Popen[bytes]] = []
        self._environment = os.environ | {
            "TENIOS_BASE_URL": address,
            "TENIOS_ACCESS_KEY": ACCESS_KEY,
            "TENIOS_CALLBACK_CONFIG_ID": CALLBACK_CONFIG_ID,
            "TENIOS_LEDGER": url,
        }

    def start(self, command: str) -> subprocess.Popen[bytes]:
        """Start `tenios campaign run` or `tenios campaign worker`."""
        arguments = [command, "--max-active", str(MAX_ACTIVE), "--answer-timeout", "10"]
        process = subprocess.Popen(
            [TENIOS, "campaign", *arguments],
            env=self._environment,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._processes.append(process)
        return process

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """Kill a process as a power cut would."""
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self.kills += 1

    def close(self) -> None:
        """Kill what still runs."""
        for process in self._processes:
            if process.poll() is None:
                self.kill(process)

    def start_workers(self, count: int) -> list[subprocess.Popen[bytes]]:
        """Start so many workers, and wait until they can work."""
        workers = [self.start("worker") for _ in range(count)]
        running = sa.text("SELECT count(*) FROM tenios_jobs.procrastinate_workers")
        with Ledger(self.url) as ledger:
            while not Campaign(ledger)._entries.has_workers():
                time.sleep(0.1)
            while ledger.database.run(lambda connection: connection.scalar(running)) < count:
                time.sleep(0.1)
        return workers

    def finish(self) -> None:
        """Wait until no customer is to be called any more."""
        with Ledger(self.url) as ledger:
            while (summary := Campaign(ledger).summary()).done < summary.total:
                assert any(process.poll() is None for process in self._processes), (
                    "no process runs any more"
                )
                time.sleep(0.2)

    def pause(self, least: float, most: float) -> None:
        """
        Let the processes work for a random time between so many seconds, so that they are hurt at
        any step of their work.
        """
        time.sleep(self.random.uniform(least, most))

    def check(self) -> Report:
        """
        Compare the ledger's and the campaign's truth with the simulator's. Return what has
        happened.
        """
        with Ledger(self.url) as ledger:
            entries, attempts = Campaign(ledger).entries(), ledger.entries()
        dialled = Counter(self.simulator.dialled)
        assert {entry.state for entry in entries} <= {*ENDINGS.values(), "rejected", "unknown"}
        for entry in entries:
            assert dialled[entry.number or ""] <= entry.attempts, entry
            if entry.callback_id is not None and entry.state != "unknown":
                callback = self.simulator.callback(entry.callback_id)
                assert entry.state == ENDINGS[callback.timeline[-1][1]], entry
        ids = [attempt.handle.id for attempt in attempts if attempt.handle is not None]
        assert len(ids) == len(set(ids))
        lost = {callback.id for callback in self.simulator.callbacks} - set(ids)
        assert len(lost) <= sum(attempt.state == "unknown" for attempt in attempts)
        most = most_in_progress(self.simulator)
        assert most <= MAX_ACTIVE
        states: Counter[str] = Counter(entry.state for entry in entries)
        return Report(states=states, dialled=dialled.total(), kills=self.kills, most_active=most)


def most_in_progress(simulator: Simulator) -> int:
    """Return how many callbacks were in progress at the same time, as the simulator saw it."""
    timelines = [callback.timeline for callback in simulator.callbacks]
    changes = sorted(
        change for each in timelines for change in ((each[0][0], 1), (each[-1][0], -1))
    )
    most = current = 0
    for _, change in changes:
        current += change
        most = max(most, current)
    return most


def _scenarios(source: random.Random) -> Iterator[Scenario]:
    while True:
        failures = [
            Scenario.customer_busy(),
            Scenario.customer_no_answer(),
            Scenario.agent_busy(),
            Scenario.agent_declines(),
        ]
        yield source.choice(
            [*failures, *[Scenario.answered(talking=source.uniform(1, 120)) for _ in failures]]
        )


@contextmanager
def chaos(url: str, customers: int, *, seed: int) -> Iterator[Chaos]:
    """Yield a campaign with so many customers, each of whom is tried twice."""
    simulator = Simulator(
        scenario=_scenarios(random.Random(seed)), clock=ScaledClock(SPEED), seed=seed
    )
    for fault in DIAL_FAULTS:
        simulator.inject(fault, on="init", times=None, probability=PROBABILITY)
    for fault in POLL_FAULTS:
        simulator.inject(fault, on="status", times=None, probability=PROBABILITY)
    with Ledger(url) as ledger:
        rows = [Customer(f"order-{index}", nobodys_number(index)) for index in range(customers)]
        Campaign(ledger).add(rows, attempts=2, retry_after=1, agent_retry_after=1)
    with serving(simulator) as server:
        started = Chaos(url, server.address, simulator, seed)
        try:
            yield started
        finally:
            started.close()


# The ways in which a campaign is hurt. Each runs it to its end, and checks it.


def kill_runs(url: str, customers: int, kills: int) -> Report:
    """Kill the only process again and again, and start it again."""
    with chaos(url, customers, seed=1) as campaign:
        while campaign.kills < kills:
            run = campaign.start("run")
            campaign.pause(1.5, 5)
            campaign.kill(run)
        campaign.start("run").wait()
        return campaign.check()


def kill_workers(url: str, customers: int, kills: int) -> Report:
    """Kill three workers again and again, of which one is never started again."""
    with chaos(url, customers, seed=2) as campaign:
        workers = campaign.start_workers(3)
        campaign.pause(2, 5)
        campaign.kill(workers[0])
        while campaign.kills < kills:
            campaign.pause(2, 5)
            index = 1 + campaign.kills % 2
            campaign.kill(workers[index])
            workers[index] = campaign.start("worker")
        campaign.finish()
        return campaign.check()


def stop_database(customers: int, stops: int) -> Report:
    """Stop PostgreSQL again and again, and start it again. The workers must wait for it."""
    with (
        postgresql_server() as server,
        chaos(new_database(server.url), customers, seed=3) as campaign,
    ):
        workers = campaign.start_workers(2)
        for _ in range(stops):
            campaign.pause(2, 5)
            server.stop()
            campaign.pause(0.5, 2)
            server.start()
        campaign.finish()
        assert [worker.poll() for worker in workers] == [None, None]
        return campaign.check()
