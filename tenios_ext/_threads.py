"""
Waits for a database or a name server, for a limited time and in a new thread: the application's
pool may be full or shut down.
"""

from __future__ import annotations

import queue
import sys
import threading
from concurrent.futures import Future
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

#: The maximum time that a call waits for a ledger (seconds).
LIMIT = 10.0
#: The name of all threads of this package.
NAME = "tenios"


def in_thread(
    function: Callable[..., T],
    *arguments: Any,
    late: Callable[[], T],
    seconds: float | None = None,
    daemon: bool = False,
) -> T:
    """
    Return the result of *function* in a thread.

    Args:
        function: The function.
        arguments: Its arguments.
        late: Called instead if the limit has passed. *function* continues in its thread.
        seconds: The limit; None for ten seconds.
        daemon: Whether the program may end without waiting for *function*.
    """
    future: Future[T] = Future()
    # Written in C, so that a signal handler cannot raise while a lock is held.
    ended: queue.SimpleQueue[Future[T]] = queue.SimpleQueue()
    future.add_done_callback(ended.put)
    _start(future, function, arguments, daemon=daemon)
    try:
        ended.get(timeout=LIMIT if seconds is None else seconds)
    except queue.Empty:
        return late()
    return future.result()


async def async_in_thread(
    function: Callable[..., T],
    *arguments: Any,
    late: Callable[[], T],
    seconds: float | None = None,
    daemon: bool = False,
) -> T:
    """Return the result of :func:`in_thread`. Other tasks run meanwhile."""
    import asyncio  # Its callers have already imported it.

    limit = asyncio.timeout(LIMIT if seconds is None else seconds)
    try:
        async with limit:
            return await asyncio.wrap_future(_start(Future(), function, arguments, daemon=daemon))
    except TimeoutError:
        if not limit.expired():
            raise
    return late()


def _start(
    future: Future[T], function: Callable[..., T], arguments: tuple[Any, ...], *, daemon: bool
) -> Future[T]:
    future.set_running_or_notify_cancel()  # From now on it cannot be cancelled.

    def run() -> None:
        try:
            future.set_result(function(*arguments))
        except BaseException as error:  # noqa: BLE001 - raised by result()
            future.set_exception(error)

    start(threading.Thread(target=copy_context().run, args=(run,), name=NAME, daemon=daemon))
    return future


def start(thread: threading.Thread) -> None:
    """
    Start a thread. If no more threads can be started, run it here, unless it is a daemon. If a
    signal handler raises meanwhile, raises that exception.
    """
    outside = sys.exception()
    try:
        thread.start()
    except RuntimeError as error:
        cause = error.__context__
        if cause is not None and cause is not outside:
            # It is from the lock that the exception has interrupted.
            raise cause from None
        if thread.daemon:
            raise
        thread.run()
