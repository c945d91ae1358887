"""
Distributes the attempts of a campaign to workers on several machines, with procrastinate.

Each worker claims attempts like a run and sends the init request. The transaction of the claim also
queues a job, with which one of the workers follows the callback. If that worker dies, another one
gets the job.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from hashlib import sha256
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
#: A separate schema, because another program may use procrastinate in the same database.
_SEARCH_PATH = "tenios_jobs"
#: How often to look for attempts that no worker follows, as a cron expression.
_EVERY_TEN_SECONDS = "* * * * * */10"
#: Maximum jobs of a worker. The limit of the campaign is lower.
_CONCURRENCY = 100_000
_PAUSE = 1
_MAX_QUEUE = 40

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
                "Workers need a ledger in PostgreSQL. With SQLite, use run instead."
            )
        # A channel of PostgreSQL is named after it, with a prefix, in at most 63 bytes.
        is_long = len(campaign.encode()) > _MAX_QUEUE
        self._name = sha256(campaign.encode()).hexdigest()[:_MAX_QUEUE] if is_long else campaign
        self._create_jobs: Callable[[], None] = lambda: database.run(_create_jobs)
        conninfo = database.url.set(drivername="postgresql").render_as_string(hide_password=False)
        options = {"options": f"-c search_path={_SEARCH_PATH}"}
        self._app = App(connector=PsycopgConnector(conninfo=conninfo, min_size=1, kwargs=options))
        # defers jobs in transactions of the ledger
        self._deferring = App(connector=SyncPsycopgConnector())

    def defer(self, connection: sa.Connection, key: str) -> None:
        """Queue a job for an attempt that this transaction claims."""
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
        Follow attempts until cancelled, also after errors of the database.

        Args:
            follow: Follows the attempt with this key.
            orphans: Returns the keys of attempts that no process may be following.
        """
        await asyncio.to_thread(self._create_jobs)

        async def look_after(timestamp: int) -> None:  # noqa: ARG001 - procrastinate passes it
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
                        shutdown_graceful_timeout=0,  # other workers get the jobs
                    )
                except ConnectorException as error:
                    reason = str(error.__cause__ or error).strip().partition("\n")[0]
                    logger.warning("The workers' tables cannot be used (%s). Trying again.", reason)
                await asyncio.sleep(_PAUSE)


def _create_jobs(connection: sa.Connection) -> None:
    """Create procrastinate's tables if they do not exist."""
    lock(connection)
    if connection.scalar(sa.select(sa.func.to_regclass(f"{_SEARCH_PATH}.procrastinate_jobs"))):
        return
    connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {_SEARCH_PATH}")
    _use_jobs(connection)
    # SQLAlchemy would not execute several statements at once.
    driver: Any = connection.connection.driver_connection
    driver.execute(SchemaManager.get_schema())


def _use_jobs(connection: sa.Connection) -> None:
    """Put procrastinate's schema into the search path of this transaction."""
    connection.exec_driver_sql(
        f"SELECT set_config('search_path', '{_SEARCH_PATH},' || current_setting('search_path'), "
        "true)"
    )
