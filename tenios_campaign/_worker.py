"""
Gives the attempts of a campaign to workers on any number of machines, with procrastinate.

Each worker claims attempts as a run does, and sends the init request. In the transaction of the
claim, it puts a job into the queue, with which one of the workers follows the callback. If that
worker dies, another one gets the job.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from procrastinate import App, PsycopgConnector, RetryStrategy, SyncPsycopgConnector
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException
from procrastinate.schema import SchemaManager

from tenios_ext import ConfigurationError, LedgerUnavailableError

from ._tables import lock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tenios_ext.ledger import Ledger

_ATTEMPT = "attempt"
_LOOK_AFTER = "look after jobs"
#: procrastinate's tables have a schema of their own, so that they are not those of another program
#: in the same database.
_SEARCH_PATH = "tenios_jobs"
#: How often attempts are looked for that no worker follows, as a cron expression.
_EVERY_TEN_SECONDS = "* * * * * */10"
#: How many attempts a worker follows at most. They are limited by the campaign.
_CONCURRENCY = 100_000
_PAUSE = 1

logger = logging.getLogger("tenios_campaign")


class Queue:
    """
    The jobs of a campaign's workers.

    Raises:
        ConfigurationError: The ledger is not in PostgreSQL.
    """

    def __init__(self, ledger: Ledger, campaign: str) -> None:
        database = ledger.database
        if not database.is_postgresql:
            raise ConfigurationError(
                "Workers need a ledger in PostgreSQL. Use run for SQLite, which is for one machine."
            )
        self._name = campaign
        self._create_jobs: Callable[[], None] = lambda: database.run(_create_jobs)
        conninfo = database.url.set(drivername="postgresql").render_as_string(hide_password=False)
        options = {"options": f"-c search_path={_SEARCH_PATH}"}
        self._app = App(connector=PsycopgConnector(conninfo=conninfo, min_size=1, kwargs=options))
        # only for jobs in the ledger's transactions
        self._deferring = App(connector=SyncPsycopgConnector())

    def defer(self, connection: sa.Connection, key: str) -> None:
        """Let a worker follow an attempt that is claimed in this transaction."""
        _use_jobs(connection)
        driver = connection.connection.driver_connection
        task = self._deferring.configure_task(_ATTEMPT, queue=self._name, connection=driver)
        try:
            task.defer(key=key)
        except ConnectorException as error:
            raise LedgerUnavailableError(
                "The workers' tables cannot be used.", reason=str(error)
            ) from None

    async def serve(
        self,
        follow: Callable[[str], Awaitable[None]],
        orphans: Callable[[], Awaitable[list[str]]],
    ) -> None:
        """
        Follow attempts, again after the database was away, until it is cancelled.

        Args:
            follow: Follows the attempt with this key.
            orphans: Returns the attempts that nobody may be following.
        """
        await asyncio.to_thread(self._create_jobs)

        async def look_after(timestamp: int) -> None:  # noqa: ARG001 - procrastinate gives it to periodic tasks
            manager = self._app.job_manager
            for job in await manager.get_stalled_jobs(queue=self._name):
                await manager.retry_job(job)
            jobs = await manager.list_jobs_async(queue=self._name, task=_ATTEMPT)
            known = {job.task_kwargs["key"] for job in jobs}
            for key in await orphans():
                if key not in known:
                    with suppress(AlreadyEnqueued):
                        task = self._app.configure_task(
                            _ATTEMPT, queue=self._name, queueing_lock=key
                        )
                        await task.defer_async(key=key)

        self._app.task(name=_ATTEMPT, queue=self._name, retry=RetryStrategy(wait=_PAUSE))(follow)
        name = f"{_LOOK_AFTER} of {self._name}"
        periodic = self._app.task(name=name, queue=self._name, queueing_lock=name)(look_after)
        self._app.periodic(cron=_EVERY_TEN_SECONDS)(periodic)
        async with self._app.open_async():
            while True:
                try:
                    await self._app.run_worker_async(
                        queues=[self._name],
                        concurrency=_CONCURRENCY,
                        fetch_job_polling_interval=_PAUSE,  # if a notification was missed
                        delete_jobs="always",
                        install_signal_handlers=False,
                        shutdown_graceful_timeout=0,  # Other workers get the jobs.
                    )
                except ConnectorException as error:
                    reason = str(error.__cause__ or error).strip().partition("\n")[0]
                    logger.warning(
                        "The workers' tables cannot be used (%s). They are tried again.", reason
                    )
                await asyncio.sleep(_PAUSE)


def _create_jobs(connection: sa.Connection) -> None:
    """Create procrastinate's tables if they are missing."""
    lock(connection)
    if connection.scalar(sa.select(sa.func.to_regclass(f"{_SEARCH_PATH}.procrastinate_jobs"))):
        return
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
