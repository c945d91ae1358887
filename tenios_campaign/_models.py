"""The data types of campaigns."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from attrs import field, frozen
from attrs.validators import instance_of, optional

from tenios_ext import to_e164
from tenios_ext.shared import check_announcement, is_number, is_one_line, is_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from attrs import Attribute

    from tenios_ext import CallbackStatus

    from ._hours import OpeningHours
    from ._worker import Queue

CampaignState = Literal[
    "waiting",
    "ringing",
    "talking",
    "talked",
    "agent_failed",
    "customer_failed",
    "rejected",
    "unknown",
    "cancelled",
]

#: An attempt's key in the ledger, such as default/order-1/1, has at most 200 characters.
MAX_NAME, MAX_KEY = 30, 160
#: The longest delay and pause (seconds).
MAX_SECONDS = 2**31 - 1
#: Maximum problems in an error, such as rows of a file.
MAX_SHOWN = 50


def check_name(name: object, *, what: str, longest: int) -> None:
    """Raise ValueError unless *name* is a valid campaign name or customer key."""
    if not is_one_line(name) or len(name) > longest:
        raise ValueError(
            f"{what} must have 1 to {longest} printable characters without surrounding spaces, got "
            f"{name!r}."
        )


def _to_e164(number: str) -> str:
    # read_customers() and the client check whether special numbers are allowed.
    return to_e164(number, allow_special_numbers=True)


def _check_key(_: object, __: Attribute[str], key: str) -> None:
    check_name(key, what="key", longest=MAX_KEY)


def _check_announcement(_: object, __: Attribute[Any], text: object) -> None:
    check_announcement(text)


def _check_config_id(_: object, __: Attribute[Any], text: object) -> None:
    if not is_one_line(text):
        raise ValueError(f"callback_config_id must be one line of text or None, got {text!r}.")


def _check_delay(_: object, __: Attribute[int], delay: object) -> None:
    if not is_whole(delay, MAX_SECONDS):
        raise ValueError(
            f"delay must be a whole number of seconds from 0 to {MAX_SECONDS}, got {delay!r}."
        )


def _check_time(_: object, __: Attribute[Any], when: datetime | None) -> None:
    # Spreadsheets write an empty time as 1899, and people write "never" as 9999.
    first, last = datetime(1970, 1, 2, tzinfo=UTC), datetime(9998, 1, 1, tzinfo=UTC)
    if when is not None and not (
        first.year <= when.year <= last.year and first <= when.astimezone(UTC) < last
    ):
        raise ValueError(f"not_before must be between 1970 and 9998, got {when:%Y-%m-%d %H:%M}.")


@frozen
class Customer:
    """
    A customer to call.

    Args:
        key: What the call is for, such as an order: 1 to 160 printable characters.
        number: The phone number with its country code, in any usual spelling. The attribute is
            E.164.
        delay: Seconds before TENIOS calls the agent.
        not_before: The earliest start of the first attempt; None for as soon as possible.
        agent_announcement: A text that is read to the agent first.
        callback_config_id: Another callback configuration than the client's.
        cells: Other data to export with the results, such as the cells of the customer's row.
        line: The line of this row.

    Raises:
        ValueError: An argument is invalid.
    """

    key: str = field(validator=_check_key)
    number: str = field(converter=_to_e164)
    delay: int = field(default=0, validator=_check_delay, kw_only=True)
    not_before: datetime | None = field(
        default=None, validator=[optional(instance_of(datetime)), _check_time], kw_only=True
    )
    agent_announcement: str | None = field(
        default=None, validator=optional(_check_announcement), kw_only=True
    )
    callback_config_id: str | None = field(
        default=None, validator=optional(_check_config_id), kw_only=True
    )
    cells: Mapping[str, str] | None = field(default=None, kw_only=True, eq=False)
    line: int | None = field(default=None, kw_only=True, eq=False)


@frozen
class RowProblem:
    """
    An invalid row of a file.

    Attributes:
        line: The line in which the row begins, counted from 1.
        reason: What is wrong, as a sentence.
    """

    line: int
    reason: str


class InvalidRowsError(ValueError):
    """
    Rows are invalid, so nothing was added.

    Attributes:
        problems: The first 50 problems.
        count: The number of all problems.
    """

    def __init__(self, problems: list[RowProblem], count: int) -> None:
        rows = "1 row is" if count == 1 else f"{count} rows are"
        super().__init__(f"Nothing was added, because {rows} invalid: {problems[0].reason}")
        self.problems = problems
        self.count = count


class SameNumberError(ValueError):
    """
    New keys have a number that the campaign already has, so nothing was added.

    Attributes:
        pairs: The first 50 pairs of a known key and a new key.
        count: The number of all pairs.
    """

    def __init__(self, pairs: list[tuple[str, str]], count: int) -> None:
        super().__init__(
            f"Nothing was added, because {count} of the new keys would call a number again, such "
            f"as {pairs[0][1]!r} with the number of {pairs[0][0]!r}. If this is intended, pass "
            "allow_same_number=True."
        )
        self.pairs = pairs
        self.count = count


@frozen(kw_only=True)
class Added:
    """
    The result of :meth:`Campaign.add`.

    Attributes:
        new: Number of added customers.
        known: Number of skipped customers, who were already in the campaign.
        changed: Number of those with other data, such as a delay, which stay as they were.
        repeated: Number of repetitions among the given customers.
        same_number: The first 50 pairs of given keys that share a number.
    """

    new: int
    known: int
    changed: int = 0
    repeated: int
    same_number: tuple[tuple[str, str], ...]


@frozen(kw_only=True)
class CampaignEntry:
    """
    A customer of a campaign, with the newest attempt. Times are in seconds since the epoch.

    Attributes:
        key: The customer's key.
        number: The phone number, as E.164; None if it was erased.
        state: ``waiting`` for an attempt, ``ringing`` or ``talking`` in one, or how it ended:
            ``talked`` to an agent, ``agent_failed`` or ``customer_failed`` (not reached in the last
            attempt), ``rejected``, ``unknown`` (phones may have rung; not called again before
            :meth:`.Ledger.resolve`) or ``cancelled``.
        attempts: Number of callbacks that were or may have been started.
        due_at: When the next attempt is due; None if it is not waiting for a time.
        attempt_key: The attempt's key in the ledger; None without an attempt.
        callback_id: The id of the callback; None if it is not known.
        status: The newest status of the callback; None if it is not known.
        error: Why the callback was not started, or its outcome is unknown.
        started_at: When the attempt began; None without an attempt.
        answered_at: When agent and customer were connected; None if they were not.
        ended_at: When the end of the callback was seen; None if it was not.
        cells: The cells of the customer's row by column name; None if there are none, or they were
            erased.
    """

    key: str
    number: str | None
    state: CampaignState
    attempts: int
    due_at: float | None
    attempt_key: str | None
    callback_id: int | None
    status: CallbackStatus | None
    error: str | None
    started_at: float | None = None
    answered_at: float | None = None
    ended_at: float | None = None
    cells: Mapping[str, str] | None = None


@frozen(kw_only=True)
class CampaignSummary:
    """
    The number of customers in each state, and the limits of a campaign.

    Attributes:
        waiting: Customers who wait for an attempt.
        ringing: Customers with an attempt in progress, not connected yet.
        talking: Customers who are connected to an agent.
        talked: Customers who were connected to an agent.
        agent_failed: Customers for whom no agent was reached in the last attempt.
        customer_failed: Customers who were not reached in the last attempt.
        rejected: Customers that TENIOS rejected, or whose data is invalid or number blocked.
        unknown: Customers who may have been called; see :meth:`.Ledger.resolve`.
        cancelled: Customers who were cancelled.
        paused: Whether starts are paused until :meth:`Campaign.resume`.
        max_active: Maximum callbacks in progress; None if it is not set.
        max_starts_per_minute: Maximum rate of starts; None for no limit.
        hours: When callbacks may be started; None for always.
        trouble: What the newest failures have in common; None if the newest start succeeded.
    """

    waiting: int = 0
    ringing: int = 0
    talking: int = 0
    talked: int = 0
    agent_failed: int = 0
    customer_failed: int = 0
    rejected: int = 0
    unknown: int = 0
    cancelled: int = 0
    paused: bool = False
    max_active: int | None = None
    max_starts_per_minute: float | None = None
    hours: OpeningHours | None = None
    trouble: str | None = None

    @property
    def active(self) -> int:
        """Number of attempts in progress."""
        return self.ringing + self.talking

    @property
    def done(self) -> int:
        """Number of customers who will not be called again."""
        return self.total - self.waiting - self.active

    @property
    def total(self) -> int:
        """Number of all customers."""
        failed = self.agent_failed + self.customer_failed + self.rejected
        return self.waiting + self.active + self.talked + failed + self.unknown + self.cancelled


def ignore(_: object) -> None:
    """Ignore an update or a reason."""


@frozen(kw_only=True)
class Options:
    """The options of :meth:`Campaign.run`. Only workers have a queue."""

    answer_timeout: float
    end_timeout: float
    max_unknown: int | None
    on_update: Callable[[CampaignEntry], None]
    on_wait: Callable[[str], None]
    stop: asyncio.Event = field(factory=asyncio.Event)
    queue: Queue | None = None


def to_seconds(value: object, name: str) -> float:
    """Return a duration in seconds. Raises ValueError if it is invalid."""
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if not is_number(seconds) or not 0 <= seconds <= MAX_SECONDS:
        raise ValueError(
            f"{name} must be a number of seconds from 0 to {MAX_SECONDS} or a timedelta, got "
            f"{value!r}."
        )
    return float(seconds)
