"""Decisions of a campaign, as pure functions of what one transaction has read."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

from attrs import field, frozen

if TYPE_CHECKING:
    from ._hours import OpeningHours

#: The usual limits (seconds). Phones may be in use until the latter if the end of a callback was
#: not seen.
ANSWER_TIMEOUT, END_TIMEOUT = 300.0, 4 * 3600.0
#: Maximum simultaneous init requests, so that a failure is noticed before many are sent.
MAX_STARTING = 10
#: Starts pause after this number of similar failures in a row.
TROUBLE = 3
#: The first pause, which doubles with each failure, and the longest (seconds).
FIRST_PAUSE, LAST_PAUSE = 5.0, 600.0
#: The longest pause that TENIOS can ask for (seconds).
LONGEST_RETRY_AFTER = 3600.0


@frozen(kw_only=True)
class Row:
    """
    A customer in the campaign, with the newest attempt in the ledger.

    Attributes:
        serial: Number of the newest key in the ledger for this customer.
        due_at: When the next attempt is due, 0 for as soon as possible; None if none is planned.
        result: The final state of the customer; None if it is not final.
        ledger_state: The state of the newest attempt in the ledger; None if there is none.
    """

    campaign: str
    key: str
    position: int
    number: str | None
    delay: int
    agent_announcement: str | None
    callback_config_id: str | None
    cells: str | None
    max_attempts: int
    retry_after: float
    agent_retry_after: float
    attempts: int
    serial: int
    attempt_key: str | None
    due_at: float | None
    result: str | None
    error: str | None
    claimed_at: float
    busy_until: float
    answered_at: float | None
    ended_at: float | None
    updated_at: float
    state: str
    ledger_state: str | None
    callback_id: str | None
    started_at: float | None
    status: str | None
    last_error: str | None

    @property
    def next_key(self) -> str:
        """The key of the next attempt in the ledger."""
        return f"{self.campaign}/{self.key}/{self.serial + 1}"

    @property
    def is_given_up(self) -> bool:
        """Whether the newest attempt is open, and is no longer followed."""
        return self.ended_at is not None and self.result is None and self.due_at is None


@frozen(kw_only=True)
class Facts:
    """
    The state of a campaign, read in one transaction. Times are in seconds since the epoch.

    Attributes:
        now: The time.
        is_paused: Whether the campaign is paused.
        max_active: Maximum callbacks in progress.
        gap: Minimum seconds from one start to the next.
        hours: When callbacks may be started; None for always.
        last_start: When the newest attempt began.
        trouble: What the newest failures have in common; None if the newest start succeeded.
        failures: Number of these failures in a row.
        blocked_until: When starts may resume after these failures.
        waiting: Whether customers are waiting for an attempt.
        starting: Number of init requests in progress.
        in_progress: Number of callbacks that are or may be in progress.
        active: Number of attempts that have not ended and whose outcome is not unknown.
        unknown: Number of unknown outcomes.
        row: The next customer; None if none can be called now.
        next_due: When the next customer is due; None if none is.
        max_unknown: Number of unknown outcomes that ends the run; None for no limit.
        is_stopping: Whether to start no more callbacks.
    """

    now: float
    is_paused: bool = False
    max_active: int = 1
    gap: float = 0.0
    hours: OpeningHours | None = None
    last_start: float = 0.0
    trouble: str | None = None
    failures: int = 0
    blocked_until: float = 0.0
    waiting: bool = True
    starting: int = 0
    in_progress: int = 0
    active: int = 0
    unknown: int = 0
    row: Row | None = None
    next_due: float | None = None
    max_unknown: int | None = None
    is_stopping: bool = False


@frozen
class Decision:
    """
    What to do next.

    Attributes:
        action: ``start`` a callback; ``wait``; ``drain``: start no more, and end after those in
            progress; ``done``: all customers were called.
        reason: Why no callback is started, as shown to users.
        until: Until when to wait; infinity if it does not depend on time.
    """

    action: Literal["start", "wait", "drain", "done"]
    reason: str = ""
    until: float = field(default=math.inf)


def decide(facts: Facts) -> Decision:  # noqa: C901, PLR0911 - one return per rule, in order
    """Return what to do next."""
    if facts.is_stopping:
        return Decision("drain", "stopping")
    if facts.max_unknown is not None and facts.unknown >= facts.max_unknown:
        are = "outcome is" if facts.unknown == 1 else "outcomes are"
        return Decision("drain", f"stopping, because {facts.unknown} {are} unknown")
    if not facts.waiting:
        return Decision("wait") if facts.active else Decision("done")
    if facts.is_paused:
        return Decision("wait", "paused")
    if facts.hours is not None and not facts.hours.is_open(facts.now):
        opens = facts.hours.next_opening(facts.now)
        return Decision("wait", f"closed until {facts.hours.describe(opens)}", opens)
    # If it is even later, the clock was set back.
    if facts.now < facts.blocked_until <= facts.now + LONGEST_RETRY_AFTER:
        seconds = facts.blocked_until - facts.now
        return Decision(
            "wait", f"retrying in {seconds:.0f} s: {facts.trouble}", facts.blocked_until
        )
    is_troubled = facts.failures >= TROUBLE
    if facts.starting >= (1 if is_troubled else MAX_STARTING):
        return Decision("wait", f"trying one callback: {facts.trouble}" if is_troubled else "")
    if facts.in_progress >= facts.max_active:
        reason = "" if facts.active else "waiting for callbacks whose end was not seen"
        return Decision("wait", reason)
    if 0 <= facts.now - facts.last_start < facts.gap:
        return Decision("wait", "", facts.last_start + facts.gap)
    if facts.row is None:
        # Those who are due have a number that is in another call.
        due = facts.next_due or 0.0
        return Decision("wait", "", due if due > facts.now else math.inf)
    return Decision("start")


def ending(row: Row, now: float) -> dict[str, Any] | None:
    """Return the changes of a customer whose attempt has ended; None if it has not."""
    changes: dict[str, Any] = {"busy_until": 0.0, "error": None}
    if row.ledger_state == "not_placed" and row.number is None:
        return changes | {"attempts": row.attempts - 1, "result": "cancelled"}
    if row.ledger_state == "not_placed":
        return changes | {"attempts": row.attempts - 1, "due_at": 0.0, "error": row.last_error}
    if row.ledger_state != "placed":
        return None
    party = {"CALL_A_FAILED": "agent", "CALL_B_FAILED": "customer"}.get(row.status or "")
    if party is not None and row.answered_at is None:
        if row.attempts >= row.max_attempts:
            return changes | {"result": f"{party}_failed"}
        pause = row.retry_after if party == "customer" else row.agent_retry_after
        return changes | {"due_at": now + pause}
    # An operator has resolved it as placed, if it has no id or was given up before it was answered.
    is_resolved = row.is_given_up and row.answered_at is None
    is_over = row.status == "DISCONNECTED" or is_resolved or row.callback_id is None
    return changes | {"result": "talked"} if is_over or party is not None else None


def after_failure(facts: Facts, trouble: str, retry_after: float | None) -> dict[str, Any]:
    """
    Return the changes of the campaign after a failed start. After a few similar failures, starts
    pause, longer each time. Failures of requests that were sent before the pause do not count.
    """
    is_same = facts.trouble == trouble
    is_late = is_same and facts.now < facts.blocked_until
    failures = facts.failures + (not is_late) if is_same else 1
    pause = min(FIRST_PAUSE * 2.0 ** min(failures - TROUBLE, 10), LAST_PAUSE)
    least = min(retry_after or 0.0, LONGEST_RETRY_AFTER)
    pause = max(pause if failures >= TROUBLE and not is_late else 0.0, least)
    until = facts.now + pause if pause else 0.0
    return {
        "trouble": trouble,
        "failures": failures,
        "blocked_until": max(until, facts.blocked_until if is_same else 0.0),
    }
