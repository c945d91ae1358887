"""Which numbers may be called now: those that are not blocked, and whose phones cannot ring."""

from __future__ import annotations

import math

import sqlalchemy as sa

from .._exceptions import BlockedNumberError, NumberInUseError
from .._models import FINAL
from .._polling import ANSWER_TIMEOUT, END_TIMEOUT
from ._schema import blocked_numbers, entries

c = entries.c
_is_over = (c.state == "not_placed") | c.status.in_([str(status) for status in FINAL])
_may_be_talking = (c.state == "placed") & c.callback_id.is_not(None)
#: Until when the callback of an entry may be in progress (seconds since the epoch, by the
#: database's clock): 0 if it has ended or was not placed. Its request is over by the deadline. An
#: unknown outcome counts as long as phones could ring.
busy_until: sa.ColumnElement[float] = sa.case(
    (_is_over, 0.0),
    (_may_be_talking, c.deadline + c.delay + END_TIMEOUT),
    else_=c.deadline + c.delay + ANSWER_TIMEOUT,
)


def check_blocked(connection: sa.Connection, number: str) -> None:
    """Raise BlockedNumberError if a number is blocked."""
    selected = sa.select(blocked_numbers.c.reason).where(blocked_numbers.c.number == number)
    row = connection.execute(selected).one_or_none()
    if row is not None:
        reason = f" ({row.reason})" if row.reason else ""
        raise BlockedNumberError(
            f"{number} is blocked in the ledger{reason}, so nothing was sent. To call it again, "
            "use `tenios ledger unblock` or ledger.unblock()."
        )


def check_in_use(
    connection: sa.Connection, number: str, *, key: str, now: sa.ColumnElement[float]
) -> None:
    """
    Raise NumberInUseError if a callback to a number may be in progress under another key. Until the
    end of the transaction, no other one gets an answer for this number.
    """
    if connection.dialect.name == "postgresql":  # In SQLite, no other transaction writes.
        # Negative, so that it is no lock of another kind.
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(-int(number))))
    seconds = (busy_until - now).label("seconds")
    others = sa.select(c.key, seconds).where(c.number == number, c.key != key)
    row = connection.execute(others.order_by(seconds.desc()).limit(1)).one_or_none()
    if row is not None and row.seconds > 0:
        raise NumberInUseError(
            f"A callback to {number} may be in progress for the key {row.key!r}, so nothing was "
            f"sent. It is over in {math.ceil(row.seconds)} seconds at the latest.",
            retry_after=row.seconds,
        )
