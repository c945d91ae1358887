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
_TOO_LATE = "it did not respond within {:g} seconds"


class NoThreadError(Exception):
    """No thread can be started: there are too many, or the program is ending."""


def in_thread(
    function: Callable[..., T],
    *arguments: Any,
    late: Callable[[str], T],
    seconds: float = LIMIT,
    daemon: bool = False,
) -> T:
    """
    Return the result of *function* in a thread.

    Args:
        function: The function.
        arguments: Its arguments.
        late: Called instead, with the reason, if no thread can be started or the limit has passed.
            In the latter case, *function* continues in its thread.
        seconds: The limit.
        daemon: Whether the program may end without waiting for *function*.
    """
    future: Future[T] = Future()
    # Written in C, so that a signal handler cannot raise while a lock is held.
    ended: queue.SimpleQueue[Future[T]] = queue.SimpleQueue()
    future.add_done_callback(ended.put)
    try:
        _start(future, function, arguments, daemon=daemon)
        ended.get(timeout=seconds)
    except NoThreadError as error:
        return late(str(error))
    except queue.Empty:
        return late(_TOO_LATE.format(seconds))
    return future.result()


async def async_in_thread(
    function: Callable[..., T],
    *arguments: Any,
    late: Callable[[str], T],
    seconds: float = LIMIT,
    daemon: bool = False,
) -> T:
    """Return the result of :func:`in_thread`. Other tasks run meanwhile."""
    import asyncio  # Its callers have already imported it.

    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            return await asyncio.wrap_future(_start(Future(), function, arguments, daemon=daemon))
    except NoThreadError as error:
        return late(str(error))
    except TimeoutError:
        if not limit.expired():
            raise
    return late(_TOO_LATE.format(seconds))


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
    Start a thread. If a signal handler raises meanwhile, raises that exception.

    Raises:
        NoThreadError: No thread can be started.
    """
    outside = sys.exception()
    try:
        thread.start()
    except RuntimeError as error:
        cause = error.__context__
        if cause is not None and cause is not outside:
            # It is from the lock that the exception has interrupted.
            raise cause from None
        if str(error).startswith("can't "):  # CPython's messages
            raise NoThreadError(str(error)) from None
        raise
