"""Decisions as tables, without a database or a clock."""

from __future__ import annotations

import math
from typing import Any

import pytest
from attrs import fields

from tenios_campaign import OpeningHours
from tenios_campaign._rules import Facts, Row, after_failure, decide, ending

NOW = 1_796_000_000.0  # 2026-11-30 00:53:20 UTC, a Monday
ILL = "ill"
UNKNOWN = "stopping, because 2 outcomes are unknown"
NOT_SEEN = "waiting for callbacks whose end was not seen"
ONE = "trying one callback: ill"
UNTIL = "closed until Mon 2026-11-30 09:00 (Europe/Berlin)"
NOT_PLACED = {"ledger_state": "not_placed", "last_error": "No."}
PLACED = {"ledger_state": "placed"}
CLOSED = OpeningHours("Mon-Fri 09:00-18:00", "Europe/Berlin")
OPENS = 1_796_025_600.0


def row(**values: Any) -> Row:
    """Return a customer in the first attempt."""
    known: dict[str, Any] = dict.fromkeys(each.name for each in fields(Row))
    attempt = {
        "number": "+492214710001",
        "attempts": 1,
        "serial": 1,
        "max_attempts": 2,
        "callback_id": "10",
    }
    return Row(**known | attempt | {"retry_after": 600.0, "agent_retry_after": 60.0} | values)


@pytest.mark.parametrize(
    ("facts", "action", "reason", "until"),
    [
        ({}, "start", "", math.inf),
        # Each rule, and its precedence over those below.
        ({"is_stopping": True, "is_paused": True}, "drain", "stopping", math.inf),
        ({"max_unknown": 2, "unknown": 2}, "drain", UNKNOWN, math.inf),
        ({"max_unknown": 2, "unknown": 1}, "start", "", math.inf),
        ({"waiting": False, "active": 0, "unknown": 3}, "done", "", math.inf),
        ({"waiting": False, "active": 1}, "wait", "", math.inf),
        ({"is_paused": True, "hours": CLOSED}, "wait", "paused", math.inf),
        ({"hours": CLOSED, "blocked_until": NOW + 5}, "wait", UNTIL, OPENS),
        ({"hours": OpeningHours("00:00-00:00", "UTC")}, "start", "", math.inf),
        ({"trouble": ILL, "blocked_until": NOW + 5}, "wait", "retrying in 5 s: ill", NOW + 5),
        ({"blocked_until": NOW}, "start", "", math.inf),
        ({"blocked_until": NOW + 1e6}, "start", "", math.inf),  # The clock was set back.
        ({"trouble": ILL, "failures": 3, "starting": 1}, "wait", ONE, math.inf),
        ({"trouble": ILL, "failures": 2, "starting": 1}, "start", "", math.inf),
        ({"starting": 9, "max_active": 99}, "start", "", math.inf),
        ({"starting": 10, "max_active": 99}, "wait", "", math.inf),
        ({"in_progress": 4, "max_active": 5}, "start", "", math.inf),
        ({"in_progress": 5, "active": 1, "max_active": 5}, "wait", "", math.inf),
        ({"in_progress": 5, "max_active": 5}, "wait", NOT_SEEN, math.inf),
        ({"row": None, "next_due": NOW - 9}, "wait", "", math.inf),
        ({"gap": 6.0, "last_start": NOW - 5}, "wait", "", NOW + 1),
        ({"gap": 6.0, "last_start": NOW - 6}, "start", "", math.inf),
        ({"gap": 6.0, "last_start": NOW + 3600}, "start", "", math.inf),  # as above
        ({"row": None, "next_due": NOW + 9}, "wait", "", NOW + 9),
        ({"row": None, "next_due": None}, "wait", "", math.inf),
    ],
)  # fmt: skip
def test_next_step_follows_from_the_facts(
    facts: dict[str, Any], action: str, reason: str, until: float
) -> None:
    decision = decide(Facts(**{"now": NOW, "row": row(), **facts}))
    assert (decision.action, decision.reason, decision.until) == (action, reason, until)


TALKED = {"result": "talked"}


@pytest.mark.parametrize(
    ("attempt", "changes"),
    [
        ({"ledger_state": "dialling"}, None),
        ({"ledger_state": "unknown"}, None),
        (PLACED, None),
        (PLACED | {"status": "CONNECTED"}, None),
        (PLACED | {"status": "DISCONNECTED"}, TALKED),
        (PLACED | {"status": "CALL_B_FAILED"}, {"due_at": NOW + 600}),
        (PLACED | {"status": "CALL_A_FAILED"}, {"due_at": NOW + 60}),
        (PLACED | {"status": "CALL_B_FAILED", "attempts": 2}, {"result": "customer_failed"}),
        (PLACED | {"status": "CALL_A_FAILED", "attempts": 2}, {"result": "agent_failed"}),
        (PLACED | {"status": "CALL_B_FAILED", "answered_at": NOW - 9}, TALKED),
        (PLACED | {"ended_at": NOW - 9, "answered_at": NOW - 99}, None),  # It was given up.
        # An operator has resolved it: given up before it was answered, or with an unknown id.
        (PLACED | {"status": "CALLING_B", "ended_at": NOW - 9}, TALKED),
        (PLACED | {"callback_id": None}, TALKED),
        (NOT_PLACED | {"number": None}, {"attempts": 0, "result": "cancelled"}),
        (NOT_PLACED, {"attempts": 0, "due_at": 0.0, "error": "No."}),
    ],
)  # fmt: skip
def test_ending_of_an_attempt_follows_from_the_ledger(
    attempt: dict[str, Any], changes: dict[str, Any] | None
) -> None:
    found = ending(row(**attempt), NOW)
    assert found == (changes and {"busy_until": 0.0, "error": None, **changes})


@pytest.mark.parametrize(
    ("facts", "retry_after", "failures", "pause"),
    [
        ({}, None, 1, 0),
        ({}, 60.0, 1, 60),
        ({}, 1e9, 1, 3600),
        ({"trouble": "ill", "failures": 1}, None, 2, 0),
        ({"trouble": "ill", "failures": 2}, None, 3, 5),
        ({"trouble": "ill", "failures": 3}, None, 4, 10),
        ({"trouble": "ill", "failures": 99}, None, 100, 600),
        ({"trouble": "ill", "failures": 2}, 60.0, 3, 60),
        ({"trouble": "other", "failures": 9}, None, 1, 0),
        # The request was sent before the pause.
        ({"trouble": "ill", "failures": 3, "blocked_until": NOW + 3}, None, 3, 3),
        ({"trouble": "ill", "failures": 3, "blocked_until": NOW + 3}, 60.0, 3, 60),
    ],
)
def test_similar_failures_pause_starts_longer_each_time(
    facts: dict[str, Any], retry_after: float | None, failures: int, pause: float
) -> None:
    changes = after_failure(Facts(now=NOW, **facts), "ill", retry_after)
    assert changes == {
        "trouble": "ill",
        "failures": failures,
        "blocked_until": NOW + pause if pause else 0,
    }
