"""
A server of the statuses of callbacks that are in mid-course.

Each callback rings twice for 5 to 40 s and talks for 20 to 600 s. Its age at the beginning is what
one finds at any moment of a service to which callbacks keep coming.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from bisect import bisect_right
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from _server import running, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

STATUSES = ["CALLING_A", "CALLING_B", "CONNECTED", "DISCONNECTED"]
SEED = 20
LONGEST = 680.0


def courses(count: int, begin: float) -> list[list[float]]:
    """
    Return when each callback rings at the agent's, at the customer's, connects and ends; seconds
    since the epoch.
    """
    rng = random.Random(SEED)  # noqa: S311 - not a secret
    found: list[list[float]] = []
    while len(found) < count:
        answered = rng.uniform(5, 40)
        connected = answered + rng.uniform(5, 40)
        ended = connected + rng.uniform(20, 600)
        age = rng.uniform(0, LONGEST)
        if age < ended:
            found.append([begin - age + each for each in (0.0, answered, connected, ended)])
    return found


@contextmanager
def serving(count: int, begin: float) -> Iterator[str]:
    """Run the server, and yield its URL."""
    with running(__file__, str(count), repr(begin)) as url:
        yield url


def main() -> None:
    """Serve the courses that the arguments name."""
    times = courses(int(sys.argv[1]), float(sys.argv[2]))

    def answer(body: bytes) -> dict[str, Any]:
        callback_id = json.loads(body)["id"]
        return {"status": STATUSES[max(0, bisect_right(times[callback_id], time.time()) - 1)]}

    asyncio.run(serve(answer))


if __name__ == "__main__":
    main()
