from __future__ import annotations

import pytest

from tenios_cli._live import _LEGS
from tenios_cli._output import describe_outcome, describe_status
from tenios_ext import CallbackHandle, CallbackStatus, Outcome, StatusChange

HANDLE = CallbackHandle(10, started_at=0)


@pytest.mark.parametrize(
    ("statuses", "sentence"),
    [
        ([], "The callback is still running."),
        (["CALLING_A"], "The callback is still running."),
        (["CONNECTED"], "The callback is still running."),
        (["CALL_A_FAILED"], "The agent could not be reached."),
        (["CALLING_B", "CALL_B_FAILED"], "The customer could not be reached."),
        (["DISCONNECTED"], "The call was connected and has ended."),
        (["CONNECTED", "CALL_A_FAILED"], "The call was connected and has ended."),
        (["CONNECTED", "CALL_B_FAILED"], "The call was connected and has ended."),
    ],
)
def test_outcome_is_described(statuses: list[str], sentence: str) -> None:
    history = tuple(
        StatusChange(CallbackStatus(status), float(time)) for time, status in enumerate(statuses)
    )
    assert describe_outcome(Outcome(HANDLE, history)) == sentence


def test_each_status_is_described() -> None:
    unknown = describe_status(CallbackStatus("ON_HOLD"))
    assert unknown == "ON_HOLD: unknown to this version; the callback is still running"
    for status in CallbackStatus:
        assert "unknown to this version" not in describe_status(status)
    assert set(_LEGS) == set(CallbackStatus)
