"""A ledger and its entries."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

from attrs import frozen
from tenios_client.models import CallbackStatus

from .._checks import is_one_line, is_whole, shown
from .._exceptions import ConfigurationError, LedgerUnavailableError
from .._extras import requires_extra
from .._models import FINAL, MAX_ID, RANK, CallbackHandle
from .._phone import to_e164

if TYPE_CHECKING:
    from datetime import timedelta

logger = logging.getLogger("tenios_ext")

MAX_REASON = 200
LedgerState = Literal["dialling", "placed", "not_placed", "unknown"]


@frozen(kw_only=True)
class LedgerEntry:
    """
    What a ledger knows of a key. Times are in seconds since the epoch, by the database's clock.

    Attributes:
        key: What the callback is for.
        state: ``dialling``: a request is being sent at this moment. ``placed``: there is a
            callback, which the key returns. ``not_placed``: TENIOS refused, nothing was sent, or a
            person decided so; the key may dial again. ``unknown``: phones may have rung, or the
            process that dialled has died; the key dials again only after :meth:`Ledger.resolve`.
        number: The customer's number as E.164; None once it was forgotten.
        attempts: How many times the key has dialled.
        handle: The callback; None if its id is not known.
        status: The newest status that was seen; None if none was.
        created_at: When the key was first used.
        dialled_at: When the newest attempt began.
        updated_at: When the entry last changed.
        last_error: Why the newest attempt returned no callback; None if it did, and once it was
            forgotten.
    """

    key: str
    state: LedgerState
    number: str | None
    attempts: int
    handle: CallbackHandle | None
    status: CallbackStatus | None
    created_at: float
    dialled_at: float
    updated_at: float
    last_error: str | None


@frozen(kw_only=True)
class BlockedNumber:
    """
    A number that no key calls.

    Attributes:
        number: The number as E.164.
        reason: Why it is blocked; None if nobody has said so.
        blocked_at: Since when, in seconds since the epoch by the database's clock.
    """

    number: str
    reason: str | None
    blocked_at: float


def to_entry(row: Any) -> LedgerEntry:
    """Return the entry in a row of the database."""
    same = "key state number attempts created_at dialled_at updated_at last_error"
    handle = None
    if row.callback_id is not None:
        handle = CallbackHandle(int(row.callback_id), delay=row.delay, started_at=row.started_at)
    status = None if row.status is None else CallbackStatus(row.status)
    return LedgerEntry(
        handle=handle, status=status, **{name: getattr(row, name) for name in same.split()}
    )


class Ledger:
    """
    Records what was dialled for each key, in SQLite (for one machine) or PostgreSQL (for any
    number).

    Share it between clients, threads and tasks. A process that is forked, or is sent it pickled,
    makes its own connections; the pickle contains the database's password.

    Args:
        url: The database, such as ``sqlite:///callbacks.db`` or
            ``postgresql://user:password@host/database``. Tables that are missing are created.

    Attributes:
        database: The database, for the other packages of this project.

    Raises:
        ConfigurationError: The URL is wrong, the database cannot be used, or the extra ``ledger``
            is not installed.
    """

    def __init__(self, url: str) -> None:
        if not isinstance(url, str):
            raise ConfigurationError(f"url must be a str, got {type(url).__name__}.")
        with requires_extra("ledger", ConfigurationError):
            from ._database import Database  # imports SQLAlchemy, which takes long

        self.database = Database(url)

    def __repr__(self) -> str:
        return f"Ledger({str(self)!r})"

    def __str__(self) -> str:
        """Return its URL without passwords."""
        from ._database import shown

        return shown(self.database.url)

    def __reduce__(self) -> tuple[Any, ...]:
        return Ledger, (self.database.url.render_as_string(hide_password=False),)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def record_status(self, callback_id: int, status: CallbackStatus) -> None:
        """
        Record a status change, unless a later one was recorded. Clients do it. If it fails, that is
        logged, since watching must go on.
        """
        rank = RANK.get(status, -1)
        later = {*FINAL, status, *(each for each in RANK if RANK[each] > rank >= 0)}
        try:
            self.database.record_status(
                callback_id, str(status), later=[str(each) for each in later]
            )
        except LedgerUnavailableError as error:
            logger.warning(
                "the status of callback %d could not be recorded: %s", callback_id, error
            )

    def close(self) -> None:
        """Close the connections. A ledger that is used again makes new ones."""
        self.database.close()

    def get(self, key: str) -> LedgerEntry | None:
        """
        Return the entry of a key; None if the key was never used.

        Raises:
            LedgerUnavailableError: The database cannot be used.
        """
        return next(map(to_entry, self.database.rows(key=key)), None)

    def entries(self, *, state: LedgerState | None = None) -> list[LedgerEntry]:
        """
        Return all entries, the oldest first.

        Args:
            state: Only those in this state.

        Raises:
            LedgerUnavailableError: The database cannot be used.
            ValueError: There is no such state.
        """
        if state is not None and state not in get_args(LedgerState):
            raise ValueError(
                f"state must be one of {', '.join(get_args(LedgerState))}, got {state!r}."
            )
        return list(map(to_entry, self.database.rows(state=state)))

    def resolve(self, key: str, *, placed: bool, callback_id: int | None = None) -> LedgerEntry:
        """
        Record what a person has found out about a key whose outcome is unknown. Ask the agent or
        the customer first.

        Args:
            key: The key.
            placed: Whether there was a call. If not, the key may dial again. If so, it never does.
            callback_id: The id of the callback, if known. It can also be added later.

        Raises:
            LedgerUnavailableError: The database cannot be used.
            LookupError: The key was never used.
            ValueError: The outcome is not unknown, or *callback_id* is not valid.
        """
        if callback_id is not None and not is_whole(callback_id, MAX_ID):
            raise ValueError(
                f"callback_id must be a whole number from 0 to {MAX_ID}, got {callback_id!r}."
            )
        if callback_id is not None and not placed:
            raise ValueError("A callback that was not placed has no callback_id.")
        is_resolved, row = self.database.resolve(key, is_placed=placed, callback_id=callback_id)
        if row is None:
            raise LookupError(f"The ledger has no key {key!r}.")
        if not is_resolved:
            raise ValueError(
                f"The outcome of {key!r} is not unknown: its state is {row.state}. Nothing was "
                "changed."
            )
        return to_entry(row)

    def block(
        self, number: str, *, reason: str | None = None, region: str | None = None
    ) -> BlockedNumber:
        """
        Let no key and no campaign of this ledger call a number any more, such as that of a person
        who has asked for it: ``start_callback`` raises BlockedNumberError. What is in progress goes
        on.

        A number that is blocked already stays so; a new *reason* replaces the old one.

        Args:
            number: The number in any usual spelling.
            reason: A line of at most 200 characters for whoever sees the list.
            region: The country of a number without a country code, such as "DE".

        Raises:
            LedgerUnavailableError: The database cannot be used.
            ValueError: *number* or *reason* is not valid.
        """
        if reason is not None and not (is_one_line(reason) and len(reason) <= MAX_REASON):
            raise ValueError(
                f"reason must be one line of 1 to {MAX_REASON} characters, got {shown(reason)}."
            )
        return _to_blocked(self.database.block(_e164(number, region), reason))

    def unblock(self, number: str, *, region: str | None = None) -> bool:
        """
        Let a number be called again. Return whether it was blocked. The arguments are those of
        :meth:`block`.

        Raises:
            LedgerUnavailableError: The database cannot be used.
            ValueError: *number* is not valid.
        """
        return self.database.unblock(_e164(number, region))

    def blocked(self) -> list[BlockedNumber]:
        """
        Return the numbers that are blocked, in the order in which they were.

        Raises:
            LedgerUnavailableError: The database cannot be used.
        """
        return list(map(_to_blocked, self.database.blocked()))

    def forget(self, *, older_than: timedelta) -> int:
        """
        Erase the number, the announcement and the error of entries that have not changed for so
        long. Return how many.

        The keys, their states and the ids of callbacks stay, so that no forgotten key dials again.
        What a forgotten key was called with cannot be compared any more: it does what its state
        says, whatever the arguments. No hash is kept for that, because phone numbers are so few
        that a hash gives them away.

        A number that is blocked stays on the list of these until it is unblocked, and nowhere else:
        without it, the person could not be spared.

        Raises:
            LedgerUnavailableError: The database cannot be used.
            ValueError: *older_than* is negative.
        """
        seconds = older_than.total_seconds()
        if seconds < 0:
            raise ValueError(f"older_than must not be negative, got {older_than!r}.")
        return self.database.forget(seconds)


def _e164(number: str, region: str | None) -> str:
    return to_e164(number, region=region, allow_special_numbers=True)


def _to_blocked(row: Any) -> BlockedNumber:
    return BlockedNumber(number=row.number, reason=row.reason, blocked_at=row.blocked_at)
