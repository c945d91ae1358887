"""
Following many callbacks in real time: the share of a core, the memory, and how late the polls are.

Each number of callbacks is followed in a process of its own. All are polled at once at first, as
after a restart; the measurement begins after that. For each number, a bare aiohttp client sends as
many requests per second, evenly, and ignores the responses.

"tuned" is aiohttp with what a program can do for itself: uvloop, and the garbage collector's first
threshold at 20,000.
"""

from __future__ import annotations

import asyncio
import gc
import json
import resource
import statistics
import subprocess
import sys
import time

import aiohttp
import uvloop
from _course_server import courses, serving
from _measure import machine

from tenios_ext import AsyncTenios, CallbackHandle

#: httpx's connections fall behind long before 20,000.
COUNTS = {
    1_000: ["aiohttp", "httpx"],
    5_000: ["tuned", "aiohttp", "httpx"],
    20_000: ["tuned", "aiohttp"],
}
GC_THRESHOLD = 20_000
#: Until the first statuses of all callbacks have come (seconds for each thousand), and for how long
#: it is measured.
WARM_UP_PER_THOUSAND = 1.5
WARM_UP = 15.0
SECONDS = 15.0


async def follow(url: str, count: int, begin: float, *, aiohttp: bool) -> dict[str, float]:
    """Follow the callbacks, and return what it took."""
    handles = [
        CallbackHandle(number, started_at=times[0])
        for number, times in enumerate(courses(count, begin))
    ]
    lateness: list[float] = []
    polls = 0

    async def count_poll(_: object) -> None:
        nonlocal polls
        polls += 1

    async def watch(tenios: AsyncTenios) -> None:
        async for update in tenios.watch_many(handles, answer_timeout=None, end_timeout=None):
            if update.error is not None:
                raise update.error
            lateness.append(update.lateness)

    async with AsyncTenios(
        "KEY", base_url=url, aiohttp=aiohttp, event_hooks={"request": [count_poll]}
    ) as tenios:
        task = asyncio.create_task(watch(tenios))
        await asyncio.sleep(WARM_UP + WARM_UP_PER_THOUSAND * count / 1000)
        lateness.clear()
        polls, cpu, wall = 0, time.process_time(), time.perf_counter()
        await asyncio.sleep(SECONDS)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        if task.done():
            task.result()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    late = sorted(lateness)
    return {
        "polls": polls / wall,
        "core": cpu / wall,
        "microseconds": cpu / polls * 1e6,
        "late": statistics.median(late) * 1000,
        "late_p99": late[int(len(late) * 0.99)] * 1000,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


async def send(url: str, per_second: float) -> dict[str, float]:
    """Send requests with a bare client, and return what one takes."""
    tasks: set[asyncio.Task[None]] = set()

    async def fetch(session: aiohttp.ClientSession, number: int) -> None:
        async with session.post(
            f"{url}/callback/status", json={"access_key": "KEY", "id": number}
        ) as response:
            await response.json()

    async with aiohttp.ClientSession() as session:
        cpu, begin, sent = time.process_time(), time.perf_counter(), 0
        while (elapsed := time.perf_counter() - begin) < SECONDS:
            while sent < elapsed * per_second:
                tasks.add(task := asyncio.create_task(fetch(session, sent % min(COUNTS))))
                task.add_done_callback(tasks.discard)
                sent += 1
            await asyncio.sleep(1 / per_second)
        await asyncio.gather(*tasks)
        return {"microseconds": (time.process_time() - cpu) / sent * 1e6}


def run(*arguments: object) -> dict[str, float]:
    """Return what this program prints in a process of its own."""
    command = [sys.executable, __file__, *map(str, arguments)]
    found: dict[str, float] = json.loads(
        subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    )
    return found


def main() -> None:
    """Print a line for each number of callbacks and kind of connection."""
    if sys.argv[1:]:
        kind, count = sys.argv[1], int(sys.argv[2])
        begin = time.time()
        with serving(count, begin) as url:
            work = (
                send(url, float(sys.argv[3]))
                if kind == "bare"
                else follow(url, count, begin, aiohttp=kind != "httpx")
            )
            if kind == "tuned":
                gc.set_threshold(GC_THRESHOLD)
            print(json.dumps((uvloop.run if kind == "tuned" else asyncio.run)(work)))
        return
    print(machine())
    print(
        "callbacks  connections  polls/s  core  us/poll  of bare  late ms: median    p99  memory MB"
    )
    for count, kinds in COUNTS.items():
        bare = 0.0
        for kind in kinds:
            found = run(kind, count)
            bare = bare or run("bare", count, found["polls"])["microseconds"]
            print(
                f"{count:9}  {kind:11}  {found['polls']:7.0f}  {found['core']:4.2f}  "
                f"{found['microseconds']:7.0f}  {found['microseconds'] / bare:7.2f}  "
                f"{found['late']:15.1f}  {found['late_p99']:5.0f}  {found['memory']:9.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
