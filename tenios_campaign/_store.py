"""A campaign in the database (SQLAlchemy)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from attrs import asdict, fields

from tenios_ext import CallbackStatus

from ._hours import OpeningHours
from ._models import CampaignEntry, CampaignSummary
from ._rules import Row
from ._tables import c, campaigns, customers, is_open, is_waiting, lock, schema

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from tenios_ext import Clock
    from tenios_ext.ledger import Ledger

    from ._models import CampaignState

#: Rows that are read or written in one transaction.
BATCH = 1000


class Store:
    """
    A campaign in the database.

    Raises:
        ConfigurationError: Another release has changed the tables.

    Attributes:
        database: The ledger's database.
        name: The campaign's name.
        joined: The customers with their newest attempts in the ledger.
        columns: The columns of a Row.
    """

    def __init__(self, ledger: Ledger, name: str, clock: Clock | None) -> None:
        self.database = ledger.database
        self.name = name
        self._clock = clock
        a = self.database.entries.c
        ledger_state = self.database.state
        self.joined = customers.outerjoin(self.database.entries, a.key == c.attempt_key)
        self._state = sa.case(
            (c.result.is_not(None), c.result),
            (c.due_at.is_not(None) | ledger_state.is_(None), "waiting"),
            (ledger_state == "not_placed", "waiting"),
            (ledger_state == "unknown", "unknown"),
            (
                c.ended_at.is_not(None) | ((ledger_state == "placed") & a.callback_id.is_(None)),
                "talked",
            ),
            (c.answered_at.is_not(None) | (a.status == "CONNECTED"), "talking"),
            else_="ringing",
        )
        self.columns = [
            *customers.c,
            self._state.label("state"),
            ledger_state.label("ledger_state"),
            *(a.callback_id, a.started_at, a.status, a.last_error),
        ]
        self._is_open = False
        if self.exists():
            self._open()

    def exists(self) -> bool:
        """Return whether the database has tables of campaigns, which are created when needed."""
        return self._is_open or self.database.run(schema.exists, read_only=True)

    def _open(self) -> None:
        if not self._is_open:
            self.database.open(schema)
            self._is_open = True

    def now(self, connection: sa.Connection) -> float:
        """Return the time that all processes share."""
        return float(
            self._clock.now()
            if self._clock is not None
            else connection.execute(sa.select(self.database.now)).scalar_one()
        )

    def settings(self, connection: sa.Connection) -> Any:
        """Return the row of the campaign; None if there is none."""
        return connection.execute(
            sa.select(campaigns).where(campaigns.c.name == self.name)
        ).one_or_none()

    def set(self, connection: sa.Connection, **values: Any) -> None:
        """Change the row of the campaign; create it if it does not exist."""
        where = campaigns.c.name == self.name
        if (
            not values
            or not connection.execute(sa.update(campaigns).where(where).values(values)).rowcount
        ):
            lock(connection)
            if self.settings(connection) is None:
                connection.execute(sa.insert(campaigns).values(name=self.name, **values))

    def set_layout(self, connection: sa.Connection, *, headers: list[str], **values: Any) -> None:
        """Add columns to those that are exported, and set other values."""
        lock(connection)
        settings = self.settings(connection)
        known = json.loads(settings.headers) if settings else []
        self.set(connection, headers=json.dumps([*dict.fromkeys([*known, *headers])]), **values)

    def limit(self, connection: sa.Connection, *, replace: bool, **values: Any) -> None:
        """Set limits. Raises ValueError if others are set, unless *replace*."""
        lock(connection)
        settings = self.settings(connection)
        for name, value in values.items():
            known = getattr(settings, name, None)
            if known not in {None, value} and not replace:
                limit = f"{name} is {known}"
                if name == "gap":
                    limit = f"max_starts_per_minute is {60 / known:g}"
                elif name == "hours" and (hours := hours_of(settings)):
                    limit = f"hours are {hours.between} ({hours.zone})"
                    limit += f" without holidays in {hours.holidays}" if hours.holidays else ""
                raise ValueError(
                    f"The campaign {self.name!r} already has another limit: {limit}. "
                    "Change it with `tenios campaign set` or campaign.set()."
                )
        self.set(connection, **values)

    def update(
        self, connection: sa.Connection, *where: sa.ColumnElement[bool], **values: Any
    ) -> int:
        """Change customers. Return their number."""
        changed = sa.update(customers).where(*where)
        return connection.execute(changed.values(updated_at=self.database.now, **values)).rowcount

    def move(
        self, connection: sa.Connection, key: str, states: Collection[str], **values: Any
    ) -> None:
        """
        Change a customer who is in one of *states*. Raises ValueError for other states, LookupError
        for an unknown key.
        """
        lock(connection)
        where = (c.campaign == self.name, c.key == key)
        found = self.rows(connection, *where)
        if not found:
            raise LookupError(f"The campaign {self.name!r} has no key {key!r}.")
        if found[0].number is None:
            raise ValueError(f"Nothing was changed, because the number of {key!r} was erased.")
        if (state := found[0].state) not in states:
            resolve = f"`tenios ledger resolve {found[0].attempt_key}` or ledger.resolve()"
            hint = f" Use {resolve} instead." if state == "unknown" else ""
            raise ValueError(
                f"Nothing was changed, because the state of {key!r} is {state} (expected: "
                f"{', '.join(states)}).{hint}"
            )
        self.update(connection, *where, **values)

    def retry(
        self,
        connection: sa.Connection,
        keys: Collection[str],
        state: str | None,
        states: Collection[str],
    ) -> int:
        """Put customers back. Return their number."""
        most = sa.case((c.attempts >= c.max_attempts, c.attempts + 1), else_=c.max_attempts)
        # A customer who was cancelled before the first attempt keeps its time.
        due_at = sa.case((c.attempts == 0, sa.func.coalesce(c.due_at, 0.0)), else_=0.0)
        values = {"result": None, "error": None, "due_at": due_at, "max_attempts": most}
        for key in keys:
            self.move(connection, key, states, **values)
        where = (c.campaign == self.name, c.result == state, c.number.is_not(None))
        return len(keys) + (self.update(connection, *where, **values) if state else 0)

    def rows(
        self, connection: sa.Connection, *where: sa.ColumnElement[bool], limit: int | None = None
    ) -> list[Row]:
        """Return customers in the order in which they were added."""
        selected = sa.select(*self.columns).select_from(self.joined).where(*where)
        return self.select(connection, selected.order_by(c.position, c.key).limit(limit))

    @staticmethod
    def select(connection: sa.Connection, statement: sa.Select[Any]) -> list[Row]:
        """Return the customers of a statement that selects the columns."""
        return [Row(**row) for row in connection.execute(statement).mappings()]

    def summary(self, connection: sa.Connection) -> CampaignSummary:
        """Count the customers."""
        mine = c.campaign == self.name
        closed = sa.func.coalesce(c.result, "waiting")
        counts: dict[str, int] = {}
        joined = sa.select(self._state, sa.func.count()).select_from(self.joined)
        for statement in (
            sa.select(closed, sa.func.count()).where(mine, ~is_open).group_by(closed),
            joined.where(mine, is_open).group_by(self._state),
        ):
            for state, count in connection.execute(statement):
                counts[state] = counts.get(state, 0) + count
        if (settings := self.settings(connection)) is None:
            return CampaignSummary()
        return CampaignSummary(
            paused=settings.is_paused,
            max_active=settings.max_active,
            max_starts_per_minute=60 / settings.gap if settings.gap else None,
            hours=hours_of(settings),
            trouble=settings.trouble,
            **counts,
        )

    def pages(self) -> Iterator[CampaignEntry]:
        """Yield all customers, read in short transactions."""
        last = -1
        while True:
            rows = self.run(self.rows, c.campaign == self.name, c.position > last, limit=BATCH)
            yield from map(to_entry, rows)
            if len(rows) < BATCH:
                return
            last = rows[-1].position

    def run(self, work: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Return what *work* returns in a read-only transaction."""
        self._open()
        return self.database.run(lambda each: work(each, *arguments, **named), read_only=True)

    def change(self, work: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Return what *work* returns in a transaction."""
        self._open()
        return self.database.run(lambda each: work(each, *arguments, **named))

    def forget(self, connection: sa.Connection, seconds: float) -> int:
        """
        Erase personal data of customers that have not changed, unless their phones may be in use.
        Return their number.
        """
        before = self.database.now - seconds
        a = self.database.entries.c
        is_mine = sa.func.substr(a.key, 1, len(self.name) + 1) == f"{self.name}/"
        attempts = sa.update(self.database.entries).where(
            is_mine,
            a.updated_at <= before,
            self.database.state != "dialling",
            self.database.busy_until <= self.database.now,
        )
        connection.execute(attempts.values(number=None, arguments=None, last_error=None))
        is_active = self._state.in_(["ringing", "talking"]) | (c.busy_until > self.now(connection))
        active = sa.select(c.key).select_from(self.joined).where(c.campaign == self.name, is_active)
        is_old = (c.campaign == self.name) & (c.updated_at <= before) & c.number.is_not(None)
        is_old &= c.key.not_in(active.correlate(None).scalar_subquery())
        result = sa.case((is_waiting, "cancelled"), else_=c.result)
        erased = dict.fromkeys(("number", "agent_announcement", "cells", "error"))
        return self.update(connection, is_old, result=result, **erased)


def hours_of(settings: Any) -> OpeningHours | None:
    """Return the opening hours in the row of a campaign."""
    return None if settings.hours is None else OpeningHours(**json.loads(settings.hours))


def to_entry(row: Row) -> CampaignEntry:
    """Return the public entry of a customer."""
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
            "ended_at": None if row.is_given_up else row.ended_at,
            "cells": None if row.cells is None else json.loads(row.cells),
        }
    )
