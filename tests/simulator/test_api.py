"""Responses of the simulator's API without faults."""

from __future__ import annotations

from typing import Any

import pytest
from support.simulator_api import INIT, INIT_BODY, STATUS, poll, post

from tenios_simulator import ACCESS_KEY, Scenario, Simulator


def statuses_at(simulator: Simulator, *times: float) -> list[str]:
    """
    Start a callback and return its status at each of *times*, in seconds after the init request.
    """
    _, started = post(simulator, INIT, INIT_BODY)
    statuses = []
    start = simulator.clock.now()
    for time in times:
        simulator.clock.sleep(start + time - simulator.clock.now())
        statuses.append(poll(simulator, started["id"])[1]["status"])
    return statuses


def test_ids_count_up_from_the_documented_example() -> None:
    simulator = Simulator()
    assert post(simulator, INIT, INIT_BODY) == (200, {"id": 10})
    assert post(simulator, INIT, INIT_BODY) == (200, {"id": 11})
    assert simulator.dialled == ["+492214710123"] * 2


def test_agent_is_called_after_the_delay() -> None:
    scenario = Scenario.answered(agent_after=3, customer_after=4, talking=60)
    assert INIT_BODY["delay"] == 30
    assert statuses_at(Simulator(scenario=scenario), 0, 1, 30, 31, 34, 38, 97, 98, 10_000) == [
        *("REQUESTED", "ACCEPTED", "ACCEPTED", "CALLING_A", "CALLING_B"),
        *("CONNECTED", "CONNECTED", "DISCONNECTED", "DISCONNECTED"),
    ]


@pytest.mark.parametrize(
    ("scenario", "expected"),
    [
        (Scenario.agent_declines(after=5), ["CALLING_A", "CALL_A_FAILED"]),
        (
            Scenario.customer_declines(agent_after=1, after=5),
            ["CALLING_A", "CALLING_B", "CALL_B_FAILED"],
        ),
    ],
)
def test_declined_call_ends_the_callback(scenario: Scenario, expected: list[str]) -> None:
    statuses = statuses_at(Simulator(scenario=scenario), *range(31, 60))
    assert list(dict.fromkeys(statuses)) == expected


@pytest.mark.parametrize("path", [INIT, STATUS])
@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"[]", b"1", b'"x"', b"\xff", b"[" * 50_000),
        b'{"delay": 1e400}',
        b'{"delay": -1e400}',
        b'{"delay": NaN}',
        b'{"agent_announcement": "\xed\xa0\x80"}',
        b'{"agent_announcement": "\\ud800"}',
        '{"agent_announcement": "Hello"}'.encode("utf-16"),
        b'{"delay": 1, "delay": 2}',
        b'{"id": {"x": 1, "x": 2}}',
        *(b'{"id": ' + b"[" * levels + b"]" * levels + b"}" for levels in (101, 500, 5000)),
        b'{"id": ' + b'{"x": ' * 101 + b"1" + b"}" * 102,
    ],
    ids=lambda body: str(body[:30]),
)
def test_body_that_cannot_be_written_as_json_again_is_rejected(path: str, body: bytes) -> None:
    simulator = Simulator()
    status, error = post(simulator, path, body)
    assert (status, error["error_code"], error["fields"]) == (400, "INVALID_JSON", [])
    assert [request.body for request in simulator.requests] == [None]


def test_body_with_100_levels_is_parsed_and_recorded() -> None:
    simulator = Simulator()
    status, error = post(
        simulator, STATUS, b'{"access_key": ' + b"[" * 99 + b'"K"' + b"]" * 99 + b"}"
    )
    assert (status, error["error_code"], error["fields"]) == (400, "FIELD_IS_REQUIRED", ["id"])
    assert simulator.requests[0].body == {"access_key": "***"}


