"""The ledger's database and its statements."""

from __future__ import annotations

import os
import sqlite3
from contextlib import nullcontext, suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa

from .._exceptions import ConfigurationError, LedgerUnavailableError, NotSentError
from ._forks import no_fork
from ._numbers import busy_until, check_blocked, check_in_use
from ._schema import blocked_numbers, entries, schema

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from contextlib import AbstractContextManager

    from ._schema import Schema

Result = TypeVar("Result")

#: The time limit of each statement, and of waiting for a connection or a lock (seconds).
LIMIT = 10
#: File systems of one machine, where locks work. Several machines may share the others: NFS, 9p,
#: virtiofs and most of those over FUSE.
_LOCAL = {
    *("aufs", "bcachefs", "btrfs", "erofs", "exfat", "ext2", "ext3", "ext4", "f2fs", "fuseblk"),
    *("hfs", "hfsplus", "jfs", "msdos", "nilfs2", "ntfs", "ntfs3", "overlay", "ramfs", "reiserfs"),
    *("rootfs", "tmpfs", "ubifs", "udf", "ufs", "vfat", "xfs", "zfs"),
}
#: Allows any other file system: sqlite:////mnt/callbacks.db?locks=reliable
_INSIST = "locks"
_SECRETS = ("password", "sslpassword")
_PSYCOPG = "postgresql+psycopg"
_DRIVERS = {"sqlite": "sqlite", "postgres": _PSYCOPG, "postgresql": _PSYCOPG, _PSYCOPG: _PSYCOPG}
_POSTGRESQL = {
    "connect_timeout": LIMIT,
    "tcp_user_timeout": LIMIT * 1000,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    # pgbouncer may give each transaction another connection.
    "prepare_threshold": None,
    "client_encoding": "utf8",
}
_JULIAN_SECONDS = "(julianday('now') - 2440587.5) * 86400.0"
# An arbitrary number that other programs are unlikely to use.
_LOCK = 4_826_353_071


def _parse(url: str) -> sa.URL:
    """Return a checked URL. Raises ConfigurationError, whose message does not show the URL."""
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
    return parsed if parsed.drivername != "sqlite" else _parse_sqlite(parsed)


def _parse_sqlite(url: sa.URL) -> sa.URL:
    name = url.database
    if not name or name == ":memory:" or name.startswith("file:") or url.host:
        raise ConfigurationError(
            "A ledger must be stored in a file, such as sqlite:///callbacks.db."
        )
    try:
        path = Path(name).expanduser().resolve()  # The working directory may change.
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigurationError(f"The ledger's file cannot be used: {error}") from None
    if url.query.keys() - {_INSIST}:
        raise ConfigurationError(f"The URL of a SQLite ledger may only have the option {_INSIST}.")
    kind = file_system(path, _mounts())
    if kind and kind not in _LOCAL and url.query.get(_INSIST) != "reliable":
        raise ConfigurationError(
            f"The ledger {path} is on a file system ({kind}) that several machines can share, so "
            "SQLite's locks may not work. Use PostgreSQL, or, if only this machine uses the file, "
            f"add ?{_INSIST}=reliable to the URL."
        )
    return url.set(database=str(path)).difference_update_query([_INSIST])


def shown(url: sa.URL) -> str:
    """Return a URL without its passwords."""
    hidden = {name: "***" for name in _SECRETS if name in url.query}
    text = url.update_query_dict(hidden).render_as_string(hide_password=True)
    return text.replace("%2A%2A%2A", "***")


def _mounts() -> Iterable[str]:
    mounts = Path("/proc/mounts")  # Linux only.
    return mounts.read_text(errors="replace").splitlines() if mounts.exists() else ()


