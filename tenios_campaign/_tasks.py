"""The tasks of a run, and its calls of the database."""

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

#: The pause after the database could not be used (seconds).
DATABASE_PAUSE = 1.0

logger = logging.getLogger("tenios_campaign")


@define(eq=False)
class Tasks:
    """
    What a run does at the same time.

    Attributes:
        failure: The first error of a task, which ends the run.
        is_closing: Whether the run ends.
    """

    store: Store
    clock: Clock
    failure: BaseException | None = field(default=None, init=False)
    is_closing: bool = field(default=False, init=False)
    _wake: asyncio.Event = field(factory=asyncio.Event, init=False)
    _tasks: set[asyncio.Future[Any]] = field(factory=set, init=False)
    _calls: set[asyncio.Future[Any]] = field(factory=set, init=False)  # of the database
    # Those of the application may all be waiting for something.
    _threads: ThreadPoolExecutor = field(
        factory=partial(ThreadPoolExecutor, 4, "tenios-campaign"), init=False
    )
    _is_database_away: bool = field(default=False, init=False)

    def start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Future[Any]:
        """Do *work* until it ends or the run does."""
        task = self._keep(asyncio.create_task(work), self._tasks)
        task.add_done_callback(self._note)
        return task

    async def close(self) -> None:
        """End all tasks."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*self._calls, return_exceptions=True)
        self._threads.shutdown(wait=False)

    def wake(self) -> None:
        """End a sleep."""
        self._wake.set()

    async def sleep(self, seconds: float) -> None:
        """Wait until something has happened, but no longer than *seconds*."""

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
        Return what *work* returns in a thread. While the database cannot be used, it is tried
        again.

        What is being done when the run ends is done to its end, so that the ledger can be closed
        then.
        """
        while True:
            try:
                call = in_thread(self._threads, partial(work, *arguments, **named))
                result = await asyncio.shield(self._keep(call, self._calls))
            except LedgerUnavailableError as error:
                if self.is_closing:
                    raise
                if not self._is_database_away:  # Else each attempt would say it, every second.
                    logger.warning("%s It is tried again.", error)
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
                task.exception()  # Else asyncio would report one that nobody waits for any more.

        tasks.add(task)
        task.add_done_callback(forget)
        return task

    def _note(self, task: asyncio.Future[Any]) -> None:
        """Take note of an error, which ends the run."""
        error = None if task.cancelled() else task.exception()
        self.failure = self.failure or error
        self._wake.set()


def in_thread(threads: ThreadPoolExecutor, work: Callable[[], Any]) -> asyncio.Future[Any]:
    """Return what *work* will return in one of the threads."""
    return asyncio.get_running_loop().run_in_executor(threads, work)
