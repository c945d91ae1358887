"""
Waiting for a database or a name in a thread of our own: not one of the application's pool, which
may be full or shut down, and for no longer than a limit.
"""

from __future__ import annotations

import queue
import threading
from contextlib import suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

#: The longest that a call waits for a ledger (seconds).
LIMIT = 10.0
#: Of all threads of this package.
NAME = "tenios"


def in_thread(
    function: Callable[..., T],
    *arguments: Any,
    late: Callable[[], T],
    seconds: float | None = None,
    daemon: bool = False,
) -> T:
    """
    Return what *function* returns.

    Args:
        function: What is called in a thread.
        arguments: Its arguments.
        late: Called in its place if it takes more than so many *seconds*. It goes on all the same.
        seconds: The limit; None for ten.
        daemon: Whether the program may end without waiting for it.
    """
    results: queue.SimpleQueue[Callable[[], T]] = queue.SimpleQueue()
    _start(function, arguments, results.put, daemon=daemon)
    try:
        result = results.get(timeout=LIMIT if seconds is None else seconds)
    except queue.Empty:
        result = late
    return result()


async def async_in_thread(
    function: Callable[..., T],
    *arguments: Any,
    late: Callable[[], T],
    seconds: float | None = None,
    daemon: bool = False,
) -> T:
    """Return what :func:`in_thread` returns, and let other tasks run meanwhile."""
    import asyncio  # imported by every caller of this function already

    loop = asyncio.get_running_loop()
    future: asyncio.Future[Callable[[], T]] = loop.create_future()

    def deliver(result: Callable[[], T]) -> None:
        if not future.done():
            future.set_result(result)

    def put(result: Callable[[], T]) -> None:
        with suppress(RuntimeError):  # The loop was closed: nobody waits any more.
            loop.call_soon_threadsafe(deliver, result)

    _start(function, arguments, put, daemon=daemon)
    timer = loop.call_later(LIMIT if seconds is None else seconds, deliver, late)
    try:
        result = await future
    finally:
        timer.cancel()
    return result()


def _start(
    function: Callable[..., T],
    arguments: tuple[Any, ...],
    put: Callable[[Callable[[], T]], None],
    *,
    daemon: bool,
) -> None:
    """Start a thread that gives *put* a function, which returns or raises what *function* did."""

    def run() -> None:
        try:
            value = function(*arguments)
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            put(_raising(error))
        else:
            put(lambda: value)

    threading.Thread(target=copy_context().run, args=(run,), name=NAME, daemon=daemon).start()


def _raising(error: BaseException) -> Callable[[], Any]:
    def fail() -> Any:
        raise error

    return fail
