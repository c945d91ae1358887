"""
A worker: procrastinate gives the attempts of a campaign to the workers on any number of machines.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from procrastinate import App, PsycopgConnector, RetryStrategy, SyncPsycopgConnector
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException
from procrastinate.schema import SchemaManager

from tenios_ext import ConfigurationError, LedgerUnavailableError

from ._entries import attempt_key, has_jobs, lock
from ._run import Run

if TYPE_CHECKING:
    import sqlalchemy as sa

    from ._entries import Claim

QUEUE = "attempts"
_ATTEMPT = "attempt"
_RETRY_STALLED = "retry stalled jobs"
#: procrastinate's tables have a schema of their own, so that they are not those of another program
#: in the same database.
_SEARCH_PATH = "tenios_jobs"
#: How often attempts of workers that have died are looked for, as a cron expression: every ten
#: seconds.
_EVERY_TEN_SECONDS = "* * * * * */10"
#: How many attempts a worker makes or follows at most. They are limited by the campaign.
_CONCURRENCY = 100_000
_PAUSE = 1

logger = logging.getLogger("tenios_campaign")


class Worker(Run):
    """
    See :meth:`Campaign.work`.

    Each worker claims attempts as a run does. In the same transaction, it puts a job into the
    queue, and one of the workers makes the attempt and follows it. If that worker dies, another one
    goes on with the job.
    """

    ends_when_done = False
    _serving: asyncio.Task[None] | None = None

    async def _prepare(self) -> None:
        database = self._entries.database
        if not database.is_postgresql:
            raise ConfigurationError(
                "Workers need a ledger in PostgreSQL. Use run for SQLite, which is for one machine."
            )
        await asyncio.to_thread(database.run, _create_jobs)
        conninfo = database.url.set(drivername="postgresql").render_as_string(hide_password=False)
        options = {"options": f"-c search_path={_SEARCH_PATH}"}
        self._app = App(connector=PsycopgConnector(conninfo=conninfo, min_size=1, kwargs=options))
        # only for jobs in the ledger's transactions
        self._deferring = App(connector=SyncPsycopgConnector())
        self._ended: dict[str, asyncio.Event] = {}
        self._app.task(name=_ATTEMPT, queue=QUEUE, retry=RetryStrategy(wait=_PAUSE))(self._attempt)
        stalled = self._app.task(name=_RETRY_STALLED, queue=QUEUE, queueing_lock=_RETRY_STALLED)(
            self._retry_stalled
        )
        self._app.periodic(cron=_EVERY_TEN_SECONDS)(stalled)
        await self._app.open_async()
        self._serving = asyncio.create_task(self._serve())
        self._serving.add_done_callback(self._note)
        await self._defer_lost()

    async def _close(self, *helpers: asyncio.Task[Any]) -> None:
        self._is_closing = True
        try:
            if self._serving is not None:
                self._serving.cancel()
                await asyncio.wait([self._serving])
                await self._app.close_async()
        finally:
            await super()._close(*helpers)

    async def _serve(self) -> None:
        """Make attempts, again after the database was away."""
        while not self._is_closing:
            try:
                await self._app.run_worker_async(
                    queues=[QUEUE],
                    concurrency=_CONCURRENCY,
                    fetch_job_polling_interval=_PAUSE,  # if a notification was missed
                    delete_jobs="always",
                    install_signal_handlers=False,
                    shutdown_graceful_timeout=0,  # Other workers go on with the jobs.
                )
            except ConnectorException as error:
                reason = str(error.__cause__ or error).strip().partition("\n")[0]
                logger.warning(
                    "The workers' tables cannot be used (%s). They are tried again.", reason
                )
            await asyncio.sleep(_PAUSE)

    async def _claim(self, now: float, *, is_allowed: bool) -> Claim:
        return await self._db(
            self._entries.claim, now, self._limits, is_allowed=is_allowed, on_claim=self._defer
        )

    def _defer(self, connection: sa.Connection, key: str) -> None:
        _use_jobs(connection)
        driver = connection.connection.driver_connection
        try:
            self._deferring.configure_task(_ATTEMPT, queue=QUEUE, connection=driver).defer(key=key)
        except ConnectorException as error:
            raise LedgerUnavailableError(
                "The workers' tables cannot be used.", reason=str(error)
            ) from None

    def _begin(self, row: Any) -> None:
        """Leave it to the job."""

    async def _look(self) -> None:
        await self._db(self._entries.revive)

    async def _defer_lost(self) -> None:
        """Put attempts into the queue for which there is no job, because a run has begun them."""
        jobs = await self._app.job_manager.list_jobs_async(queue=QUEUE, task=_ATTEMPT)
        known = {job.task_kwargs["key"] for job in jobs}
        for row in await self._db(self._entries.active):
            if row.key not in known:
                with suppress(AlreadyEnqueued):  # Another worker has just done it.
                    await self._app.configure_task(
                        _ATTEMPT, queue=QUEUE, queueing_lock=row.key
                    ).defer_async(key=row.key)

    # What the jobs do.

    async def _attempt(self, key: str) -> None:
        """Make the newest attempt of an entry, or go on with it, and follow it to its end."""
        first = row = await self._db(self._entries.get, key)
        while row is not None and row.state == "active" and row.attempts == first.attempts:
            name = attempt_key(row)
            ended = self._ended.setdefault(name, asyncio.Event())
            if name not in self._rows:
                self._make(row, self._go_on(row))
            await ended.wait()
            row = await self._db(self._entries.get, key)

    async def _go_on(self, row: Any) -> None:
        record = await self._db(self._ledger.get, attempt_key(row))
        if record is not None and record.state != "not_placed":
            await self._settle(row, None)
        elif self._seconds_closed(self._clock.now()) or await self._db(self._entries.is_paused):
            await self._wait_again(row, None)
        else:
            await self._start(row)

    def _drop(self, row: Any) -> None:
        super()._drop(row)
        if ended := self._ended.pop(attempt_key(row), None):
            ended.set()

    async def _retry_stalled(self, timestamp: int) -> None:  # noqa: ARG002 - procrastinate gives it to periodic tasks
        """
        Give jobs of workers that have died to those that live. It is what procrastinate's
        documentation proposes.
        """
        for job in await self._app.job_manager.get_stalled_jobs(queue=QUEUE):
            await self._app.job_manager.retry_job(job)


def _create_jobs(connection: sa.Connection) -> None:
    """Create procrastinate's tables if they are missing."""
    lock(connection)
    if not has_jobs(connection):
        connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {_SEARCH_PATH}")
        _use_jobs(connection)
        # since it executes several statements at once
        driver: Any = connection.connection.driver_connection
        driver.execute(SchemaManager.get_schema())


def _use_jobs(connection: sa.Connection) -> None:
    """Let procrastinate's statements find its tables until the end of the transaction."""
    connection.exec_driver_sql(
        f"SELECT set_config('search_path', '{_SEARCH_PATH},' || current_setting('search_path'), "
        "true)"
    )
