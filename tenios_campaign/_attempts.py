"""The attempts of a campaign: choosing the next one, claiming it, and recording its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from attrs import evolve

from ._rules import END_TIMEOUT, Facts, after_failure, ending
from ._store import hours_of
from ._tables import c, is_left, is_open, is_waiting, lock

if TYPE_CHECKING:
    from ._rules import Row
    from ._store import Store

_FINAL = ("DISCONNECTED", "CALL_A_FAILED", "CALL_B_FAILED")


class Attempts:
    """The attempts of a campaign. Each method is part of a transaction."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._ledger, self._state = store.database.entries, store.database.state
        self._mine = c.campaign == store.name
        # ended_at of an open attempt is when it was given up.
        self._is_active = self._state.in_(["dialling", "placed"]) & c.ended_at.is_(None)

    def exist(self, connection: sa.Connection) -> bool:
        """Return whether a callback was or may have been started."""
        begun = sa.exists().where(self._mine, c.attempts > 0)
        return bool(connection.scalar(sa.select(begun)))

    def is_busy(self, now: float) -> sa.ColumnElement[bool]:
        """Return the condition that phones may be ringing for an attempt."""
        is_possible = c.claimed_at + c.delay + END_TIMEOUT > now
        return is_open & (self._is_active & is_possible | (c.busy_until > now))

    def facts(self, connection: sa.Connection, row: Row | None = None, **known: Any) -> Facts:
        """Return the facts for the next decision, about *row* if one is given."""
        self.store.database.check(connection)
        settings, now = self.store.settings(connection), self.store.now(connection)
        if settings is None:
            return Facts(now=now, waiting=False, **known)
        tests = {
            "starting": self._state == "dialling",
            "in_progress": self.is_busy(now),
            "active": self._is_active,
            "unknown": self._state == "unknown",
            "not_placed": self._state.is_(None) | (self._state == "not_placed"),
        }
        sums = [
            sa.func.coalesce(sa.func.sum(sa.case((test, 1), else_=0)), 0).label(name)
            for name, test in tests.items()
        ]
        counted = sa.select(*sums).select_from(self.store.joined).where(self._mine, is_open)
        counts = dict(connection.execute(counted).mappings().one())
        will_wait = counts.pop("not_placed")
        next_due = connection.scalar(sa.select(sa.func.min(c.due_at)).where(self._mine, is_waiting))
        if row is None and next_due is not None and next_due <= now:
            row = self._next(connection, now)
        return Facts(
            now=now,
            is_paused=settings.is_paused,
            max_active=settings.max_active or 0,
            gap=settings.gap or 0.0,
            hours=hours_of(settings),
            last_start=settings.last_start,
            trouble=settings.trouble,
            failures=settings.failures,
            blocked_until=settings.blocked_until,
            waiting=next_due is not None or will_wait > 0,
            row=row,
            next_due=next_due,
            **counts,
            **known,
        )

    def _next(self, connection: sa.Connection, now: float) -> Row | None:
        """
        Return the next customer: first of those who are due at a certain time, then of the others.
        Customers whose number is being called are skipped.
        """
        for when in (c.due_at.between(1e-9, now), c.due_at == 0):
            where = (self._mine, is_left, when, c.number.is_not(None), self._is_free(now))
            statement = sa.select(*self.store.columns).select_from(self.store.joined).where(*where)
            ordered = statement.order_by(c.due_at, c.position).limit(1)
            if found := self.store.select(connection, ordered):
                return self._unused(connection, found[0])
        return None

    def _unused(self, connection: sa.Connection, row: Row) -> Row:
        """Return *row* with a serial whose key is unused, because programs may use the ledger."""
        key = self._ledger.c.key
        while connection.scalar(sa.select(key).where(key == row.next_key)) is not None:
            row = evolve(row, serial=row.serial + 1)
        return row

    def _is_free(self, now: float) -> sa.ColumnElement[bool]:
        """Return the condition that no campaign is calling the customer's number."""
        busy = sa.select(c.number).select_from(self.store.joined)
        busy = busy.where(self.is_busy(now), c.number.is_not(None))
        return c.number.not_in(busy.correlate(None).scalar_subquery())

    def claim(self, connection: sa.Connection, row: Row, now: float, *, seconds: float) -> bool:
        """
        Claim an attempt. Return False if the customer has changed since *row* was read, because
        another process may have called them.

        Phones may ring for *seconds* after the delay.
        """
        values = {
            "attempts": row.attempts + 1,
            "serial": row.serial + 1,
            "attempt_key": row.next_key,
            "claimed_at": now,
            "busy_until": now + row.delay + seconds,
            **dict.fromkeys(("due_at", "error", "answered_at", "ended_at")),
        }
        if not self.store.update(connection, *self._as_read(row), self._is_free(now), **values):
            return False
        self.store.set(connection, last_start=now)
        return True

    def _as_read(self, row: Row) -> tuple[sa.ColumnElement[bool], ...]:
        """Return the conditions that a waiting customer has not changed since *row* was read."""
        return self._mine, c.key == row.key, c.updated_at == row.updated_at, is_waiting

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
        pause: float = 0.0,
    ) -> Row | None:
        """
        Record what was seen of an attempt, and close it if it has ended. Return the customer, or
        None if the attempt was closed before.

        Args:
            connection: The database connection.
            attempt: The attempt's key in the ledger.
            status: The newest status, which the ledger misses if its database was unreachable.
            answered: When customer and agent were connected; None if they were not.
            ended: When the attempt ended; None if it has not.
            lost: Why it is no longer followed; None if it is.
            rejected: Why the customer is not called again if the attempt was not placed.
            pause: Seconds in which other customers come first if the attempt was not placed.
        """
        now = self.store.now(connection)
        mine = (c.attempt_key == attempt, is_open)
        if answered is not None:
            self.store.update(connection, *mine, answered_at=answered)
        ledger, a = self._ledger, self._ledger.c
        if status in _FINAL:
            is_older = a.status.is_(None) | a.status.not_in(_FINAL)
            # Another process may have stopped following it.
            state = sa.case((a.state == "unknown", "placed"), else_=a.state)
            final = sa.update(ledger).where(a.key == attempt, is_older)
            connection.execute(final.values(status=status, state=state))
        if lost is not None:
            busy_until = c.claimed_at + c.delay + END_TIMEOUT
            given_up = self.store.update(connection, *mine, ended_at=now, busy_until=busy_until)
            if given_up and answered is None:
                placed = sa.update(ledger).where(a.key == attempt, a.state == "placed")
                connection.execute(placed.values(state="unknown", last_error=lost))
        if (row := self.attempt(connection, attempt)) is None:
            return None
        if changes := ending(row, now):
            if row.ledger_state == "not_placed" and rejected is not None:
                changes |= {"due_at": None, "result": "rejected", "error": rejected}
            elif row.ledger_state == "not_placed" and pause:
                changes["due_at"] = now + pause
            is_seen = row.status in _FINAL or row.ledger_state == "not_placed"
            changes["ended_at"] = (ended or now) if is_seen else None
            if not self.store.update(connection, *mine, **changes):
                return None  # Another process has closed it since.
            [row] = self.store.rows(connection, c.attempt_key == attempt)
        return row

    def attempt(self, connection: sa.Connection, key: str) -> Row | None:
        """Return the customer of an attempt; None if it is closed."""
        found = self.store.rows(connection, c.attempt_key == key, is_open)
        return found[0] if found else None

    def reject(self, connection: sa.Connection, row: Row, error: str) -> Row | None:
        """Record that a customer cannot be called. Return the customer; None if it has changed."""
        where = self._as_read(row)
        if not self.store.update(connection, *where, result="rejected", error=error):
            return None
        return self.store.rows(connection, self._mine, c.key == row.key)[0]

    def postpone(self, connection: sa.Connection, row: Row, seconds: float) -> None:
        """Let a customer wait for *seconds*, because their number is in another call."""
        due_at = self.store.now(connection) + seconds
        self.store.update(connection, *self._as_read(row), due_at=due_at)

    def note(
        self, connection: sa.Connection, trouble: str | None, retry_after: float | None = None
    ) -> None:
        """Record a failure to start a callback; None for success."""
        if trouble is None:
            self.store.set(connection, trouble=None, failures=0, blocked_until=0.0)
            return
        lock(connection)
        self.store.set(connection, **after_failure(self.facts(connection), trouble, retry_after))

    def open_rows(self, connection: sa.Connection) -> tuple[float, list[Row]]:
        """Return the time, and the customers with an open attempt."""
        now = self.store.now(connection)
        mine = (self._mine, is_open)
        # Times in the future were written before the clock was set back.
        ahead = c.claimed_at > now + 1
        busy_until = now + (c.busy_until - c.claimed_at)
        self.store.update(connection, *mine, ahead, claimed_at=now, busy_until=busy_until)
        pause = sa.case(
            (c.retry_after > c.agent_retry_after, c.retry_after), else_=c.agent_retry_after
        )
        late = (self._mine, is_waiting, c.serial > 0, c.due_at > now, c.due_at > now + pause + 1)
        self.store.update(connection, *late, due_at=now + pause)
        return now, self.store.rows(connection, *mine)
