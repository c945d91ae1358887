"""
Campaigns under random failures of processes, requests, databases and clocks, and the checks of
their results.
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
#: The speed of simulated calls.
SPEED = 60
#: 20 % of the requests fail: some before they are received, some afterwards, and some with an error
#: response.
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
#: Numbers that are not in use, without their last three digits.
RANGES = ["+492214710", "+496990009", "+494066969", "+498999998"]
#: Low enough to be reached all the time.
MAX_ACTIVE = 5
#: Seconds: more than the limits of a claim, a request and database statements together.
LONG = 45.0
#: Debian's libfaketime, which gives a process another time.
FAKETIME = next(iter(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), None)
ENDINGS = {
    "DISCONNECTED": "talked",
    "CALL_A_FAILED": "agent_failed",
    "CALL_B_FAILED": "customer_failed",
}


def nobodys_number(index: int) -> str:
    """Return one of 4,000 numbers that are not in use."""
    return f"{RANGES[index // 1000]}{index % 1000:03}"


@frozen
class Report:
    """
    The results of a campaign, after all checks.

    Attributes:
        states: The number of customers in each final state.
        dialled: The number of callbacks that reached the simulator.
        kills: The number of killed processes.
        stops: The number of times that processes or the database were stopped.
        most_active: The maximum number of simultaneous callbacks.
        never_sent: The number of unknown outcomes for which no request was received.
    """

    states: Counter[str]
    dialled: int
    kills: int
    stops: int
    most_active: int
    never_sent: int


class Chaos:
    """
    A campaign and its processes.

    Args:
        url: The ledger's database.
        address: The address of the simulator.
        simulator: The simulator.
        seed: The seed of all random numbers.
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
        Start `tenios campaign run` or `tenios campaign worker` with a clock that is *ahead* by
        seconds.
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
        """Kill a process as a power failure would. It must not have ended itself."""
        assert process.poll() is None, "no customer was left to be called"
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self.kills += 1

    def stop(self, process: subprocess.Popen[bytes], seconds: float) -> None:
        """Stop a process and continue it later, as if the machine had slept."""
        os.killpg(process.pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.killpg(process.pid, signal.SIGCONT)
        self.stops += 1

    def close(self) -> None:
        """Kill the processes that are still running."""
        for process in self._processes:
            if process.poll() is None:
                self.kill(process)

    def start_workers(self, count: int) -> list[subprocess.Popen[bytes]]:
        """Start workers with different clocks and wait until they are ready."""
        workers = [self.start("worker", ahead=3600.0 * index) for index in range(count)]
        jobs = sa.text("SELECT to_regclass('tenios_jobs.procrastinate_workers')")
        running = sa.text("SELECT count(*) FROM tenios_jobs.procrastinate_workers")
        with Ledger(self.url) as ledger:
            for statement, least in ((jobs, "t"), (running, str(count))):
                while str(ledger.database.run(lambda each, s=statement: each.scalar(s))) < least:  # type: ignore[misc] # of one line
                    time.sleep(0.1)
        return workers

    def finish(self) -> None:
        """Wait until no customer is left to call."""
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
        """Wait for a random number of seconds, so that processes are interrupted at any step."""
        time.sleep(self.random.uniform(least, most))

    def check(self) -> Report:
        """Compare the ledger, the campaign and the simulator. Return the results."""
        # A claim that was made with a moved clock may not have run out by this one.
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
    """Yield a campaign with this number of customers, with two attempts each."""
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


# The failures of a campaign. Each function runs it to its end and checks it.


def kill_runs(url: str, customers: int, kills: int) -> Report:
    """Kill the only process repeatedly, and restart it with a clock that is ahead or behind."""
    with chaos(url, customers, seed=1) as campaign:
        while campaign.kills < kills:
            run = campaign.start("run", ahead=campaign.random.choice([0, 600, 3600]))
            campaign.pause(1.5, 4)
            campaign.kill(run)
        campaign.start("run", ahead=7200).wait()
        return campaign.check()


def stop_runs(url: str, customers: int, stops: int) -> Report:
    """Stop one of two processes repeatedly, for longer than each limit."""
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
    """Kill three workers repeatedly, whose clocks differ by hours. One is not restarted."""
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
    """Stop one of three workers repeatedly, for longer than each limit."""
    with chaos(url, customers, seed=5) as campaign:
        workers = campaign.start_workers(3)
        for index in range(stops):
            campaign.pause(2, 5)
            campaign.stop(workers[index % 3], LONG)
        campaign.finish()
        return campaign.check()


def stop_database(customers: int, stops: int) -> Report:
    """Stop or freeze PostgreSQL repeatedly. The workers must wait for it."""
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
    """Stop all processes of a server, and continue them later."""
    own = server.pids()
    for number in (signal.SIGSTOP, signal.SIGCONT):
        for pid in own:
            os.kill(pid, number)
        time.sleep(seconds if number == signal.SIGSTOP else 0)
