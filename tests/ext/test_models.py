"""Callback handles, status changes and outcomes."""

from __future__ import annotations

import json
import pickle
from typing import Any

import attrs
import pytest

from tenios_ext import CallbackHandle, CallbackStatus, Outcome, StatusChange, is_final

HANDLE = CallbackHandle(10, delay=30, started_at=1_700_000_000.25)
FINAL = ["CALL_A_FAILED", "CALL_B_FAILED", "DISCONNECTED"]


def outcome(*statuses: str, every: float = 10) -> Outcome:
    changes = [
        StatusChange(CallbackStatus(status), 100 + index * every)
        for index, status in enumerate(statuses)
    ]
    return Outcome(HANDLE, tuple(changes))


@pytest.mark.parametrize("status", [*CallbackStatus, CallbackStatus("ON_HOLD")])
def test_only_documented_ends_are_final(status: CallbackStatus) -> None:
    assert is_final(status) == (status in FINAL)


def test_handle_survives_json() -> None:
    assert CallbackHandle.from_json(HANDLE.to_json()) == HANDLE
    assert CallbackHandle.from_json(HANDLE.to_json().encode()) == HANDLE


def test_handle_as_json_has_id_delay_and_start_only() -> None:
    assert json.loads(HANDLE.to_json()) == {"id": 10, "delay": 30, "started_at": 1_700_000_000.25}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "10",
        "null",
        "[]",
        "{}",
        '{"id": 10}',
        '{"id": "10", "started_at": 0}',
        '{"id": 1.5, "started_at": 0}',
        '{"id": -1, "started_at": 0}',
        '{"id": 10, "started_at": NaN}',
        '{"id": 10, "started_at": Infinity}',
        '{"id": 10, "started_at": -1}',
        '{"id": 10, "started_at": null}',
        '{"id": 10, "started_at": 0, "delay": -1}',
        '{"id": 10, "started_at": 0, "delay": "1"}',
        b"\xff",
    ],
)
def test_text_that_is_not_a_handle_is_refused(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"Not a callback handle from to_json\(\)"):
        CallbackHandle.from_json(text)


@pytest.mark.parametrize(
    "model", [HANDLE, StatusChange(CallbackStatus.CONNECTED, 1.0), outcome("REQUESTED")]
)
def test_models_cannot_be_changed(model: Any) -> None:
    name = attrs.fields(type(model))[0].name
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(model, name, None)


@pytest.mark.parametrize(
    "model", [HANDLE, StatusChange(CallbackStatus.CONNECTED, 1.0), outcome("CALLING_A", "PARKED")]
)
def test_models_survive_pickling(model: Any) -> None:
    assert pickle.loads(pickle.dumps(model)) == model


@pytest.mark.parametrize(
    ("statuses", "connected", "failed_party", "ended"),
    [
        ([], False, None, False),
        (["REQUESTED"], False, None, False),
        (["ACCEPTED", "CALLING_A", "CALLING_B"], False, None, False),
        (["CALLING_A", "CALL_A_FAILED"], False, "agent", True),
        (["CALLING_B", "CALL_B_FAILED"], False, "customer", True),
        (["CALLING_B", "CONNECTED"], True, None, False),
        (["CALLING_B", "CONNECTED", "DISCONNECTED"], True, None, True),
        (["CALLING_B", "DISCONNECTED"], True, None, True),
        (["CONNECTED", "ON_HOLD"], True, None, False),
        (["ON_HOLD"], False, None, False),
    ],
)
def test_outcome_says_who_was_reached_and_whether_it_has_ended(
    statuses: list[str], *, connected: bool, failed_party: str | None, ended: bool
) -> None:
    seen = outcome(*statuses)
    assert (seen.connected, seen.failed_party, seen.ended) == (connected, failed_party, ended)
    assert seen.status == (statuses[-1] if statuses else None)
    assert seen.handle is HANDLE


def test_durations_are_the_times_between_changes() -> None:
    changes = [("REQUESTED", 100.0), ("CALLING_A", 101.5), ("CALL_A_FAILED", 131.5)]
    seen = Outcome(
        HANDLE, tuple(StatusChange(CallbackStatus(status), at) for status, at in changes)
    )
    assert seen.durations == {CallbackStatus.REQUESTED: 1.5, CallbackStatus.CALLING_A: 30.0}


@pytest.mark.parametrize("statuses", [[], ["REQUESTED"]])
def test_newest_status_has_no_duration(statuses: list[str]) -> None:
    assert outcome(*statuses).durations == {}


@pytest.mark.parametrize(
    "text",
    [
        "null",
        '"10"',
        '{"id": true, "started_at": 0}',
        '{"id": 10.5, "started_at": 0}',
        '{"id": 10, "started_at": "0"}',
        '{"id": 10, "started_at": true}',
        '{"id": 10, "started_at": null}',
        '{"id": 10, "started_at": 1e999}',
        '{"id": 10, "started_at": 0, "delay": -1}',
        '{"id": 10, "started_at": 0, "delay": 1e9}',
        '{"id": 10, "started_at": 0, "delay": 99999999999}',
        '{"id": 99999999999999999999, "started_at": 0}',
        '{"id": ' + "9" * 5000 + ', "started_at": 0}',
        "[" * 100_000,
        '{"id": {}, "started_at": 0}',
    ],
    ids=lambda text: text[:50],
)
def test_handle_that_was_tampered_with_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match="handle"):
        CallbackHandle.from_json(text)


def test_handle_of_a_later_version_is_read() -> None:
    text = '{"id": 10, "delay": 5, "started_at": 1.5, "note": "new", "nested": {"id": 11}}'
    assert CallbackHandle.from_json(text) == CallbackHandle(10, delay=5, started_at=1.5)
