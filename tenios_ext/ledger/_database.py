"""
The ledger's database: how it is opened, its tables, and each statement. The only module that
imports SQLAlchemy.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from .._exceptions import ConfigurationError, LedgerUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from contextlib import AbstractContextManager

Result = TypeVar("Result")

#: The version of the tables. A later release that changes them counts up.
SCHEMA = 1
#: The time limit of each statement, and of waiting for a connection or a lock (seconds).
LIMIT = 10
#: File systems whose locks cannot be relied on between machines.
_NETWORK = {
    "afs",
    "ceph",
    "cifs",
    "fuse.glusterfs",
    "fuse.sshfs",
    "lustre",
    "ncpfs",
    "nfs",
    "nfs4",
    "smb3",
    "smbfs",
}
_PSYCOPG = "postgresql+psycopg"
_DRIVERS = {"sqlite": "sqlite", "postgres": _PSYCOPG, "postgresql": _PSYCOPG, _PSYCOPG: _PSYCOPG}
_POSTGRESQL = {
    "connect_timeout": LIMIT,
    "tcp_user_timeout": LIMIT * 1000,
    # A pooler such as pgbouncer gives each transaction another connection.
    "prepare_threshold": None,
}
_JULIAN_SECONDS = "(julianday('now') - 2440587.5) * 86400.0"
# Any number that other programs are unlikely to use.
_LOCK = 4_826_353_071

_metadata = sa.MetaData()
entries = sa.Table(
    "tenios_ledger",
    _metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("token", sa.Text, nullable=False),  # of the attempt that has the key
    sa.Column("number", sa.Text),
    sa.Column("arguments", sa.Text),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("delay", sa.Integer, nullable=False),
    # up to 19 digits, more than an integer of either database takes
    sa.Column("callback_id", sa.Text, index=True),
    sa.Column("started_at", sa.Double),  # by the clock of the machine that dialled
    sa.Column("status", sa.Text),
    sa.Column("last_error", sa.Text),
    # By the database's clock, in seconds since the epoch.
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("dialled_at", sa.Double, nullable=False),
    sa.Column("updated_at", sa.Double, nullable=False),
    sa.Column("deadline", sa.Double, nullable=False),
)
#: What a campaign knows of its customers in the same database, as far as it is personal.
_customers = sa.table(
    "tenios_campaign_entries",
    *map(sa.column, ("state", "number", "agent_announcement", "error", "updated_at")),
)
_versions = sa.Table(
    "tenios_ledger_schema", _metadata, sa.Column("version", sa.Integer, primary_key=True)
)


def _parse(url: str) -> sa.URL:
    """
    Return the URL of a database that can hold a ledger. Raises ConfigurationError; its message does
    not show the URL.
    """
    try:
        parsed = sa.make_url(url)
        parsed = parsed.set(drivername=_DRIVERS[parsed.drivername])
    except (KeyError, ValueError, sa.exc.ArgumentError):
        parsed = None
    if parsed is None:
        raise ConfigurationError(
            "The ledger's URL must look like sqlite:///callbacks.db or "
            "postgresql://user:password@host/database."
        )
    if parsed.drivername != "sqlite":
        return parsed
    if not parsed.database or parsed.database == ":memory:" or parsed.database.startswith("file:"):
        raise ConfigurationError(
            "A ledger must outlive its process. Name a file, as in sqlite:///callbacks.db."
        )
    # The process may change its directory later.
    path = Path(parsed.database).expanduser().resolve()
    if (kind := file_system(path, _mounts())) in _NETWORK:
        raise ConfigurationError(
            f"The ledger {path} is on a network file system ({kind}), where SQLite cannot prevent "
            "that two machines dial for the same key. Use PostgreSQL."
        )
    return parsed.set(database=str(path))


def _mounts() -> Iterable[str]:
    mounts = Path("/proc/mounts")  # Linux only.
    return mounts.read_text(errors="replace").splitlines() if mounts.exists() else ()


def file_system(path: Path, mounts: Iterable[str]) -> str:
    """
    Return the type of the file system that *path* is on, by the lines of ``/proc/mounts``; empty if
    none matches.
    """
    found = [
        (len(point), kind)
        for _, point, kind, *_ in map(str.split, mounts)
        if path.is_relative_to(_unescape(point))
    ]
    return max(found, key=lambda each: each[0])[1] if found else ""


def _unescape(point: str) -> str:
    return point.encode("latin-1", "replace").decode("unicode_escape") if "\\" in point else point


def _connect(url: sa.URL) -> sa.Engine:
    options: dict[str, Any] = {"hide_parameters": True}
    if url.drivername == "sqlite":
        # No connection is kept: none is shared after a fork, and opening one takes a tenth of what
        # a commit takes.
        options |= {
            "poolclass": sa.NullPool,
            "connect_args": {"timeout": LIMIT, "isolation_level": None},
        }
    else:
        options |= {
            "connect_args": {
                name: value for name, value in _POSTGRESQL.items() if name not in url.query
            },
            "isolation_level": "READ COMMITTED",  # A claim must see a row that it met.
            "pool_pre_ping": True,
            "pool_timeout": LIMIT,
        }
    try:
        engine = sa.create_engine(url, **options)
    except ImportError:
        raise ConfigurationError(
            "PostgreSQL needs psycopg: pip install 'tenios-callback[ledger]'"
        ) from None
    sa.event.listen(
        engine, "begin", _begin_sqlite if url.drivername == "sqlite" else _begin_postgresql
    )
    return engine


def _begin_sqlite(connection: sa.Connection) -> None:
    connection.exec_driver_sql("PRAGMA synchronous = FULL")
    connection.exec_driver_sql(
        "BEGIN" if connection.get_execution_options().get("read_only") else "BEGIN IMMEDIATE"
    )


def _begin_postgresql(connection: sa.Connection) -> None:
    connection.exec_driver_sql(f"SET LOCAL statement_timeout = {LIMIT * 1000:.0f}")


class Database:
    """
    The database of a ledger. Each method is one transaction, and raises LedgerUnavailableError if
    the database cannot be used.

    Args:
        url: Its URL.

    Raises:
        ConfigurationError: The URL is wrong, the database cannot be used, or a later release has
            made its tables.
    """

    def __init__(self, url: str) -> None:
        self.url = _parse(url)
        self._engine = _connect(self.url)
        self._reader = self._engine.execution_options(read_only=True)
        self._pid = os.getpid()
        # Of the statement, not of the transaction, which may have waited for another one.
        since_epoch = (
            "extract(epoch FROM statement_timestamp())" if self.is_postgresql else _JULIAN_SECONDS
        )
        self.now: sa.ColumnElement[float] = sa.literal_column(
            f"CAST({since_epoch} AS double precision)", sa.Double
        )
        is_over = (entries.c.state == "dialling") & (entries.c.deadline <= self.now)
        self._state = sa.case((is_over, "unknown"), else_=entries.c.state)
        try:
            self.run(self._create_tables)
        except LedgerUnavailableError as error:
            reason = error.reason
        except ConfigurationError:
            self.close()
            raise
        else:
            return
        raise ConfigurationError(f"The ledger {str(self.url)!r} cannot be used ({reason}).")

    @property
    def is_postgresql(self) -> bool:
        """Whether it is PostgreSQL, and not SQLite."""
        return self._engine.dialect.name == "postgresql"

    def _create_tables(self, connection: sa.Connection) -> None:
        if self.is_postgresql:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        _metadata.create_all(connection)
        version = connection.scalar(sa.select(sa.func.max(_versions.c.version)))
        if version is None:
            connection.execute(sa.insert(_versions).values(version=SCHEMA))
        elif version > SCHEMA:
            raise ConfigurationError(
                f"A later release of tenios-callback has made this ledger (version {version}; this "
                f"release knows version {SCHEMA}). Install that release."
            )

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose(close=self._pid == os.getpid())

    def _begin(self, *, read_only: bool = False) -> AbstractContextManager[sa.Connection]:
        """Begin a transaction, which is committed at the end."""
        if self._pid != os.getpid():  # Connections must not be shared after a fork.
            self._engine.dispose(close=False)
            self._pid = os.getpid()
        return (self._reader if read_only else self._engine).begin()

    def run(self, work: Callable[[sa.Connection], Result], *, read_only: bool = False) -> Result:
        """
        Return what *work* returns in a transaction. An error has none of the frames that hold
        statements and passwords.
        """
        try:
            with self._begin(read_only=read_only) as connection:
                return work(connection)
        except sa.exc.SQLAlchemyError as error:
            reason = _reason(error, self.url)
        raise LedgerUnavailableError(
            f"The ledger cannot be used ({reason}). Try again later.", reason=reason
        )

    def _select(
        self, connection: sa.Connection, *where: sa.ColumnElement[bool]
    ) -> list[sa.Row[Any]]:
        columns = [column for column in entries.c if column is not entries.c.state]
        selected = sa.select(self._state.label("state"), *columns).where(*where)
        return list(connection.execute(selected.order_by(entries.c.created_at, entries.c.key)))

    def _change(
        self, statement: sa.Executable, key: str | None = None
    ) -> tuple[int, list[sa.Row[Any]]]:
        """
        Execute a statement. Return how many rows it has changed, and the row of *key* after it.
        """

        def work(connection: sa.Connection) -> tuple[int, list[sa.Row[Any]]]:
            changed = connection.execute(statement).rowcount
            return changed, self._select(
                connection, entries.c.key == key
            ) if key is not None else []

        return self.run(work)

    def rows(self, *, key: str | None = None, state: str | None = None) -> list[sa.Row[Any]]:
        """
        Return the rows, the oldest first. A request that must be over by now counts as unknown.
        """
        where = [entries.c.key == key] if key is not None else []
        where += [self._state == state] if state is not None else []
        return self.run(lambda connection: self._select(connection, *where), read_only=True)

    def claim(self, key: str, *, token: str, seconds: float, **values: Any) -> sa.Row[Any]:
        """
        Give a key to the attempt with this token for so many seconds, if it is new or may dial
        again with these arguments.

        Return its row, which has another attempt's token if it was not given.
        """
        now = self.now
        values |= {
            "state": "dialling",
            "token": token,
            "dialled_at": now,
            "updated_at": now,
            "deadline": now + seconds,
        }
        module: Any = postgresql if self.is_postgresql else sqlite
        insert = module.insert(entries).values(key=key, attempts=1, created_at=now, **values)
        same = entries.c.arguments.is_(None) | (entries.c.arguments == insert.excluded.arguments)
        again = values | {"attempts": entries.c.attempts + 1, "last_error": None}
        upsert = insert.on_conflict_do_update(
            index_elements=["key"], set_=again, where=(entries.c.state == "not_placed") & same
        )
        return self._change(upsert, key)[1][0]

    def record(self, key: str, token: str, **values: Any) -> bool:
        """
        Record the result of an attempt. Return whether the key is still that attempt's.

        A callback is recorded whatever was decided meanwhile; anything else only if nothing was.
        """
        where = [entries.c.key == key, entries.c.token == token]
        where += [] if values["state"] == "placed" else [entries.c.state == "dialling"]
        return (
            self._change(sa.update(entries).where(*where).values(updated_at=self.now, **values))[0]
            > 0
        )

    def record_status(self, callback_id: int, status: str, *, later: Collection[str]) -> None:
        """Record the status of a callback, unless it has one of those that are *later*."""
        c = entries.c
        where = (c.callback_id == str(callback_id)) & (c.status.is_(None) | c.status.not_in(later))
        self._change(sa.update(entries).where(where).values(status=status, updated_at=self.now))

    def resolve(
        self, key: str, *, is_placed: bool, callback_id: int | None
    ) -> tuple[bool, sa.Row[Any] | None]:
        """
        Record what a person has decided. Return whether that was possible, and the row; None if
        there is none.
        """
        c = entries.c
        may_resolve = self._state == "unknown"
        values: dict[str, Any] = {
            "state": "placed" if is_placed else "not_placed",
            "updated_at": self.now,
        }
        if callback_id is not None:
            may_resolve |= (c.state == "placed") & c.callback_id.is_(None)
            values |= {"callback_id": str(callback_id), "started_at": c.dialled_at}
        changed, rows = self._change(
            sa.update(entries).where(c.key == key, may_resolve).values(values), key
        )
        return changed > 0, rows[0] if rows else None

    def forget(self, seconds: float) -> int:
        """
        Erase what is personal in entries that have not changed for so long; return how many those
        are.
        """
        c, customer = entries.c, _customers.c
        is_old = (
            (c.updated_at <= self.now - seconds)
            & (self._state != "dialling")
            & c.number.is_not(None)
        )
        is_done = customer.state.not_in(["waiting", "active"]) & customer.number.is_not(None)
        from_ledger = (
            sa.update(entries).where(is_old).values(number=None, arguments=None, last_error=None)
        )
        from_campaign = sa.update(_customers).where(
            is_done, customer.updated_at <= self.now - seconds
        )

        def work(connection: sa.Connection) -> int:
            forgotten = connection.execute(from_ledger).rowcount
            if sa.inspect(connection).has_table(_customers.name):
                connection.execute(
                    from_campaign.values(number=None, agent_announcement=None, error=None)
                )
            return forgotten

        return self.run(work)


def _reason(error: Exception, url: sa.URL) -> str:
    """Return what the driver says, in one line, without statement, parameters and password."""
    lines = str(getattr(error, "orig", None) or error).split("\n")
    text = f"{type(error).__name__}: {lines[0].strip()}"
    return text.replace(str(url.password), "***") if url.password else text
