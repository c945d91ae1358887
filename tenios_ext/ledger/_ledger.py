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
    The entry of a key. Times are seconds since the epoch, by the database's clock.

    Attributes:
        key: The key.
        state: ``dialling``: the request is being sent. ``placed``: TENIOS has accepted the
            callback. ``not_placed``: TENIOS rejected it, nothing was sent, or you recorded that
            there was no call; the next call with the key sends a request. ``unknown``: phones may
            have rung, or the process has died; no request is sent until you call
            :meth:`Ledger.resolve`.
        number: The customer's number as E.164; None if it was erased.
        attempts: The number of requests for the key.
        handle: The handle of the callback; None if its id is unknown.
        status: The newest status; None if there is none yet.
        created_at: The time of the first attempt.
        dialled_at: The time of the newest attempt.
        updated_at: The time of the last change.
        last_error: The error of the newest attempt; None if there was none or it was erased.
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
    A blocked number.

    Attributes:
        number: The number as E.164.
        reason: The reason, or None.
        blocked_at: The time in seconds since the epoch, by the database's clock.
    """

    number: str
    reason: str | None
    blocked_at: float


def to_entry(row: Any) -> LedgerEntry:
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
    Records the callback of each key in SQLite (one machine) or PostgreSQL (any number of machines).

    Share it between clients, threads and tasks. After a fork or unpickling, a process opens its own
    connections. The pickle contains the password of the database.

    Args:
        url: The database, such as ``sqlite:///callbacks.db`` or
            ``postgresql://user:password@host/database``. Missing tables are created.

    Attributes:
        database: Internal.

    Raises:
        ConfigurationError: The URL is invalid, the database cannot be used, or the extra ``ledger``
            is not installed.
    """

    def __init__(self, url: str) -> None:
        if not isinstance(url, str):
            raise ConfigurationError(f"url must be a str, got {type(url).__name__}.")
        with requires_extra("ledger", ConfigurationError):
            from ._database import Database  # SQLAlchemy takes long to import.

        self.database = Database(url)

    def __repr__(self) -> str:
        return f"Ledger({str(self)!r})"

    def __str__(self) -> str:
        """Return the URL without passwords."""
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
        Record a status, unless a later one was recorded. Clients call this. A failure is logged
        only, so that following continues.
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
        """Close the connections. If you use the ledger again, it opens new ones."""
        self.database.close()

    def get(self, key: str) -> LedgerEntry | None:
        """
        Return the entry of a key; None if the key was never used.

        Raises:
            LedgerUnavailableError: The database is not available.
            TypeError: *key* is not a str.
        """
        if not isinstance(key, str):
            raise TypeError(f"key must be a str, got {type(key).__name__}.")
        if not is_one_line(key):
            return None  # start_callback refuses such a key.
        return next(map(to_entry, self.database.rows(key=key)), None)

    def entries(self, *, state: LedgerState | None = None) -> list[LedgerEntry]:
        """
        Return the entries in the order of their first attempt.

        Args:
            state: Return only entries in this state.

        Raises:
            LedgerUnavailableError: The database is not available.
            ValueError: *state* is not a state.
        """
        if state is not None and state not in get_args(LedgerState):
            raise ValueError(
                f"state must be one of {', '.join(get_args(LedgerState))}, got {state!r}."
            )
        return list(map(to_entry, self.database.rows(state=state)))

    def resolve(self, key: str, *, placed: bool, callback_id: int | None = None) -> LedgerEntry:
        """
        Resolve an unknown outcome. Ask the agent or the customer first whether there was a call.

        Args:
            key: The key.
            placed: Whether there was a call. If there was none, the key can be used again.
                Otherwise it never starts another callback.
            callback_id: The id of the callback, if known. You can also add it later.

        Raises:
            LedgerUnavailableError: The database is not available.
            LookupError: The key was never used.
            ValueError: The outcome is not unknown, or *callback_id* is invalid.
        """
        if callback_id is not None and not is_whole(callback_id, MAX_ID):
            raise ValueError(
                f"callback_id must be a whole number from 0 to {MAX_ID}, got {callback_id!r}."
            )
        if callback_id is not None and not placed:
            raise ValueError("callback_id requires placed=True.")
        is_resolved, row = False, None
        if is_one_line(key):  # start_callback refuses other keys.
            is_resolved, row = self.database.resolve(key, is_placed=placed, callback_id=callback_id)
        if row is None:
            raise LookupError(f"The ledger has no key {shown(key)}.")
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
        Block a number: ``start_callback`` with a key raises BlockedNumberError, and campaigns in
        this database do not call it. Callbacks in progress continue.

        If the number is already blocked, a new *reason* replaces the old one.

        Args:
            number: The number in any usual spelling.
            reason: One line of at most 200 characters, shown in the list.
            region: The country of a number without a country code, such as "DE".

        Raises:
            LedgerUnavailableError: The database is not available.
            ValueError: *number* or *reason* is invalid.
        """
        if reason is not None and not (is_one_line(reason) and len(reason) <= MAX_REASON):
            raise ValueError(
                f"reason must be one line of 1 to {MAX_REASON} characters, got {shown(reason)}."
            )
        return _to_blocked(self.database.block(_e164(number, region), reason))

    def unblock(self, number: str, *, region: str | None = None) -> bool:
        """
        Unblock a number. Return whether it was blocked.

        Args:
            number: The number in any usual spelling.
            region: The country of a number without a country code, such as "DE".

        Raises:
            LedgerUnavailableError: The database is not available.
            ValueError: *number* is invalid.
        """
        return self.database.unblock(_e164(number, region))

    def blocked(self) -> list[BlockedNumber]:
        """
        Return all blocked numbers, the newest last.

        Raises:
            LedgerUnavailableError: The database is not available.
        """
        return list(map(_to_blocked, self.database.blocked()))

    def forget(self, *, older_than: timedelta) -> int:
        """
        Erase the number, announcement and error of entries that have not changed for *older_than*.
        Return how many were erased.

        Keys, states and callback ids stay, so that an erased key does not start another callback.
        Its arguments are no longer compared, not even by a hash, which would reveal a phone number.
        Blocked numbers stay on their list until you unblock them, and the number of a callback that
        may be in progress until it has ended.

        Raises:
            LedgerUnavailableError: The database is not available.
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
