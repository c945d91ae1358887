"""
The campaign's tables in the ledger's database, and each statement on them. Imports SQLAlchemy.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa
from attrs import frozen

from tenios_ext import CallbackStatus, ConfigurationError
from tenios_ext.ledger._schema import VOID
from tenios_ext.ledger._schema import entries as attempts

from ._models import Added, CampaignEntry, CampaignSummary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tenios_ext.ledger import Ledger

    from ._models import CampaignState, Customer, Limits

Result = TypeVar("Result")

#: The version of the tables. A later release that changes them counts up.
SCHEMA = 1
#: Any number that other programs are unlikely to use.
_LOCK = 4_826_353_072
#: The time of what has no end that is known (seconds since the epoch).
NEVER = 1e12

_metadata = sa.MetaData()
entries = sa.Table(
    "tenios_campaign_entries",
    _metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("number", sa.Text),  # None once it was forgotten
    sa.Column("delay", sa.Integer, nullable=False),
    sa.Column("agent_announcement", sa.Text),
    sa.Column("callback_config_id", sa.Text),
    sa.Column("max_attempts", sa.Integer, nullable=False),
    sa.Column("retry_after", sa.Double, nullable=False),
    sa.Column("agent_retry_after", sa.Double, nullable=False),
    # that were placed, may have been, or are being made
    sa.Column("attempts", sa.Integer, nullable=False),
    # keys that were given up, because their arguments have changed
    sa.Column("skipped", sa.Integer, nullable=False),
    sa.Column("error", sa.Text),
    # In seconds since the epoch, by the clocks of the machines.
    sa.Column("due_at", sa.Double, nullable=False),  # 0 for as soon as possible
    sa.Column("claimed_at", sa.Double, nullable=False, index=True),
    # counts as in progress until then
    sa.Column("busy_until", sa.Double, nullable=False, index=True),
    sa.Column("updated_at", sa.Double, nullable=False),  # by the clock of the database
    sa.Index("tenios_campaign_due", "state", "due_at", "position"),
)
_campaigns = sa.Table(
    "tenios_campaign",
    _metadata,
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("is_paused", sa.Boolean, nullable=False),
)
c = entries.c
_attempt_key = c.key + "/" + sa.cast(c.attempts + c.skipped, sa.Text)
_joined = entries.outerjoin(attempts, attempts.c.key == _attempt_key)


@frozen
class Claim:
    """
    What came of trying to begin an attempt.

    Attributes:
        row: The entry whose attempt begins now; None if none does.
        ready_at: When the next one may begin, as far as that is a matter of time (seconds since the
            epoch).
        is_finished: Whether no entry is waiting or active.
        is_paused: Whether the campaign is paused.
    """

    row: Any = None
    ready_at: float = math.inf
    is_finished: bool = False
    is_paused: bool = False


def attempt_key(row: Any) -> str:
    """Return the key of the newest attempt in the ledger."""
    return f"{row.key}/{row.attempts + row.skipped}"


class Entries:
    """
    The entries of a campaign. Each method is one transaction, and raises LedgerUnavailableError if
    that fails.

    Raises:
        ConfigurationError: A later release has made the tables.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.database = ledger.database  # the same engine and time limits
        self._run(self._create_tables)

    def _run(self, work: Callable[[sa.Connection], Result], *, read_only: bool = False) -> Result:
        return self.database.run(work, read_only=read_only)

    def _create_tables(self, connection: sa.Connection) -> None:
        lock(connection)
        _metadata.create_all(connection)
        version = connection.scalar(sa.select(sa.func.max(_campaigns.c.version)))
        if version is None:
            connection.execute(sa.insert(_campaigns).values(version=SCHEMA, is_paused=False))
        elif version > SCHEMA:
            raise ConfigurationError(
                f"A later release of tenios-callback has made this campaign (version {version}; "
                f"this release knows version {SCHEMA}). Install that release."
            )

    def add(self, customers: Iterable[Customer], *, dry_run: bool, **values: Any) -> Added:
        """
        Add the customers whose keys are new. Raises ValueError if a key has another number already.
        """

        def work(connection: sa.Connection) -> Added:
            lock(connection)
            numbers: dict[str, str | None] = {
                row.key: row.number for row in connection.execute(sa.select(c.key, c.number))
            }
            keys: dict[str | None, str] = {number: key for key, number in numbers.items()}
            known, rows, same_number = 0, [], []
            for customer in customers:
                if customer.key in numbers:
                    known += 1
                    if numbers[customer.key] not in {customer.number, None}:
                        raise ValueError(
                            f"The key {customer.key!r} is in the campaign already, with another "
                            "number. Nothing was added."
                        )
                    continue
                numbers[customer.key] = customer.number
                if (other := keys.setdefault(customer.number, customer.key)) != customer.key:
                    same_number.append((other, customer.key))
                rows.append(_new_row(customer, position=len(numbers), **values))
            if rows and not dry_run:
                connection.execute(sa.insert(entries).values(updated_at=self.database.now), rows)
            return Added(new=len(rows), known=known, same_number=tuple(same_number))

        return self._run(work)

    def claim(
        self,
        now: float,
        limits: Limits,
        *,
        is_allowed: bool,
        on_claim: Callable[[sa.Connection, str], None] | None = None,
    ) -> Claim:
        """
        Begin the attempt that is due, unless the caller does not allow it, a limit is reached, or
        the campaign is paused.

        *on_claim* is then called in the same transaction with the key of the entry.
        """

        def work(connection: sa.Connection) -> Claim:
            lock(connection)
            active = connection.scalar(sa.select(sa.func.count()).where(c.busy_until > now)) or 0
            last = connection.scalar(sa.select(sa.func.max(c.claimed_at))) or 0.0
            next_due = connection.scalar(
                sa.select(sa.func.min(c.due_at)).where(c.state == "waiting")
            )
            is_paused = bool(connection.scalar(sa.select(_campaigns.c.is_paused)))
            if next_due is None:
                # In one statement, because an entry may change from active to waiting between two
                # of them.
                is_open = sa.exists().where(c.state.in_(["waiting", "active"]))
                return Claim(
                    is_finished=not connection.scalar(sa.select(is_open)), is_paused=is_paused
                )
            ready_at = max(next_due, min(last, now) + limits.gap)
            if is_paused or active >= limits.max_active:
                return Claim(is_paused=is_paused)
            if ready_at > now or not is_allowed:
                return Claim(ready_at=ready_at)
            row = self._next(connection, now)
            changed = {
                "state": "active",
                "attempts": row.attempts + 1,
                "claimed_at": now,
                "busy_until": NEVER,
                "error": None,
            }
            connection.execute(self._update(c.key == row.key).values(changed))
            claimed = self._row(connection, row.key)
            if on_claim is not None:
                on_claim(connection, row.key)
            return Claim(claimed)

        return self._run(work)

    def _next(self, connection: sa.Connection, now: float) -> Any:
        """
        Return the entry whose turn it is: of those with a time that has come, else of the others.
        """
        timed, others = (
            sa.select(entries)
            .where(c.state == "waiting", when)
            .order_by(c.due_at, c.position)
            .limit(1)
            for when in (c.due_at.between(1, now), c.due_at == 0)
        )
        return connection.execute(timed).one_or_none() or connection.execute(others).one()

    def _update(self, *where: sa.ColumnElement[bool]) -> sa.Update:
        return sa.update(entries).where(*where).values(updated_at=self.database.now)

    @staticmethod
    def _row(connection: sa.Connection, key: str) -> Any:
        return connection.execute(sa.select(entries).where(c.key == key)).one_or_none()

    def get(self, key: str) -> Any:
        """Return the entry with this key; None if there is none."""
        return self._run(lambda connection: self._row(connection, key), read_only=True)

    def active(self) -> list[Any]:
        """Return the entries of which an attempt is being made, by any process."""
        return self._run(
            lambda connection: list(
                connection.execute(sa.select(entries).where(c.state == "active"))
            ),
            read_only=True,
        )

    def end_attempt(self, row: Any, state: CampaignState, **values: Any) -> CampaignEntry | None:
        """
        Record what came of the newest attempt. Return the entry; None if another process has
        recorded it, or goes on.
        """
        where = _is_newest(row)
        # It was not placed, and is not to be counted.
        if values.get("attempts", row.attempts) < row.attempts:
            where.append(
                ~sa.exists().where(
                    attempts.c.key == attempt_key(row), attempts.c.state != "not_placed"
                )
            )

        def work(connection: sa.Connection) -> CampaignEntry | None:
            changed = {"busy_until": 0.0, "due_at": 0.0, **values, "state": state}
            if not connection.execute(self._update(*where).values(changed)).rowcount:
                return None
            [entry] = self._select(connection, c.key == row.key)
            return entry

        return self._run(work)

    def skip_key(self, row: Any) -> Any:
        """
        Give an attempt that was not placed another key, since its arguments have changed. Return
        its row; None if it is over.

        The old key can then not dial any more, whatever another process is about to do with it.
        """
        a = attempts.c

        def work(connection: sa.Connection) -> Any:
            void = sa.update(attempts).where(a.key == attempt_key(row), a.state == "not_placed")
            if not connection.execute(void.values(arguments=VOID)).rowcount:
                return None
            skip = self._update(*_is_newest(row)).values(skipped=c.skipped + 1)
            return self._row(connection, row.key) if connection.execute(skip).rowcount else None

        return self._run(work)

    def revive(self) -> None:
        """
        Let entries whose outcome was unknown wait again, if a person has found out since that they
        were not called.
        """
        not_placed = sa.exists().where(
            attempts.c.key == _attempt_key, attempts.c.state == "not_placed"
        )
        changed = {"state": "waiting", "attempts": c.attempts - 1, "busy_until": 0.0, "due_at": 0.0}
        statement = self._update(c.state == "unknown", c.number.is_not(None), not_placed).values(
            changed
        )
        self._run(lambda connection: connection.execute(statement))

    def cancel(self, key: str) -> str | None:
        """Cancel an entry that is waiting. Return the state that it had; None if there is none."""

        def work(connection: sa.Connection) -> str | None:
            lock(connection)
            state: str | None = connection.scalar(sa.select(c.state).where(c.key == key))
            connection.execute(
                self._update(c.key == key, c.state == "waiting").values(state="cancelled")
            )
            return state

        return self._run(work)

    def is_paused(self) -> bool:
        """Return whether the campaign is paused."""
        statement = sa.select(_campaigns.c.is_paused)
        return bool(self._run(lambda connection: connection.scalar(statement), read_only=True))

    def set_paused(self, *, is_paused: bool) -> None:
        """Pause or resume the campaign."""
        self._run(
            lambda connection: connection.execute(sa.update(_campaigns).values(is_paused=is_paused))
        )

    def has_workers(self) -> bool:
        """Return whether there are workers; one that was killed counts for half a minute."""
        fresh = sa.text(
            "SELECT count(*) FROM tenios_jobs.procrastinate_workers WHERE last_heartbeat > now() - "
            "interval '30 s'"
        )

        def work(connection: sa.Connection) -> bool:
            return has_jobs(connection) and bool(connection.scalar(fresh))

        return self.database.is_postgresql and self._run(work, read_only=True)

    def summary(self) -> CampaignSummary:
        """Count the entries."""
        is_talking = sa.func.coalesce(
            (c.state == "active") & (attempts.c.status == "CONNECTED"), sa.false()
        )
        counted = (
            sa.select(c.state, is_talking, sa.func.count())
            .select_from(_joined)
            .group_by(c.state, is_talking)
        )

        def work(connection: sa.Connection) -> CampaignSummary:
            counts: dict[str, int] = {}
            for state, talks, count in connection.execute(counted):
                counts["talking" if talks else "ringing" if state == "active" else state] = count
            return CampaignSummary(
                paused=bool(connection.scalar(sa.select(_campaigns.c.is_paused))), **counts
            )

        return self._run(work, read_only=True)

    def all(self) -> list[CampaignEntry]:
        """Return all entries in the order in which they were added."""
        return self._run(self._select, read_only=True)

    @staticmethod
    def _select(connection: sa.Connection, *where: sa.ColumnElement[bool]) -> list[CampaignEntry]:
        a = attempts.c
        columns = [*entries.c, a.key.label("attempt_key"), a.callback_id, a.status]
        rows = connection.execute(
            sa.select(*columns).select_from(_joined).where(*where).order_by(c.position)
        )
        return list(map(_to_entry, rows))


