"""
Following many callbacks in real time: the share of a core, the memory, and how late the polls are.

Each number of callbacks is followed in a process of its own. All are polled at once at first, as after a restart; the measurement
begins after that.
"""

from __future__ import annotations

import asyncio
import json
import resource
import statistics
import subprocess
import sys
import time

from _course_server import courses, serving

from tenios_ext import AsyncTenios, CallbackHandle

COUNTS = [1_000, 5_000, 20_000]
CONNECTIONS = ["aiohttp", "httpx"]
#: Until the first statuses of all callbacks have come (seconds for each thousand), and for how long it is measured.
WARM_UP_PER_THOUSAND = 1.5
WARM_UP = 15.0
SECONDS = 20.0


async def follow(url: str, count: int, begin: float, *, aiohttp: bool) -> dict[str, float]:
    """Follow the callbacks, and return what it took."""
    handles = [CallbackHandle(number, started_at=times[0]) for number, times in enumerate(courses(count, begin))]
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

    async with AsyncTenios("KEY", base_url=url, aiohttp=aiohttp, event_hooks={"request": [count_poll]}) as tenios:
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


def main() -> None:
    """Print a line for each number of callbacks and kind of connection."""
    if sys.argv[1:]:
        kind, count = sys.argv[1], int(sys.argv[2])
        begin = time.time()
        with serving(count, begin) as url:
            print(json.dumps(asyncio.run(follow(url, count, begin, aiohttp=kind == "aiohttp"))))
        return
    print("callbacks  connections  polls/s  core  us/poll  late ms: median    p99  memory MB")
    for count in COUNTS:
        for kind in CONNECTIONS:
            command = [sys.executable, __file__, kind, str(count)]
            found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
            print(
                f"{count:9}  {kind:11}  {found['polls']:7.0f}  {found['core']:4.2f}  {found['microseconds']:7.0f}"
                f"  {found['late']:15.1f}  {found['late_p99']:5.0f}  {found['memory']:9.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
