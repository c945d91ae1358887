"""
Campaigns whose processes are killed and stopped at random while requests fail, databases stop and
clocks are moved, and what must be true at the end.
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

from support.campaigns import most_in_progress
from support.postgresql import PostgresqlServer, new_database, postgresql_server
from support.serving import serving
from tenios_campaign import Campaign, Customer
from tenios_ext import LedgerUnavailableError
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
#: So few that it is reached all the time.
MAX_ACTIVE = 5
#: Longer than a claim, a request and the statements of a database may take (seconds).
LONG = 45.0
#: What Debian's package libfaketime installs, with which a process has another time.
FAKETIME = next(iter(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), None)
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
        stops: How many times processes or the database were stopped.
        most_active: How many callbacks were in progress at the same time, at most.
        never_sent: How many outcomes are unknown although no request was received.
    """

    states: Counter[str]
    dialled: int
    kills: int
    stops: int
    most_active: int
    never_sent: int


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
        self.kills = self.stops = 0
        self._processes: list[subprocess.Popen[bytes]] = []
        self._environment = os.environ | {
            "TENIOS_BASE_URL": address,
            "TENIOS_ACCESS_KEY": ACCESS_KEY,
            "TENIOS_CALLBACK_CONFIG_ID": CALLBACK_CONFIG_ID,
            "TENIOS_LEDGER": url,
        }

    def start(self, command: str, *, ahead: float = 0.0) -> subprocess.Popen[bytes]:
        """
        Start `tenios campaign run` or `tenios campaign worker`, with a clock that is *ahead* by so
        many seconds.
        """
        moved = {}
        if FAKETIME is not None and ahead:
            moved = {"LD_PRELOAD": str(FAKETIME), "FAKETIME": f"{ahead:+.0f}s"}
            moved["DONT_FAKE_MONOTONIC"] = "1"
        process = subprocess.Popen(
            [TENIOS, "campaign", command, "--answer-timeout", "10"],
            env=self._environment | moved,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._processes.append(process)
        return process

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """Kill a process as a power cut would. It must not have ended by itself."""
        assert process.poll() is None, "no customer was left to be called"
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self.kills += 1

    def stop(self, process: subprocess.Popen[bytes], seconds: float) -> None:
        """Stop a process, and let it continue later, as if the machine had slept."""
        os.killpg(process.pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.killpg(process.pid, signal.SIGCONT)
        self.stops += 1

    def close(self) -> None:
        """Kill what still runs."""
        for process in self._processes:
            if process.poll() is None:
                self.kill(process)

    def start_workers(self, count: int) -> list[subprocess.Popen[bytes]]:
        """Start so many workers with different clocks, and wait until they can work."""
        workers = [self.start("worker", ahead=3600.0 * index) for index in range(count)]
        jobs = sa.text("SELECT to_regclass('tenios_jobs.procrastinate_workers')")
        running = sa.text("SELECT count(*) FROM tenios_jobs.procrastinate_workers")
        with Ledger(self.url) as ledger:
            for statement, least in ((jobs, "t"), (running, str(count))):
                while str(ledger.database.run(lambda each, s=statement: each.scalar(s))) < least:  # type: ignore[misc] # of one line
                    time.sleep(0.1)
        return workers

    def finish(self) -> None:
        """Wait until no customer is to be called any more."""
        with Ledger(self.url) as ledger:
            while True:
                try:
                    summary = Campaign(ledger).summary()
                except LedgerUnavailableError:
                    continue
                if summary.done == summary.total:
                    return
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
        Compare what the ledger, the campaign and the simulator say. Return what has happened.
        """
        # What is still being dialled by this clock is unknown by one that was moved.
        over = sa.text("UPDATE tenios_ledger SET deadline = 0 WHERE state = 'dialling'")
        with Ledger(self.url) as ledger:
            ledger.database.run(lambda connection: connection.execute(over))
            entries, attempts = list(Campaign(ledger).entries()), ledger.entries()
        dialled = Counter(self.simulator.dialled)
        begun = Counter(each.number for each in attempts if each.state in {"placed", "unknown"})
        unknown = {each.key for each in attempts if each.state == "unknown"}
        assert {each.attempt_key for each in entries if each.state == "unknown"} == unknown
        assert {entry.state for entry in entries} <= {*ENDINGS.values(), "rejected", "unknown"}
        for entry in entries:
            assert entry.attempts == begun[entry.number], entry
            assert dialled[entry.number or ""] <= entry.attempts, entry
            if entry.callback_id is not None and entry.state != "unknown":
                callback = self.simulator.callback(entry.callback_id)
                assert entry.state == ENDINGS[callback.timeline[-1][1]], entry
        ids = [each.handle.id for each in attempts if each.handle is not None]
        assert len(ids) == len(set(ids))
        lost = {callback.id for callback in self.simulator.callbacks} - set(ids)
        known = sum(each.key in unknown for each in attempts if each.handle is not None)
        assert len(lost) <= len(unknown) - known
        most = most_in_progress(self.simulator.callbacks)
        assert most <= MAX_ACTIVE
        return Report(
            states=Counter(str(entry.state) for entry in entries),
            dialled=dialled.total(),
            kills=self.kills,
            stops=self.stops,
            most_active=most,
            never_sent=len(unknown) - known - len(lost),
        )


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
        campaign = Campaign(ledger)
        rows = [Customer(f"order-{index}", nobodys_number(index)) for index in range(customers)]
        campaign.add(rows, attempts=2, retry_after=1, agent_retry_after=1)
        campaign.set(max_active=MAX_ACTIVE)
    with serving(simulator) as server:
        started = Chaos(url, server.address, simulator, seed)
        try:
            yield started
        finally:
            started.close()


# The ways in which a campaign is hurt. Each runs it to its end, and checks it.


def kill_runs(url: str, customers: int, kills: int) -> Report:
    """
    Kill the only process again and again, and start it again with a clock that was moved forward or
    back.
    """
    with chaos(url, customers, seed=1) as campaign:
        while campaign.kills < kills:
            run = campaign.start("run", ahead=campaign.random.choice([0, 600, 3600]))
            campaign.pause(1.5, 4)
            campaign.kill(run)
        campaign.start("run", ahead=7200).wait()
        return campaign.check()


def stop_runs(url: str, customers: int, stops: int) -> Report:
    """Stop one of two processes for longer than each limit, again and again."""
    with chaos(url, customers, seed=4) as campaign:
        runs = [campaign.start("run") for _ in range(2)]
        for index in range(stops):
            campaign.pause(2, 4)
            stopped = runs[index % 2]
            if stopped.poll() is not None:
                break
            campaign.stop(stopped, LONG)
        for run in runs:
            run.wait()
        return campaign.check()


def kill_workers(url: str, customers: int, kills: int) -> Report:
    """
    Kill three workers again and again, whose clocks differ by hours; one is never started again.
    """
    with chaos(url, customers, seed=2) as campaign:
        workers = campaign.start_workers(3)
        campaign.pause(2, 5)
        campaign.kill(workers[0])
        while campaign.kills < kills:
            campaign.pause(1.5, 4)
            index = 1 + campaign.kills % 2
            campaign.kill(workers[index])
            workers[index] = campaign.start("worker", ahead=-3600)
        campaign.finish()
        return campaign.check()


def stop_workers(url: str, customers: int, stops: int) -> Report:
    """Stop one of three workers for longer than each limit, again and again."""
    with chaos(url, customers, seed=5) as campaign:
        workers = campaign.start_workers(3)
        for index in range(stops):
            campaign.pause(2, 5)
            campaign.stop(workers[index % 3], LONG)
        campaign.finish()
        return campaign.check()


def stop_database(customers: int, stops: int) -> Report:
    """Stop PostgreSQL again and again, or freeze it. The workers must wait for it."""
    with (
        postgresql_server() as server,
        chaos(new_database(server.url), customers, seed=3) as campaign,
    ):
        workers = campaign.start_workers(2)
        for index in range(stops):
            campaign.pause(2, 5)
            if index % 2:
                freeze(server, 12)
            else:
                server.stop()
                campaign.pause(0.5, 2)
                server.start()
            campaign.stops += 1
        campaign.finish()
        assert [worker.poll() for worker in workers] == [None, None]
        return campaign.check()


def freeze(server: PostgresqlServer, seconds: float) -> None:
    """Stop all processes of a server, and let them continue later."""
    own = server.pids()
    for number in (signal.SIGSTOP, signal.SIGCONT):
        for pid in own:
            os.kill(pid, number)
        time.sleep(seconds if number == signal.SIGSTOP else 0)
