"""
What a ledger costs per dial: milliseconds, and milliseconds of this process's CPU, beside a dial
without one.

Rounds of the three are interleaved; the median of the rounds is printed, with the least and the
most. PostgreSQL runs on this machine with fsync on, and is left out where it is not installed.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from support.postgresql import postgresql, program

from tenios_ext import Tenios
from tenios_ext.ledger import Ledger

ROUNDS = 15
DIALS = 50
# In a process of its own, so that only the client's CPU is counted.
SERVER = """
import sys
sys.path.insert(0, sys.argv[1])
from support.faults import FaultServer, respond
with FaultServer(respond("200 OK", {"id": 10})) as server:
    print(server.url, flush=True)
    sys.stdin.read()
"""


def measure(tenios: Tenios, prefix: str | None) -> tuple[float, float]:
    """Return the milliseconds, and those of CPU, that one dial takes."""
    began, cpu = time.perf_counter(), time.process_time()
    for number in range(DIALS):
        tenios.start_callback("+492214710123", key=None if prefix is None else f"{prefix}-{number}")
    return (time.perf_counter() - began) / DIALS * 1000, (time.process_time() - cpu) / DIALS * 1000


def main() -> None:
    """Print both for each kind of ledger."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        command = [sys.executable, "-c", SERVER, sys.path[0]]
        server = stack.enter_context(
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        )
        assert server.stdin is not None
        assert server.stdout is not None
        stack.callback(server.stdin.close)
        url = server.stdout.readline().strip()
        ledgers: dict[str, Ledger | None] = {
            "no ledger": None,
            "SQLite": Ledger(f"sqlite:///{folder}/callbacks.db"),
        }
        if program("postgres"):
            database = stack.enter_context(postgresql("-c", "fsync=on"))
            ledgers["PostgreSQL"] = stack.enter_context(Ledger(database))
        clients = {
            name: stack.enter_context(Tenios("KEY", "CONFIG", base_url=url, ledger=ledger))
            for name, ledger in ledgers.items()
        }
        results: dict[str, list[tuple[float, float]]] = {name: [] for name in clients}
        for round_ in range(ROUNDS + 1):
            for name, tenios in clients.items():
                result = measure(tenios, None if ledgers[name] is None else str(round_))
                if round_:  # The first one warms up.
                    results[name].append(result)
    for name, rounds in results.items():
        wall, cpu = zip(*rounds, strict=True)
        print(f"{name:12} {shown(wall)} ms, {shown(cpu)} ms of CPU per dial")


def shown(values: tuple[float, ...]) -> str:
    """Return the median with the least and the most."""
    return f"{statistics.median(values):5.2f} ({min(values):5.2f} to {max(values):5.2f})"


if __name__ == "__main__":
    main()
