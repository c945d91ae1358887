"""Customers, entries of a campaign, and what is counted."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from attrs import field, frozen
from attrs.validators import gt, instance_of, optional

from tenios_ext import to_e164
from tenios_ext._models import MAX_DELAY

if TYPE_CHECKING:
    from attrs import Attribute

    from tenios_ext import CallbackStatus

CampaignState = Literal[
    "waiting",
    "active",
    "talked",
    "agent_failed",
    "customer_failed",
    "rejected",
    "unknown",
    "cancelled",
]

#: An attempt's key in the ledger is the customer's, a slash and a number, and has at most 200
#: characters.
MAX_KEY = 190


def _check_key(_: object, __: Attribute[str], key: str) -> None:
    if (
        type(key) is not str
        or not 0 < len(key) <= MAX_KEY
        or not key.isprintable()
        or key != key.strip()
    ):
        raise ValueError(
            f"key must have 1 to {MAX_KEY} printable characters, none around it, got {key!r}."
        )


def _check_text(_: object, attribute: Attribute[Any], text: object) -> None:
    if text is not None and (not isinstance(text, str) or not text.strip()):
        raise ValueError(
            f"{attribute.name} must be a text that is not empty, or None, got {text!r}."
        )


def _check_delay(_: object, __: Attribute[int], delay: object) -> None:
    if isinstance(delay, bool) or not isinstance(delay, int) or not 0 <= delay <= MAX_DELAY:
        raise ValueError(
            f"delay must be a whole number of seconds from 0 to {MAX_DELAY}, got {delay!r}."
        )


def _to_e164(number: str) -> str:
    # What a call may cost is decided by the file that is read, and by the client that calls.
    return to_e164(number, allow_special_numbers=True)


@frozen
class Customer:
    """
    A customer who is to be called back.

    Args:
        key: What the callback is for, such as an order: 1 to 190 printable characters.
        number: The phone number with its country code, in any usual spelling. The attribute is
            E.164.
        delay: Seconds TENIOS waits before it calls the agent.
        not_before: The first attempt is not started earlier; None for as soon as possible.
        agent_announcement: A text that is read to the agent first.
        callback_config_id: Use this callback configuration instead of the client's.

    Raises:
        ValueError: One of them is not valid.
    """

    key: str = field(validator=_check_key)
    number: str = field(converter=_to_e164)
    delay: int = field(default=0, validator=_check_delay, kw_only=True)
    not_before: datetime | None = field(
        default=None, validator=optional(instance_of(datetime)), kw_only=True
    )
    agent_announcement: str | None = field(default=None, validator=_check_text, kw_only=True)
    callback_config_id: str | None = field(default=None, validator=_check_text, kw_only=True)


@frozen(kw_only=True)
class Added:
    """
    What :meth:`Campaign.add` has done.

    Attributes:
        new: How many customers were added.
        known: How many were in the campaign before, or twice among those given. They stay as they
            are.
        same_number: Pairs of different keys that have the same number. Both are called.
    """

    new: int
    known: int
    same_number: tuple[tuple[str, str], ...]


@frozen(kw_only=True)
class CampaignEntry:
    """
    A customer of a campaign, and what has happened.

    Attributes:
        key: The customer's key.
        number: The phone number, as E.164; None once it was forgotten.
        state: ``waiting`` for the next attempt; ``active``: an attempt is being made; or how it
            ended: ``talked`` to an agent, ``agent_failed`` or ``customer_failed`` in the last
            attempt, ``rejected`` by TENIOS, ``unknown``: phones may have rung, so it is never tried
            again by itself, or ``cancelled``.
        attempts: How many callbacks were started, or may have been.
        due_at: When the next attempt may begin, in seconds since the epoch; None unless waiting for
            that time.
        attempt_key: The key of the newest attempt in the ledger; None if there is none.
        callback_id: The id of the newest attempt's callback; None if there is none.
        status: The newest status of that callback; None if none was seen.
        error: Why the newest attempt returned no callback, or its outcome is unknown.
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
        unknown: Were perhaps called; see :meth:`Ledger.resolve`.
        cancelled: Are not to be called any more.
        paused: Whether no new attempt is started at the moment.
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
        failed = (
            self.agent_failed + self.customer_failed + self.rejected + self.unknown + self.cancelled
        )
        return self.waiting + self.active + self.talked + failed


def to_seconds(value: object, name: str) -> float:
    """Return a duration in seconds. Raises ValueError if it is negative, or no duration."""
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if (
        isinstance(seconds, bool)
        or not isinstance(seconds, int | float)
        or not 0 <= seconds <= MAX_DELAY
    ):
        raise ValueError(
            f"{name} must be a number of seconds from 0 to {MAX_DELAY} or a timedelta, got "
            f"{value!r}."
        )
    return float(seconds)


@frozen
class Limits:
    """
    What limits the starting of callbacks.

    Attributes:
        max_active: The most that are in progress.
        gap: The least number of seconds from one start to the next.
    """

    max_active: int = field(validator=[instance_of(int), gt(0)])
    gap: float = field(default=0.0)
