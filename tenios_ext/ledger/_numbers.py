"""Checks whether a number is blocked, or another call to it may be in progress."""

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
#: The latest end of an entry's callback (seconds since the epoch, by the database's clock); 0 if it
#: has ended or was not placed. The request ends by the deadline. With an unknown outcome, phones
#: could ring until then.
busy_until: sa.ColumnElement[float] = sa.case(
    (_is_over, 0.0),
    (_may_be_talking, c.deadline + c.delay + END_TIMEOUT),
    else_=c.deadline + c.delay + ANSWER_TIMEOUT,
)


def check_blocked(connection: sa.Connection, number: str) -> None:
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
    Raise NumberInUseError if a callback to a number with another key may be in progress. Other
    transactions that check this number wait for the end of this one.
    """
    if connection.dialect.name == "postgresql":  # SQLite has one writer anyway.
        # Negative, to differ from other locks.
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(-int(number))))
    seconds = (busy_until - now).label("seconds")
    others = sa.select(c.key, seconds).where(c.number == number, c.key != key)
    row = connection.execute(others.order_by(seconds.desc()).limit(1)).one_or_none()
    if row is not None and row.seconds > 0:
        raise NumberInUseError(
            f"A callback to {number} with the key {row.key!r} may be in progress, so nothing was "
            f"sent. Call again after at most {math.ceil(row.seconds)} seconds.",
            retry_after=row.seconds,
        )