def lock(connection: sa.Connection) -> None:
    """
    Let no other transaction that takes this lock run at the same time. In SQLite none does that
    writes.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))


def has_jobs(connection: sa.Connection) -> bool:
    """Return whether the workers' tables are in this PostgreSQL database."""
    return (
        connection.scalar(sa.select(sa.func.to_regclass("tenios_jobs.procrastinate_workers")))
        is not None
    )


def _is_newest(row: Any) -> list[sa.ColumnElement[bool]]:
    """Return the condition that an attempt is still being made."""
    return [
        c.key == row.key,
        c.attempts == row.attempts,
        c.skipped == row.skipped,
        c.state == "active",
    ]


def _new_row(customer: Customer, **values: Any) -> dict[str, Any]:
    named = ("key", "number", "delay", "agent_announcement", "callback_config_id")
    due_at = 0.0 if customer.not_before is None else customer.not_before.timestamp()
    zeros = {"attempts": 0, "skipped": 0, "claimed_at": 0.0, "busy_until": 0.0}
    return {
        **{name: getattr(customer, name) for name in named},
        "state": "waiting",
        "due_at": due_at,
        **zeros,
        **values,
    }


def _to_entry(row: Any) -> CampaignEntry:
    return CampaignEntry(
        key=row.key,
        number=row.number,
        state=row.state,
        attempts=row.attempts,
        due_at=row.due_at if row.state == "waiting" and row.due_at else None,
        attempt_key=row.attempt_key,
        callback_id=None if row.callback_id is None else int(row.callback_id),
        status=None if row.status is None else CallbackStatus(row.status),
        error=row.error,
    )
