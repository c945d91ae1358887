"""
What a campaign costs per callback: one process with SQLite, one with PostgreSQL, and three workers,
beside a bare client; and how long its commands take with lists of three sizes.

The bare client starts the same number of callbacks without a ledger, so many at a time, and follows
them with ``watch_many``. The simulator runs in a process of its own, with its time 60 times as
fast; the clients poll as they do in reality.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from _measure import machine
from support.chaos import TENIOS, nobodys_number
from support.postgresql import new_database, postgresql

from tenios_campaign import Campaign, Customer
from tenios_ext.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator

CUSTOMERS, MAX_ACTIVE = 600, 100
SIZES = (1_000, 10_000, 100_000)
NUMBERS = [nobodys_number(index) for index in range(CUSTOMERS)]
BARE = """
import asyncio, sys
from tenios_ext import AsyncTenios

async def main(numbers, active):
    free = asyncio.Semaphore(active)
    async with AsyncTenios() as tenios:
        async def started():
            for number in numbers:
                await free.acquire()
                yield (await tenios.start_callback(number)).handle
        async for update in tenios.watch_many(started()):
            if update.outcome.ended or update.error:
                free.release()

asyncio.run(main(sys.argv[2:], int(sys.argv[1])))
"""


@contextmanager
def simulator() -> Iterator[dict[str, str]]:
    """Yield the environment of a client of a simulator."""
    command: list[str | Path] = [TENIOS, "simulate", "--port", "0", "--speed", "60"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline().strip().removeprefix("export ") for _ in range(3)]
        try:
            yield os.environ | dict(line.split("=", 1) for line in lines)
        finally:
            process.send_signal(signal.SIGTERM)


def report(name: str, commands: list[list[str | Path]], ledger: str | None = None) -> None:
    """Run the commands until all customers were called, and print what that took."""
    with simulator() as environment:
        if ledger is not None:
            environment["TENIOS_LEDGER"] = ledger
            with Ledger(ledger) as opened:
                Campaign(opened).add(Customer(f"order-{number}", number) for number in NUMBERS)
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        processes = [
            subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
            for command in commands
        ]
        if len(processes) > 1 and ledger is not None:
            with Ledger(ledger) as opened:
                while Campaign(opened).summary().done < CUSTOMERS:
                    # The workers do not end by themselves, and are not to be kept from their
                    # database.
                    time.sleep(0.5)
            for process in processes:
                process.send_signal(signal.SIGTERM)
        for process in processes:
            assert process.wait() == 0
        seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"{name:22}  {CUSTOMERS / seconds:15.1f}  {cpu / CUSTOMERS * 1000:19.1f}", flush=True)


def sizes(folder: str) -> None:
    """Print how long the commands take with lists of three sizes, and the most memory."""
    print(f"{'rows, SQLite':>12}  {'add':>6}  status  export  first call   MB")
    for count in SIZES:
        file, url = Path(folder, "list.csv"), f"sqlite:///{folder}/{count}.db"
        with file.open("w") as rows:
            rows.write("key,number\n")
            rows.writelines(f"order-{each},+4915{100000000 + each}\n" for each in range(count))
        seconds = []
        for arguments in (["add", file], ["status"], ["export", f"{folder}/{count}.csv"]):
            began = time.perf_counter()
            command: list[str | Path] = [TENIOS, "campaign", *arguments, "--ledger", url]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            seconds.append(time.perf_counter() - began)
        run = ["campaign", "run", "--max-active", "1", "--ledger", url, "--json"]
        with simulator() as environment:
            began = time.perf_counter()
            with subprocess.Popen(
                [TENIOS, *run], env=environment, stdout=subprocess.PIPE
            ) as process:
                assert process.stdout is not None
                process.stdout.readline()
                seconds.append(time.perf_counter() - began)
                process.kill()
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        add, status, export, first = seconds
        print(
            f"{count:12,}  {add:6.1f}  {status:6.1f}  {export:6.1f}  {first:10.1f}  {memory:3.0f}",
            flush=True,
        )


def main() -> None:
    """Print a line for each way."""
    print(machine())
    print(f"{CUSTOMERS} callbacks, {MAX_ACTIVE} in progress")
    print(f"{'':22}  callbacks per s  ms of CPU per callback")
    options = ["--max-active", str(MAX_ACTIVE), "--yes"]
    report("watch_many", [[sys.executable, "-c", BARE, str(MAX_ACTIVE), *NUMBERS]])
    with tempfile.TemporaryDirectory() as folder:
        report(
            "run, SQLite",
            [[TENIOS, "campaign", "run", *options]],
            f"sqlite:///{folder}/campaign.db",
        )
    with postgresql("-c", "fsync=on") as server:
        report("run, PostgreSQL", [[TENIOS, "campaign", "run", *options]], new_database(server))
        report(
            "3 workers, PostgreSQL",
            [[TENIOS, "campaign", "worker", *options]] * 3,
            new_database(server),
        )
    with tempfile.TemporaryDirectory() as folder:
        sizes(folder)


if __name__ == "__main__":
    main()
