"""Customers, entries of a campaign, and what is counted."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from attrs import field, frozen
from attrs.validators import instance_of, optional

from tenios_ext import to_e164
from tenios_ext.shared import is_number, is_one_line, is_whole

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

#: An attempt's key in the ledger has the campaign's name, the customer's key and a number, with
#: slashes between them, and at most 200 characters.
MAX_NAME, MAX_KEY = 30, 160
#: The longest delay and pause (seconds).
MAX_SECONDS = 2**31 - 1
#: How many faults are named, such as rows of a file.
MAX_SHOWN = 50


def check_name(name: object, *, what: str, longest: int) -> None:
    """Raise ValueError unless this is the name of a campaign or the key of a customer."""
    if not is_one_line(name) or len(name) > longest:
        raise ValueError(
            f"{what} must have 1 to {longest} printable characters and no space around them, got "
            f"{name!r}."
        )


def _to_e164(number: str) -> str:
    # What a call may cost is decided by the file that is read, and by the client that calls.
    return to_e164(number, allow_special_numbers=True)


def _check_key(_: object, __: Attribute[str], key: str) -> None:
    check_name(key, what="key", longest=MAX_KEY)


def _check_text(_: object, attribute: Attribute[Any], text: object) -> None:
    if text is not None and (not isinstance(text, str) or not text.strip() or "\0" in text):
        raise ValueError(
            f"{attribute.name} must be a text that is not empty, or None, got {text!r}."
        )


def _check_delay(_: object, __: Attribute[int], delay: object) -> None:
    if not is_whole(delay, MAX_SECONDS):
        raise ValueError(
            f"delay must be a whole number of seconds from 0 to {MAX_SECONDS}, got {delay!r}."
        )


def _check_time(_: object, __: Attribute[Any], when: datetime | None) -> None:
    # A spreadsheet writes an empty time as one of 1899, and "for ever" as 9999.
    first, last = datetime(1970, 1, 2, tzinfo=UTC), datetime(9998, 1, 1, tzinfo=UTC)
    if when is not None and not (
        first.year <= when.year <= last.year and first <= when.astimezone(UTC) < last
    ):
        raise ValueError(f"not_before must be between 1970 and 9998, got {when:%Y-%m-%d %H:%M}.")


@frozen
class Customer:
    """
    A customer to call back.

    Args:
        key: What the callback is for, such as an order: 1 to 160 printable characters.
        number: The phone number with its country code, in any usual spelling. The attribute is
            E.164.
        delay: Seconds TENIOS waits before it calls the agent.
        not_before: The first attempt is not started earlier; None for as soon as possible.
        agent_announcement: A text that is read to the agent first.
        callback_config_id: Use this callback configuration instead of the client's.
        cells: Other data, such as the cells of the file that the customer comes from. It is
            exported with the results.
        line: The line of that file.

    Raises:
        ValueError: One of them is not valid.
    """

    key: str = field(validator=_check_key)
    number: str = field(converter=_to_e164)
    delay: int = field(default=0, validator=_check_delay, kw_only=True)
    not_before: datetime | None = field(
        default=None, validator=[optional(instance_of(datetime)), _check_time], kw_only=True
    )
    agent_announcement: str | None = field(default=None, validator=_check_text, kw_only=True)
    callback_config_id: str | None = field(default=None, validator=_check_text, kw_only=True)
    cells: Mapping[str, str] | None = field(default=None, kw_only=True, eq=False)
    line: int | None = field(default=None, kw_only=True, eq=False)


@frozen
class RowProblem:
    """
    What is wrong with a row of a file.

    Attributes:
        line: The line of the file in which the row begins, counted from 1.
        reason: What is wrong, in a sentence.
    """

    line: int
    reason: str


class InvalidRowsError(ValueError):
    """
    Rows cannot be added, so none was.

    Attributes:
        problems: The first 50 problems.
        count: How many there are.
    """

    def __init__(self, problems: list[RowProblem], count: int) -> None:
        super().__init__(f"{count} rows cannot be added, so none was: {problems[0].reason}")
        self.problems = problems
        self.count = count


class SameNumberError(ValueError):
    """
    New keys have numbers that the campaign knows under other keys, so nothing was added.

    Attributes:
        pairs: The first 50 pairs of a known key and a new one.
        count: How many there are.
    """

    def __init__(self, pairs: list[tuple[str, str]], count: int) -> None:
        super().__init__(
            f"{count} new keys have numbers that the campaign knows under other keys, such as "
            f"{pairs[0][1]!r} and {pairs[0][0]!r}. Nothing was added. Allow it with "
            "allow_same_number=True."
        )
        self.pairs = pairs
        self.count = count


@frozen(kw_only=True)
class Added:
    """
    What :meth:`Campaign.add` has done.

    Attributes:
        new: How many customers were added.
        known: How many were in the campaign already. They stay as they are.
        repeated: How many were repeated among those given.
        same_number: Pairs of keys among those given that share a number; the first 50.
    """

    new: int
    known: int
    repeated: int
    same_number: tuple[tuple[str, str], ...]


@frozen(kw_only=True)
class CampaignEntry:
    """
    A customer of a campaign and what has happened. Times are in seconds since the epoch.

    Attributes:
        key: The customer's key.
        number: The phone number, as E.164; None once it was forgotten.
        state: ``waiting`` for the next attempt; ``ringing``: an attempt is being made; ``talking``
            to an agent; or how it ended: ``talked`` to an agent, ``agent_failed`` or
            ``customer_failed`` in the last attempt, ``rejected`` by TENIOS, ``unknown``: phones may
            have rung, so it is never tried again until :meth:`.Ledger.resolve`, or ``cancelled``.
        attempts: How many callbacks were started, or may have been.
        due_at: When the next attempt may begin; None unless waiting for that time.
        attempt_key: The key of the newest attempt in the ledger; None if there is none.
        callback_id: The id of the newest attempt's callback; None if there is none.
        status: The newest status of that callback; None if none was seen.
        error: Why the newest attempt returned no callback, or its outcome is unknown.
        started_at: When the newest attempt began; None if there is none.
        answered_at: When customer and agent were seen to be connected in it; None if they were not.
        ended_at: When it was seen to have ended; None if it was not.
        cells: The cells of the customer's row by the names of their columns; None if there are
            none, or they were forgotten.
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
    How many customers of a campaign are in each state, which adds up to all of them.

    Attributes:
        waiting: Wait for an attempt.
        ringing: An attempt is being made, and the two are not connected yet.
        talking: Customer and agent are connected.
        talked: Were connected to an agent.
        agent_failed: No agent was reached in the last attempt.
        customer_failed: Were not reached in the last attempt.
        rejected: TENIOS refused to call them, or an argument was wrong.
        unknown: Were perhaps called; see :meth:`.Ledger.resolve`.
        cancelled: Are not to be called any more.
        paused: Whether no new attempt is started until :meth:`Campaign.resume`.
        max_active: Maximum callbacks in progress; None if it is not set.
        max_starts_per_minute: Maximum starts in a minute; None for no limit.
        hours: When callbacks may be started; None for always.
        trouble: What the newest failures have in common; None if the newest start did not fail.
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
        """How many attempts are being made."""
        return self.ringing + self.talking

    @property
    def done(self) -> int:
        """How many customers will not be called again."""
        return self.total - self.waiting - self.active

    @property
    def total(self) -> int:
        """How many customers there are."""
        failed = self.agent_failed + self.customer_failed + self.rejected
        return self.waiting + self.active + self.talked + failed + self.unknown + self.cancelled


def ignore(_: object) -> None:
    """Do nothing with what is reported."""


@frozen(kw_only=True)
class Options:
    """How a campaign is run; see :meth:`Campaign.run`. Only workers have a queue."""

    answer_timeout: float
    end_timeout: float
    max_unknown: int | None
    on_update: Callable[[CampaignEntry], None]
    on_wait: Callable[[str], None]
    stop: asyncio.Event = field(factory=asyncio.Event)
    queue: Queue | None = None


def to_seconds(value: object, name: str) -> float:
    """Return a duration in seconds. Raises ValueError if it is negative, or no duration."""
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if not is_number(seconds) or not 0 <= seconds <= MAX_SECONDS:
        raise ValueError(
            f"{name} must be a number of seconds from 0 to {MAX_SECONDS} or a timedelta, got "
            f"{value!r}."
        )
    return float(seconds)
