"""
Waiting for a database or a name in a thread of our own: not one of the application's pool, which
may be full or shut down, and for no longer than a limit.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future, wait
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
    future = _start(function, arguments, daemon=daemon)
    wait([future], timeout=LIMIT if seconds is None else seconds)
    return future.result() if future.done() else late()


async def async_in_thread(
    function: Callable[..., T],
    *arguments: Any,
    late: Callable[[], T],
    seconds: float | None = None,
    daemon: bool = False,
) -> T:
    """Return what :func:`in_thread` returns, and let other tasks run meanwhile."""
    import asyncio  # imported by every caller of this function already

    limit = asyncio.timeout(LIMIT if seconds is None else seconds)
    try:
        async with limit:
            return await asyncio.wrap_future(_start(function, arguments, daemon=daemon))
    except TimeoutError:
        if not limit.expired():
            raise
    return late()


def _start(function: Callable[..., T], arguments: tuple[Any, ...], *, daemon: bool) -> Future[T]:
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()  # It cannot be cancelled any more.

    def run() -> None:
        try:
            future.set_result(function(*arguments))
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            future.set_exception(error)

    threading.Thread(target=copy_context().run, args=(run,), name=NAME, daemon=daemon).start()
    return future