def file_system(path: Path, mounts: Iterable[str]) -> str:
    """Return the type of *path*'s file system, from the lines of ``/proc/mounts``, or ""."""
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
        path = Path(str(url.database))
        _create_file(path)
        # No connection is kept or shared after a fork. Opening one takes a tenth of a commit.
        options |= {
            "poolclass": sa.NullPool,
            # A file that is deleted is not created again.
            "creator": lambda: sqlite3.connect(
                f"{path.as_uri()}?mode=rw",
                uri=True,
                timeout=LIMIT,
                isolation_level=None,
                check_same_thread=False,  # A garbage collection may close it in any thread.
            ),
        }
    else:
        options |= {
            "connect_args": {
                name: value for name, value in _POSTGRESQL.items() if name not in url.query
            },
            "isolation_level": "READ COMMITTED",  # A claim must see a conflicting row.
            "pool_pre_ping": True,
            "pool_timeout": LIMIT,
        }
    try:
        engine = sa.create_engine(url, **options)
    except ImportError:
        raise ConfigurationError(
            "psycopg is not installed. Run: pip install 'tenios-callback[ledger]'"
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
    # They also end the transaction of a suspended process.
    limits = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
    set_all = ", ".join(f"set_config('{each}', '{LIMIT * 1000:.0f}', true)" for each in limits)
    connection.exec_driver_sql(f"SELECT {set_all}")


def _create_file(path: Path) -> None:
    """Create a file that only its owner can read, because it will contain phone numbers."""
    with suppress(OSError):  # If it cannot be created, SQLite reports why.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


class Database:
    """
    The database of a ledger. Each method is one transaction, and raises LedgerUnavailableError if
    the database is not available.

    Attributes:
        url: The URL, with passwords.
        entries: The table of the ledger.
        blocked_numbers: The table of blocked numbers.
        busy_until: The latest end of an entry's callback; 0 if it has ended.
        now: The database's clock, in seconds since the epoch.
        state: The state of an entry. A request that must have ended counts as unknown.

    Raises:
        ConfigurationError: The URL is invalid, the database cannot be used, or another release has
            changed its tables.
    """

    entries = entries
    blocked_numbers = blocked_numbers
    busy_until = busy_until

    def __init__(self, url: str) -> None:
        self.url = _parse(url)
        self._engine = _connect(self.url)
        # All statements of a transaction see the same data. Both options in one call: SQLAlchemy
        # 2.0.0 cannot set an isolation level on an engine that has options.
        options = {"isolation_level": "REPEATABLE READ"} if self.is_postgresql else {}
        self._reader = self._engine.execution_options(read_only=True, **options)
        self._pid = os.getpid()
        self._schemas: set[Schema] = set()
        # The time of the statement, because the transaction may have waited for another one.
        since_epoch = (
            "extract(epoch FROM statement_timestamp())" if self.is_postgresql else _JULIAN_SECONDS
        )
        self.now: sa.ColumnElement[float] = sa.literal_column(
            f"CAST({since_epoch} AS double precision)", sa.Double
        )
        c = entries.c
        # A beginning in the future means that the clock was set back.
        has_passed = (c.deadline <= self.now) | (c.dialled_at > self.now + 1)
        is_over = (c.state == "dialling") & has_passed
        self.state = sa.case((is_over, "unknown"), else_=entries.c.state)
        try:
            self.open(schema)
        except LedgerUnavailableError as error:
            reason = error.reason
        except ConfigurationError:
            self.close()
            raise
        else:
            return
        raise ConfigurationError(
            f"The ledger {shown(self.url)!r} cannot be used ({reason}).", reason=reason
        )

    @property
    def is_postgresql(self) -> bool:
        """Whether it is PostgreSQL, and not SQLite."""
        return self._engine.dialect.name == "postgresql"

    def open(self, tables: Schema) -> None:
        """
        Create missing tables; without a lock if they exist. Raises ConfigurationError if another
        release has changed them.
        """

        def create(connection: sa.Connection) -> None:
            if self.is_postgresql:
                if connection.exec_driver_sql("SHOW server_encoding").scalar() != "UTF8":
                    raise ConfigurationError("The ledger's database must have the encoding UTF8.")
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
            tables.create(connection)

        if not self.run(tables.exists, read_only=True):
            self.run(create)
        self._schemas.add(tables)
        self.run(self.check, read_only=True)

    def check(self, connection: sa.Connection) -> None:
        """Raise ConfigurationError if another release has changed the tables."""
        for each in self._schemas:
            each.check(connection)

    def close(self) -> None:
        self._engine.dispose(close=self._pid == os.getpid())

    def _begin(self, *, read_only: bool = False) -> AbstractContextManager[sa.Connection]:
        """Begin a transaction that is committed at the end of the block."""
        if self._pid != os.getpid():  # Connections must not be shared after a fork.
            self._engine.dispose(close=False)
            self._pid = os.getpid()
        return (self._reader if read_only else self._engine).begin()

    def run(self, work: Callable[[sa.Connection], Result], *, read_only: bool = False) -> Result:
        """
        Return the result of *work* in a transaction. The traceback of an error contains no
        statements or passwords.
        """
        try:
            with (
                nullcontext() if self.is_postgresql else no_fork(),
                self._begin(read_only=read_only) as connection,
            ):
                return work(connection)
        except sa.exc.SQLAlchemyError as error:
            reason = _reason(error, self.url)
        raise LedgerUnavailableError(
            f"The ledger cannot be used ({reason}). Try again later.", reason=reason
        )

    def _insert(self, table: sa.Table) -> Any:
        """Return an INSERT that supports ON CONFLICT."""
        return import_module(f"sqlalchemy.dialects.{self._engine.dialect.name}").insert(table)

    def _select(
        self, connection: sa.Connection, *where: sa.ColumnElement[bool]
    ) -> list[sa.Row[Any]]:
        columns = [column for column in entries.c if column is not entries.c.state]
        selected = sa.select(self.state.label("state"), *columns).where(*where)
        return list(connection.execute(selected.order_by(entries.c.created_at, entries.c.key)))

    def _change(self, statement: sa.Executable) -> int:
        """Execute a statement. Return the number of changed rows."""
        return self.run(lambda connection: connection.execute(statement).rowcount)

    def rows(self, *, key: str | None = None, state: str | None = None) -> list[sa.Row[Any]]:
        where = [entries.c.key == key] if key is not None else []
        where += [self.state == state] if state is not None else []
        return self.run(lambda connection: self._select(connection, *where), read_only=True)

    def claim(
        self,
        key: str,
        *,
        token: str,
        seconds: float,
        on_claim: Callable[[sa.Connection], None] | None = None,
        one_call_per_number: bool = False,
        **values: Any,
    ) -> sa.Row[Any]:
        """
        Assign a key to the attempt with this token for a number of seconds, if the key is new, or
        not placed and used with the same arguments.

        Then *on_claim* is called in the same transaction. Return the row of the key. It has the
        token of another attempt if the key could not be assigned.

        Raises:
            BlockedNumberError: The key could be assigned, but its number is blocked.
            NotSentError: Another release has changed the tables.
            NumberInUseError: The key could be assigned, but a callback to its number may be in
                progress.
        """
        now = self.now
        values |= {
            "state": "dialling",
            "token": token,
            "dialled_at": now,
            "updated_at": now,
            "deadline": now + seconds,
        }
        insert = self._insert(entries).values(key=key, attempts=1, created_at=now, **values)
        same = entries.c.arguments.is_(None) | (entries.c.arguments == insert.excluded.arguments)
        earlier = dict.fromkeys(("last_error", "callback_id", "started_at", "status"))
        again = values | earlier | {"attempts": entries.c.attempts + 1}
        upsert = insert.on_conflict_do_update(
            index_elements=["key"], set_=again, where=(entries.c.state == "not_placed") & same
        )

        def work(connection: sa.Connection) -> sa.Row[Any]:
            try:
                self.check(connection)
            except ConfigurationError as error:
                raise NotSentError(f"{error} Nothing was sent.") from None
            connection.execute(upsert)
            row = self._select(connection, entries.c.key == key)[0]
            if row.token == token:  # Otherwise nothing is sent.
                check_blocked(connection, values["number"])
                if one_call_per_number:
                    check_in_use(connection, values["number"], key=key, now=now)
                if on_claim is not None:
                    on_claim(connection)
            return row

        return self.run(work)

    def block(self, number: str, reason: str | None) -> sa.Row[Any]:
        values = {"number": number, "reason": reason, "blocked_at": self.now}
        insert = self._insert(blocked_numbers).values(values)
        c = blocked_numbers.c
        upsert = insert.on_conflict_do_update(
            index_elements=["number"],
            set_={"reason": sa.func.coalesce(insert.excluded.reason, c.reason)},
        )
        return self.run(lambda connection: connection.execute(upsert.returning(*c)).one())

    def unblock(self, number: str) -> bool:
        statement = sa.delete(blocked_numbers).where(blocked_numbers.c.number == number)
        return self._change(statement) > 0

    def blocked(self) -> list[sa.Row[Any]]:
        c = blocked_numbers.c
        selected = sa.select(blocked_numbers).order_by(c.blocked_at, c.number)
        return self.run(lambda connection: list(connection.execute(selected)), read_only=True)

    def record(self, key: str, token: str, **values: Any) -> bool:
        """
        Record the result of an attempt. Return whether the key still belongs to it.

        A callback is always recorded. Other results are not, if the key was resolved meanwhile.
        """
        where = [entries.c.key == key, entries.c.token == token]
        where += [] if values["state"] == "placed" else [entries.c.state == "dialling"]
        statement = sa.update(entries).where(*where).values(updated_at=self.now, **values)
        return self._change(statement) > 0

    def record_status(self, callback_id: int, status: str, *, later: Collection[str]) -> None:
        """Record the status of a callback, unless its status is one of the *later* ones."""
        c = entries.c
        where = (c.callback_id == str(callback_id)) & (c.status.is_(None) | c.status.not_in(later))
        self._change(sa.update(entries).where(where).values(status=status, updated_at=self.now))

    def resolve(
        self, key: str, *, is_placed: bool, callback_id: int | None
    ) -> tuple[bool, sa.Row[Any] | None]:
        """Resolve an unknown outcome. Return whether it was unknown, and the row, if any."""
        c = entries.c
        may_resolve = self.state == "unknown"
        values: dict[str, Any] = {
            "state": "placed" if is_placed else "not_placed",
            "updated_at": self.now,
            "last_error": None,
        }
        if callback_id is not None:
            may_resolve |= (c.state == "placed") & c.callback_id.is_(None)
            values |= {"callback_id": str(callback_id), "started_at": c.dialled_at}
        update = sa.update(entries).where(c.key == key, may_resolve).values(values)

        def work(connection: sa.Connection) -> tuple[bool, sa.Row[Any] | None]:
            is_resolved = connection.execute(update).rowcount > 0
            return is_resolved, next(iter(self._select(connection, c.key == key)), None)

        return self.run(work)

    def forget(self, seconds: float) -> int:
        """
        Erase personal data of old entries. Return their number. A callback that may be in progress
        keeps them.
        """
        c = entries.c
        is_old = (
            (c.updated_at <= self.now - seconds)
            & (self.state != "dialling")
            & (busy_until <= self.now)
            & c.number.is_not(None)
        )
        values = {"number": None, "arguments": None, "last_error": None}
        return self._change(sa.update(entries).where(is_old).values(values))


def _reason(error: Exception, url: sa.URL) -> str:
    """
    Return the driver's error in one line, without statement, parameters and passwords; and the id
    of a process that has locked the SQLite file.
    """
    lines = str(getattr(error, "orig", None) or error).split("\n")
    text = lines[0].strip()
    for secret in (url.password, *map(url.query.get, _SECRETS)):
        text = text.replace(str(secret), "***") if secret else text
    holders = _lock_holders(Path(str(url.database))) if "is locked" in text else ()
    text = f"{type(error).__name__}: {text}"
    return text + (f" by process {holders[0]}" if holders else "")


def _lock_holders(path: Path) -> list[int]:
    """Return the ids of other processes that have locked a file; on Linux only."""
    try:
        inode, locks = path.stat().st_ino, Path("/proc/locks").read_text()
    except OSError:
        return []
    found = {int(line.split()[4]) for line in locks.splitlines() if f":{inode} " in line}
    return sorted(found - {os.getpid(), -1})
