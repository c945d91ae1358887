"""
How long making a client and its first request take, and for how long the first request holds the
event loop (milliseconds).

A task that sleeps for a millisecond again and again runs beside the request; what is measured is
the longest time between two of its turns. Each is a process of its own; the median is printed, with
the least and the most.
"""

from __future__ import annotations

import json
import statistics
import subprocess
from typing import TYPE_CHECKING

from _measure import ROOT, environment, machine
from _server import serving

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

ROUNDS = 9
CODE = """
import asyncio, json, sys, time
from tenios_ext import AsyncTenios

def milliseconds(since):
    return (time.perf_counter() - since) * 1000

async def main(url, aiohttp, dial):
    began = time.perf_counter()
    tenios = AsyncTenios("KEY", "CONFIG", base_url=url, aiohttp=aiohttp)
    made, turns = milliseconds(began), []

    async def turn():
        while True:
            turns.append(time.perf_counter())
            await asyncio.sleep(0.001)

    turning = asyncio.create_task(turn())
    await asyncio.sleep(0.02)
    began = time.perf_counter()
    turns[:] = [began]
    await (tenios.start_callback("+492214710123") if dial else tenios.callback(10).status())
    took = milliseconds(began)
    await asyncio.sleep(0.01)
    turning.cancel()
    await tenios.aclose()
    longest = max(after - before for before, after in zip(turns, turns[1:])) * 1000
    print(json.dumps([made, took, longest]))

asyncio.run(main(sys.argv[1], sys.argv[2] == "aiohttp", sys.argv[3] == "dial"))
"""


def main() -> None:
    """Print a line for each kind of connection and of request."""
    print(machine())
    constraint = ROOT / "requirements/dev.txt"
    print("                making the client   first request       the loop is held for")
    with environment(["-c", constraint, f"{ROOT}[aiohttp]"]) as python, serving() as url:
        for connections in ("httpx", "aiohttp"):
            for request in ("poll", "dial"):
                command: Sequence[str | Path] = [python, "-c", CODE, url, connections, request]
                rows = [
                    json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
                    for _ in range(ROUNDS)
                ]
                columns = [
                    f"{statistics.median(column):5.0f} ({min(column):.0f} to {max(column):.0f})"
                    for column in zip(*rows, strict=True)
                ]
                print(f"{connections:8} {request:6} ", *(f"{column:19}" for column in columns))


if __name__ == "__main__":
    main()
