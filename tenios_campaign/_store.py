"""The campaigns' tables in the ledger's database, and the statements on them (SQLAlchemy)."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from attrs import asdict, evolve, fields

from tenios_ext import CallbackStatus, ConfigurationError

from ._hours import OpeningHours
from ._models import CampaignEntry, CampaignSummary
from ._rules import Facts, Row, after_failure, ending

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from tenios_ext import Clock
    from tenios_ext.ledger import Ledger

    from ._models import CampaignState

#: The version of the tables. A later release that changes them counts up, and gets a list of steps
#: from each version to the next: Alembic would be two more packages for what are a few statements.
SCHEMA = 1
#: How long a process may stop in the middle of a transaction that others wait for.
_IDLE = "5s"
#: Any number that other programs are unlikely to use.
_LOCK = 4_826_353_072
#: How many rows are read or written in a transaction.
BATCH = 1000

_metadata = sa.MetaData()
_versions = sa.Table(
    "tenios_campaign_schema", _metadata, sa.Column("version", sa.Integer, primary_key=True)
)
campaigns = sa.Table(
    "tenios_campaigns",
    _metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("is_paused", sa.Boolean, nullable=False, default=False),
    sa.Column("is_simulated", sa.Boolean),  # None before the first attempt
    sa.Column("max_active", sa.Integer),
    sa.Column("gap", sa.Double),
    sa.Column("hours", sa.Text),  # JSON
    sa.Column("delimiter", sa.Text, nullable=False, default=","),
    sa.Column("headers", sa.Text, nullable=False, default="[]"),  # JSON
    sa.Column("columns", sa.Text, nullable=False, default="{}"),  # JSON
    sa.Column("last_start", sa.Double, nullable=False, default=0.0),
    sa.Column("trouble", sa.Text),
    sa.Column("failures", sa.Integer, nullable=False, default=0),
    sa.Column("blocked_until", sa.Double, nullable=False, default=0.0),
)
customers = sa.Table(
    "tenios_campaign_customers",
    _metadata,
    sa.Column("campaign", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("number", sa.Text),  # None once it was forgotten
    sa.Column("delay", sa.Integer, nullable=False),
    sa.Column("agent_announcement", sa.Text),
    sa.Column("callback_config_id", sa.Text),
    sa.Column("cells", sa.Text),  # JSON
    sa.Column("max_attempts", sa.Integer, nullable=False),
    sa.Column("retry_after", sa.Double, nullable=False),
    sa.Column("agent_retry_after", sa.Double, nullable=False),
    # that were placed, may have been, or are being made
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("serial", sa.Integer, nullable=False, default=0),  # each attempt gets a new key
    sa.Column("attempt_key", sa.Text, index=True),
    # If neither of these is set, what the ledger says of the newest attempt is not dealt with yet.
    sa.Column("due_at", sa.Double),
    sa.Column("result", sa.Text),
    sa.Column("error", sa.Text),
    # In seconds since the epoch, by the clock of the database.
    sa.Column("claimed_at", sa.Double, nullable=False, default=0.0),
    sa.Column("busy_until", sa.Double, nullable=False, default=0.0),
    sa.Column("answered_at", sa.Double),
    sa.Column("ended_at", sa.Double),
    sa.Column("updated_at", sa.Double, nullable=False),
    sa.Index("tenios_campaign_result", "campaign", "result"),
    sa.Index("tenios_campaign_position", "campaign", "position"),
    sa.Index("tenios_campaign_number", "campaign", "number"),
)
c = customers.c
_is_left = c.result.is_(None)
sa.Index(
    "tenios_campaign_due",
    *(c.campaign, c.due_at, c.position),
    sqlite_where=_is_left,
    postgresql_where=_is_left,
)
_is_open = c.result.is_(None) & c.due_at.is_(None)
_is_waiting = c.result.is_(None) & c.due_at.is_not(None)


class Store:
    """
    A campaign in the database.

    Raises:
        ConfigurationError: Another release has made the tables.

    Attributes:
        database: The ledger's database.
        name: The campaign's name.
    """

    def __init__(self, ledger: Ledger, name: str, clock: Clock | None) -> None:
        self.database = ledger.database
        self.name = name
        self._clock = clock
        a = self.database.entries.c
        ledger_state = self.database.state
        self._joined = customers.outerjoin(self.database.entries, a.key == c.attempt_key)
        self._is_unknown = ledger_state == "unknown"
        self._is_dialling = ledger_state == "dialling"
        self._state = sa.case(
            (c.result.is_not(None), c.result),
            (c.due_at.is_not(None) | ledger_state.is_(None), "waiting"),
            (ledger_state == "not_placed", "waiting"),
            (self._is_unknown, "unknown"),
            (c.ended_at.is_not(None) | (~self._is_dialling & a.callback_id.is_(None)), "talked"),
            (c.answered_at.is_not(None) | (a.status == "CONNECTED"), "talking"),
            else_="ringing",
        )
        self._columns = [
            *customers.c,
            self._state.label("state"),
            ledger_state.label("ledger_state"),
            *(a.callback_id, a.started_at, a.status, a.last_error),
        ]
        self.database.run(self._create_tables)

    def _create_tables(self, connection: sa.Connection) -> None:
        lock(connection)
        _metadata.create_all(connection)
        if connection.scalar(sa.select(sa.func.count()).select_from(_versions)) == 0:
            connection.execute(sa.insert(_versions).values(version=SCHEMA))
        self._check_version(connection)

    @staticmethod
    def _check_version(connection: sa.Connection) -> None:
        version = connection.scalar(sa.select(sa.func.max(_versions.c.version)))
        if version != SCHEMA:
            raise ConfigurationError(
                f"Another release of tenios-callback has made this campaign (version {version}; "
                f"this release knows version {SCHEMA}). Install that release."
            )

    def now(self, connection: sa.Connection) -> float:
        """Return the time that all processes share."""
        return float(
            self._clock.now()
            if self._clock is not None
            else connection.execute(sa.select(self.database.now)).scalar_one()
        )

    def is_busy(self, now: float) -> sa.ColumnElement[bool]:
        """Return the condition that phones may be ringing for an attempt."""
        is_followed = self.database.state.in_(["dialling", "placed"]) & c.ended_at.is_(None)
        return _is_open & (is_followed | (c.busy_until > now))

    def settings(self, connection: sa.Connection) -> Any:
        """Return the row of the campaign; None if there is none."""
        return connection.execute(
            sa.select(campaigns).where(campaigns.c.name == self.name)
        ).one_or_none()

    def set(self, connection: sa.Connection, **values: Any) -> None:
        """Change the row of the campaign, which is made if it is missing."""
        where = campaigns.c.name == self.name
        if (
            not values
            or not connection.execute(sa.update(campaigns).where(where).values(values)).rowcount
        ):
            lock(connection)
            if self.settings(connection) is None:
                connection.execute(sa.insert(campaigns).values(name=self.name, **values))

    def facts(self, connection: sa.Connection, row: Row | None = None, **known: Any) -> Facts:
        """Return what decides on the next start; of *row* if one is given."""
        self._check_version(connection)
        settings, now = self.settings(connection), self.now(connection)
        if settings is None:
            return Facts(now=now, waiting=False, **known)
        tests = {
            "starting": self._is_dialling,
            "in_progress": self.is_busy(now),
            "active": self.database.state.in_(["dialling", "placed"]),
            "unknown": self._is_unknown,
            "is_open": sa.true(),
        }
        sums = [
            sa.func.coalesce(sa.func.sum(sa.case((test, 1), else_=0)), 0).label(name)
            for name, test in tests.items()
        ]
        mine = c.campaign == self.name
        counted = sa.select(*sums).select_from(self._joined).where(mine, _is_open)
        counts = dict(connection.execute(counted).mappings().one())
        is_open = counts.pop("is_open")
        next_due = connection.scalar(sa.select(sa.func.min(c.due_at)).where(mine, _is_waiting))
        if row is None and next_due is not None and next_due <= now:
            row = self._next(connection, now)
        return Facts(
            now=now,
            is_paused=settings.is_paused,
            max_active=settings.max_active or 0,
            gap=settings.gap or 0.0,
            hours=_hours(settings),
            last_start=settings.last_start,
            trouble=settings.trouble,
            failures=settings.failures,
            blocked_until=settings.blocked_until,
            # What was not placed is open until it is dealt with.
            waiting=next_due is not None or is_open > counts["active"] + counts["unknown"],
            row=row,
            next_due=next_due,
            **counts,
            **known,
        )

    def _next(self, connection: sa.Connection, now: float) -> Row | None:
        """
        Return the customer whose turn it is: of those with a time that has come, else of the
        others. One whose number is being called waits.
        """
        for when in (c.due_at.between(1e-9, now), c.due_at == 0):
            where = (c.campaign == self.name, c.result.is_(None), when, self._is_free(now))
            statement = sa.select(*self._columns).select_from(self._joined).where(*where)
            ordered = statement.order_by(c.due_at, c.position).limit(1)
            if found := self._rows(connection, ordered):
                return self._unused(connection, found[0])
        return None

    def _unused(self, connection: sa.Connection, row: Row) -> Row:
        """Skip keys of the ledger that are in use, because a program calls its keys like that."""
        key = self.database.entries.c.key
        while connection.scalar(sa.select(key).where(key == row.next_key)) is not None:
            row = evolve(row, serial=row.serial + 1)
        return row

    def _is_free(self, now: float) -> sa.ColumnElement[bool]:
        """Return the condition that no campaign is calling the customer's number."""
        busy = sa.select(c.number).select_from(self._joined)
        busy = busy.where(self.is_busy(now), c.number.is_not(None))
        return c.number.not_in(busy.correlate(None).scalar_subquery())

    def claim(self, connection: sa.Connection, row: Row, now: float, *, seconds: float) -> bool:
        """
        Begin an attempt. Return False if another process has, or it may not begin any more.

        Phones may ring for *seconds* after its delay.
        """
        a = self.database.entries.c
        where = (c.campaign == self.name, c.key == row.key, c.serial <= row.serial, _is_waiting)
        is_free = self._is_free(now) & ~sa.exists().where(a.key == row.next_key)
        values = {
            "attempts": row.attempts + 1,
            "serial": row.serial + 1,
            "attempt_key": row.next_key,
            "claimed_at": now,
            "busy_until": now + row.delay + seconds,
            **dict.fromkeys(("due_at", "error", "answered_at", "ended_at")),
        }
        if not self.update(connection, *where, is_free, **values):
            return False
        self.set(connection, last_start=now)
        return True

    def update(
        self, connection: sa.Connection, *where: sa.ColumnElement[bool], **values: Any
    ) -> int:
        """Change customers; return how many."""
        changed = sa.update(customers).where(*where)
        return connection.execute(changed.values(updated_at=self.database.now, **values)).rowcount

    def record(
        self,
        connection: sa.Connection,
        attempt: str,
        *,
        status: str | None = None,
        answered: float | None = None,
        ended: float | None = None,
        lost: str | None = None,
        rejected: str | None = None,
    ) -> Row | None:
        """
        Record what was seen of an attempt, and deal with it if it has ended. Return its customer;
        None if it was dealt with before.

        Args:
            connection: The connection.
            attempt: Its key in the ledger.
            status: The newest status, which the ledger has unless its database was away.
            answered: When customer and agent were connected; None if they were not.
            ended: When it has ended; None if it has not.
            lost: Why it is not followed any more; None if it is.
            rejected: Why the customer is not called again if it was not placed.
        """
        now = self.now(connection)
        mine = (c.attempt_key == attempt, _is_open)
        if answered is not None:
            self.update(connection, *mine, answered_at=answered)
        ledger, a = self.database.entries, self.database.entries.c
        final = ["DISCONNECTED", "CALL_A_FAILED", "CALL_B_FAILED"]
        if status in final:
            is_older = a.status.is_(None) | a.status.not_in(final)
            connection.execute(
                sa.update(ledger).where(a.key == attempt, is_older).values(status=status)
            )
        if lost is not None:
            busy_until = now + (c.busy_until - c.claimed_at)
            self.update(connection, *mine, ended_at=now, busy_until=busy_until)
            if answered is None:
                placed = sa.update(ledger).where(a.key == attempt, a.state == "placed")
                connection.execute(placed.values(state="unknown", last_error=lost))
        if (row := self.attempt(connection, attempt)) is None:
            return None
        if changes := ending(row, now):
            if rejected is not None and row.ledger_state == "not_placed":
                changes |= {"due_at": None, "result": "rejected", "error": rejected}
            self.update(connection, *mine, **changes | {"ended_at": ended or now})
            [row] = self.rows(connection, c.attempt_key == attempt)
        return row

    def attempt(self, connection: sa.Connection, key: str) -> Row | None:
        """Return the customer of an attempt; None if it is dealt with."""
        found = self.rows(connection, c.attempt_key == key, _is_open)
        return found[0] if found else None

    def reject(self, connection: sa.Connection, row: Row, error: str) -> Row | None:
        """Record that a customer cannot be called. Return it; None if it is not waiting."""
        where = (c.campaign == self.name, c.key == row.key, c.serial <= row.serial)
        if not self.update(connection, *where, _is_waiting, result="rejected", error=error):
            return None
        return self.rows(connection, *where)[0]

    def note(
        self, connection: sa.Connection, trouble: str | None, retry_after: float | None = None
    ) -> None:
        """Record whether a start has failed, and how."""
        if trouble is None:
            self.set(connection, trouble=None, failures=0, blocked_until=0.0)
            return
        lock(connection)
        self.set(connection, **after_failure(self.facts(connection), trouble, retry_after))

    def open_rows(self, connection: sa.Connection) -> tuple[float, list[Row]]:
        """Return the time, and the customers whose newest attempts are not dealt with."""
        now = self.now(connection)
        mine = (c.campaign == self.name, _is_open)
        # What is much later was written before the clock was set back.
        ahead = c.claimed_at > now + 1
        busy_until = now + (c.busy_until - c.claimed_at)
        self.update(connection, *mine, ahead, claimed_at=now, busy_until=busy_until)
        pause = sa.case(
            (c.retry_after > c.agent_retry_after, c.retry_after), else_=c.agent_retry_after
        )
        late = (c.campaign == self.name, _is_waiting, c.serial > 0, c.due_at > now + pause + 1)
        self.update(connection, *late, due_at=now + pause)
        return now, self.rows(connection, *mine)

    def move(
        self, connection: sa.Connection, key: str, states: Collection[str], **values: Any
    ) -> None:
        """
        Change a customer who is in one of these states. Raises LookupError or ValueError if there
        is none.
        """
        lock(connection)
        where = (c.campaign == self.name, c.key == key)
        found = self.rows(connection, *where)
        if not found:
            raise LookupError(f"The campaign {self.name!r} has no key {key!r}.")
        if (state := found[0].state) not in states:
            resolve = f" Resolve {found[0].attempt_key} first." if state == "unknown" else ""
            raise ValueError(
                f"{key!r} is not {' or '.join(states)}: its state is {state}.{resolve} Nothing was "
                "changed."
            )
        self.update(connection, *where, **values)

    def retry(
        self,
        connection: sa.Connection,
        keys: Collection[str],
        state: str | None,
        states: Collection[str],
    ) -> int:
        """Put customers back. Return how many."""
        most = sa.case((c.attempts >= c.max_attempts, c.attempts + 1), else_=c.max_attempts)
        values = {"result": None, "error": None, "due_at": 0.0, "max_attempts": most}
        for key in keys:
            self.move(connection, key, states, **values)
        where = (c.campaign == self.name, c.result == state, c.number.is_not(None))
        return len(keys) + (self.update(connection, *where, **values) if state else 0)

    def rows(
        self, connection: sa.Connection, *where: sa.ColumnElement[bool], limit: int | None = None
    ) -> list[Row]:
        """Return customers in the order in which they were added."""
        selected = sa.select(*self._columns).select_from(self._joined).where(*where)
        return self._rows(connection, selected.order_by(c.position, c.key).limit(limit))

    @staticmethod
    def _rows(connection: sa.Connection, statement: sa.Select[Any]) -> list[Row]:
        return [Row(**row) for row in connection.execute(statement).mappings()]

    def summary(self, connection: sa.Connection) -> CampaignSummary:
        """Count the customers."""
        mine = c.campaign == self.name
        closed = sa.func.coalesce(c.result, "waiting")
        counts: dict[str, int] = {}
        joined = sa.select(self._state, sa.func.count()).select_from(self._joined)
        for statement in (
            sa.select(closed, sa.func.count()).where(mine, ~_is_open).group_by(closed),
            joined.where(mine, _is_open).group_by(self._state),
        ):
            for state, count in connection.execute(statement):
                counts[state] = counts.get(state, 0) + count
        if (settings := self.settings(connection)) is None:
            return CampaignSummary()
        return CampaignSummary(
            paused=settings.is_paused,
            max_active=settings.max_active,
            max_starts_per_minute=60 / settings.gap if settings.gap else None,
            hours=_hours(settings),
            trouble=settings.trouble,
            **counts,
        )

    def pages(self) -> Iterator[CampaignEntry]:
        """Yield all customers, some in each transaction, so that none of them is long."""
        last = -1
        while True:
            rows = self.run(self.rows, c.campaign == self.name, c.position > last, limit=BATCH)
            yield from map(to_entry, rows)
            if len(rows) < BATCH:
                return
            last = rows[-1].position

    def run(self, work: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Return what *work* returns in a read-only transaction."""
        return self.database.run(lambda each: work(each, *arguments, **named), read_only=True)

    def change(self, work: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Return what *work* returns in a transaction."""
        return self.database.run(lambda each: work(each, *arguments, **named))

    def forget(self, connection: sa.Connection, seconds: float) -> int:
        """Erase what is personal of customers that have not changed; return how many."""
        before = self.database.now - seconds
        a = self.database.entries.c
        is_mine = sa.func.substr(a.key, 1, len(self.name) + 1) == f"{self.name}/"
        attempts = sa.update(self.database.entries).where(
            is_mine, a.updated_at <= before, self.database.state != "dialling"
        )
        connection.execute(attempts.values(number=None, arguments=None, last_error=None))
        active = (
            sa.select(c.key)
            .select_from(self._joined)
            .where(c.campaign == self.name, self._state.in_(["ringing", "talking"]))
        )
        is_old = (c.campaign == self.name) & (c.updated_at <= before) & c.number.is_not(None)
        is_old &= c.key.not_in(active.correlate(None).scalar_subquery())
        result = sa.case((_is_waiting, "cancelled"), else_=c.result)
        erased = dict.fromkeys(("number", "agent_announcement", "cells", "error"))
        return self.update(connection, is_old, result=result, **erased)


def _hours(settings: Any) -> OpeningHours | None:
    return None if settings.hours is None else OpeningHours(**json.loads(settings.hours))


def lock(connection: sa.Connection) -> None:
    """
    Let no other transaction that takes this lock run at the same time. In SQLite none does that
    writes. PostgreSQL ends the session of a process that stops meanwhile.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SET LOCAL idle_in_transaction_session_timeout = '{_IDLE}'")
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))


def lock_holders(path: str) -> Sequence[int]:
    """Return the ids of the other processes that have a file locked, as far as Linux tells."""
    try:
        inode, locks = Path(path).stat().st_ino, Path("/proc/locks").read_text()
    except OSError:
        return ()
    found = {int(line.split()[4]) for line in locks.splitlines() if f":{inode} " in line}
    return sorted(found - {os.getpid(), -1})


def to_entry(row: Row) -> CampaignEntry:
    """Return what the campaign tells of a customer."""
    same = {each.name for each in fields(CampaignEntry)}
    values = {name: value for name, value in asdict(row).items() if name in same}
    state: CampaignState = row.state  # type: ignore[assignment] # as the SQL expression has it
    return CampaignEntry(
        **values
        | {
            "state": state,
            "due_at": row.due_at if row.state == "waiting" and row.due_at else None,
            "callback_id": None if row.callback_id is None else int(row.callback_id),
            "status": None if row.status is None else CallbackStatus(row.status),
            "error": row.error or (row.last_error if row.result is None else None),
            "started_at": row.claimed_at or None,
            "cells": None if row.cells is None else json.loads(row.cells),
        }
    )