@pytest.mark.parametrize(
    ("change", "code", "fields"),
    [
        ({"delay": None}, "INVALID_VALUE", ["delay"]),
        ({"delay": -1}, "INVALID_FIELD", ["delay"]),
        ({"delay": "soon"}, "INVALID_VALUE", ["delay"]),
        ({"delay": 2**31}, "INVALID_FIELD", ["delay"]),  # found by schemathesis
        ({"callback_number": "0221"}, "INVALID_VALUE", ["callback_number"]),
        ({"callback_number": "+492214710123\n"}, "INVALID_VALUE", ["callback_number"]),
        ({"agent_announcement": "\ud800"}, "INVALID_JSON", []),
        ({"agent_announcement": ""}, "INVALID_FIELD", ["agent_announcement"]),
        ({"agent_announcement": "x" * 5001}, "INVALID_FIELD", ["agent_announcement"]),
        ({"delay": "010"}, "INVALID_VALUE", ["delay"]),
        ({"agent_announcement": None}, "INVALID_VALUE", ["agent_announcement"]),
        (
            {"dtmf_key_to_trigger_customer_call": None},
            "INVALID_VALUE",
            ["dtmf_key_to_trigger_customer_call"],
        ),
        (
            {"dtmf_key_to_trigger_customer_call": ""},
            "INVALID_VALUE",
            ["dtmf_key_to_trigger_customer_call"],
        ),
        ({"colour": "red"}, "UNKNOWN_FIELD", ["colour"]),
        ({"access_key": "wrong"}, "BAD_CREDENTIALS", []),
        ({"callback_config_id": "wrong"}, "BAD_CREDENTIALS", []),
    ],
)
def test_init_request_with_a_wrong_field_is_rejected(
    change: dict[str, Any], code: str, fields: list[str]
) -> None:
    simulator = Simulator()
    status, error = post(simulator, INIT, {**INIT_BODY, **change})
    assert (status, error["error_code"], error["fields"]) == (400, code, fields)
    assert not simulator.dialled


def test_error_about_a_value_quotes_the_value() -> None:
    _, error = post(Simulator(), INIT, {**INIT_BODY, "delay": -1})
    assert error["error_message"] == "Invalid 'delay' input parameter. Invalid value - '-1'"


def test_error_about_a_type_does_not_quote_the_value() -> None:
    _, error = post(Simulator(), STATUS, {"access_key": ACCESS_KEY, "id": ACCESS_KEY})
    assert error["error_message"] == "Invalid parameter type or format"


def test_error_names_all_missing_fields() -> None:
    status, error = post(Simulator(), INIT, {"access_key": ACCESS_KEY, "delay": 0})
    assert (status, error["error_code"]) == (400, "FIELD_IS_REQUIRED")
    assert error["fields"] == ["callback_config_id", "callback_number"]


def test_integers_may_be_sent_as_text() -> None:
    """TENIOS's own Java client sends text."""
    simulator = Simulator()
    assert post(simulator, INIT, {**INIT_BODY, "delay": "0"}) == (200, {"id": 10})
    assert poll(simulator, "10") == (200, {"status": "REQUESTED"})
    assert simulator.callbacks[0].delay == 0


def test_integers_may_be_sent_as_floats_without_a_fraction() -> None:
    """In JSON Schema, 10.0 is an integer."""
    simulator = Simulator()
    assert post(simulator, INIT, {**INIT_BODY, "delay": 30.0}) == (200, {"id": 10})
    assert poll(simulator, 10.0) == (200, {"status": "REQUESTED"})


@pytest.mark.parametrize(
    ("callback_id", "code"),
    [
        (2**63, "INVALID_FIELD"),  # found by schemathesis
        ("9" * 19, "INVALID_FIELD"),
        ("9" * 5000, "INVALID_VALUE"),
        ("010", "INVALID_VALUE"),  # perhaps another kind of id
        (1e300, "INVALID_FIELD"),
        (-1, "INVALID_FIELD"),
        (True, "INVALID_VALUE"),
        (None, "INVALID_VALUE"),
        (10.5, "INVALID_VALUE"),
    ],
)
def test_status_request_with_an_invalid_id_is_rejected(callback_id: object, code: str) -> None:
    status, error = poll(Simulator(), callback_id)
    assert (status, error["error_code"], error["fields"]) == (400, code, ["id"])


def test_status_request_with_an_unknown_id_is_rejected() -> None:
    status, error = poll(Simulator(), 999)
    assert (status, error["error_code"], error["fields"]) == (400, "INVALID_FIELD", ["id"])


def test_unknown_path_is_404() -> None:
    status, error = post(Simulator(), "/callback/cancel", INIT_BODY)
    assert (status, error["error_code"], error["error_message"]) == (
        404,
        "NOT_FOUND",
        "Unknown method",
    )


@pytest.mark.parametrize("path", ["//callback/init", "/callback/init/", "/callback//init"])
def test_path_with_a_surplus_slash_is_404_that_names_the_path(path: str) -> None:
    simulator = Simulator()
    status, error = post(simulator, path, INIT_BODY)
    expected = (
        f"Unknown method: {path}. Use /callback/init, and a base URL without a slash at the end."
    )
    assert (status, error["error_message"], simulator.dialled) == (404, expected, [])


def test_other_method_than_post_is_405() -> None:
    response = Simulator().handle_request("GET", STATUS, b"")
    assert (response.status, response.headers["Allow"]) == (405, "POST")
