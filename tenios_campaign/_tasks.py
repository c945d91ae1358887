"""The tasks of a run, and its access to the database."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

from attrs import define, field

from tenios_ext import LedgerUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from tenios_ext import Clock

    from ._store import Store

#: The pause after an error of the database (seconds).
DATABASE_PAUSE = 1.0

logger = logging.getLogger("tenios_campaign")


@define(eq=False)
class Tasks:
    """
    The concurrent tasks of a run.

    Attributes:
        failure: The first error of a task, which ends the run.
        is_closing: Whether the run is ending.
    """

    store: Store
    clock: Clock
    failure: BaseException | None = field(default=None, init=False)
    is_closing: bool = field(default=False, init=False)
    _wake: asyncio.Event = field(factory=asyncio.Event, init=False)
    _tasks: set[asyncio.Future[Any]] = field(factory=set, init=False)
    _calls: set[asyncio.Future[Any]] = field(factory=set, init=False)  # to the database
    # The threads of the application may all be blocked.
    _threads: ThreadPoolExecutor = field(
        factory=partial(ThreadPoolExecutor, 4, "tenios-campaign"), init=False
    )
    _is_database_away: bool = field(default=False, init=False)

    def start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Future[Any]:
        """Run *work* in a task, which ends with the run."""
        task = self._keep(asyncio.create_task(work), self._tasks)
        task.add_done_callback(self._note)
        return task

    async def close(self) -> None:
        """Cancel all tasks, and wait for their calls to the database."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*self._calls, return_exceptions=True)
        self._threads.shutdown(wait=False)

    def wake(self) -> None:
        """End :meth:`sleep` early."""
        self._wake.set()

    async def sleep(self, seconds: float) -> None:
        """Wait for :meth:`wake`, at most for *seconds*."""

        def ring(_: object) -> None:
            self._wake.set()

        timer = asyncio.create_task(self.clock.async_sleep(seconds))
        timer.add_done_callback(ring)
        try:
            await self._wake.wait()
            self._wake.clear()
        finally:
            timer.remove_done_callback(ring)
            timer.cancel()

    async def read(self, work: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Return what *work* returns in a read-only transaction."""
        return await self._call(self.store.run, work, *arguments, **named)

    async def change(self, work: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Return what *work* returns in a transaction."""
        return await self._call(self.store.change, work, *arguments, **named)

    async def _call(self, work: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """
        Return what *work* returns in a thread; try again while the database is unreachable.

        When the run is cancelled, a call that has begun still completes, so that the ledger can be
        closed afterwards.
        """
        while True:
            try:
                call = in_thread(self._threads, partial(work, *arguments, **named))
                result = await asyncio.shield(self._keep(call, self._calls))
            except LedgerUnavailableError as error:
                if self.is_closing:
                    raise
                if not self._is_database_away:  # once, not every second
                    logger.warning("%s Trying again.", error)
                self._is_database_away = True
            else:
                self._is_database_away = False
                return result
            await asyncio.sleep(DATABASE_PAUSE)

    def _keep(
        self, task: asyncio.Future[Any], tasks: set[asyncio.Future[Any]]
    ) -> asyncio.Future[Any]:
        def forget(_: object) -> None:
            tasks.discard(task)
            if not task.cancelled():
                task.exception()  # so that asyncio does not report it as never retrieved

        tasks.add(task)
        task.add_done_callback(forget)
        return task

    def _note(self, task: asyncio.Future[Any]) -> None:
        error = None if task.cancelled() else task.exception()
        self.failure = self.failure or error
        self._wake.set()


def in_thread(threads: ThreadPoolExecutor, work: Callable[[], Any]) -> asyncio.Future[Any]:
    """Run *work* in one of the threads. Return its future."""
    return asyncio.get_running_loop().run_in_executor(threads, work)
