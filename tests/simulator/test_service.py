"""The simulator answers as TENIOS is documented to, in the contract's words."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tenios_ext.simulator import ACCESS_KEY, CALLBACK_CONFIG_ID, Journey, Simulator, exchange, faults, views

INIT = {
    "access_key": ACCESS_KEY,
    "callback_config_id": CALLBACK_CONFIG_ID,
    "callback_number": "+492214710123",
    "delay": 30,
}


def answer(simulator: Simulator, path: str, body: object, method: str = "POST") -> tuple[int, Any]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    reply = simulator.answer(method, path, raw)
    return reply.status, reply.body


def statuses(simulator: Simulator, *times: float) -> list[str]:
    """The statuses of one callback so many seconds after it was requested."""
    _, started = answer(simulator, "/callback/init", INIT)
    seen = []
    beginning = simulator.clock.now()
    for time in times:
        simulator.clock.sleep(beginning + time - simulator.clock.now())
        seen.append(answer(simulator, "/callback/status", {"access_key": ACCESS_KEY, "id": started["id"]})[1]["status"])
    return seen


def test_first_callback_has_the_documented_id() -> None:
    """Ids begin with the 10 of TENIOS's example and go up."""
    simulator = Simulator()
    assert answer(simulator, "/callback/init", INIT) == (200, {"id": 10})
    assert answer(simulator, "/callback/init", INIT) == (200, {"id": 11})
    assert simulator.dialled == ["+492214710123"] * 2


def test_delay_is_waited_for() -> None:
    """Nobody is called before the delay is over."""
    journey = Journey.answered(agent_after=3, customer_after=4, talking=60)
    seen = statuses(Simulator(journey=journey), 0, 1, 30, 31, 34, 38, 97, 98, 10_000)
    assert seen == [
        *("REQUESTED", "ACCEPTED", "ACCEPTED", "CALLING_A", "CALLING_B"),
        *("CONNECTED", "CONNECTED", "DISCONNECTED", "DISCONNECTED"),
    ]


@pytest.mark.parametrize(
    ("journey", "expected"),
    [
        (Journey.agent_declines(after=5), ["CALLING_A", "CALL_A_FAILED"]),
        (Journey.customer_declines(agent_after=1, after=5), ["CALLING_A", "CALLING_B", "CALL_B_FAILED"]),
    ],
)
def test_failed_legs(journey: Journey, expected: list[str]) -> None:
    """A leg that fails ends the callback."""
    seen = statuses(Simulator(journey=journey), *range(31, 60))
    assert list(dict.fromkeys(seen)) == expected


@pytest.mark.parametrize("path", ["/callback/init", "/callback/status"])
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
def test_body_that_is_no_json_object(path: str, body: bytes) -> None:
    """What is no object, or could not be shown again, is refused whole; the record stays readable."""
    simulator = Simulator()
    status, error = answer(simulator, path, body)
    assert (status, error["error_code"], error["fields"]) == (400, "INVALID_JSON", [])
    assert [asked.request for asked in simulator.asked] == [None]


def test_deep_body_is_shown() -> None:
    """What is taken, and be it only to be refused for its content, can be recorded."""
    simulator = Simulator()
    status, _ = answer(simulator, "/callback/status", b'{"access_key": ' + b"[" * 99 + b'"K"' + b"]" * 99 + b"}")
    assert status == 400
    assert simulator.asked[0].request == {"access_key": "***"}


@pytest.mark.parametrize(
    ("change", "code", "fields"),
    [
        ({"delay": None}, "INVALID_VALUE", ["delay"]),
        ({"delay": -1}, "INVALID_VALUE", ["delay"]),
        ({"delay": "soon"}, "INVALID_VALUE", ["delay"]),
        ({"delay": 2**31}, "INVALID_VALUE", ["delay"]),  # found by schemathesis
        ({"callback_number": "0221"}, "INVALID_VALUE", ["callback_number"]),
        ({"callback_number": "+492214710123\n"}, "INVALID_VALUE", ["callback_number"]),
        ({"agent_announcement": "\ud800"}, "INVALID_JSON", []),
        ({"colour": "red"}, "INVALID_FIELD", ["colour"]),
        ({"access_key": "wrong"}, "BAD_CREDENTIALS", []),
        ({"callback_config_id": "wrong"}, "BAD_CREDENTIALS", []),
    ],
)
def test_wrong_field(change: dict[str, Any], code: str, fields: list[str]) -> None:
    """One wrong field is named, and nobody is called."""
    simulator = Simulator()
    status, error = answer(simulator, "/callback/init", {**INIT, **change})
    assert (status, error["error_code"], error["fields"]) == (400, code, fields)
    assert not simulator.dialled


def test_missing_fields_are_all_named() -> None:
    """Whoever forgets two fields learns of both."""
    body = {"access_key": ACCESS_KEY, "delay": 0}
    _, error = answer(Simulator(), "/callback/init", body)
    assert (error["error_code"], error["fields"]) == ("FIELD_IS_REQUIRED", ["callback_config_id", "callback_number"])


def test_numbers_as_text_are_taken() -> None:
    """TENIOS's Java client sends delay and id as texts."""
    simulator = Simulator()
    assert answer(simulator, "/callback/init", {**INIT, "delay": "0"}) == (200, {"id": 10})
    body = {"access_key": ACCESS_KEY, "id": "10"}
    assert answer(simulator, "/callback/status", body) == (200, {"status": "REQUESTED"})


@pytest.mark.parametrize("key", [ACCESS_KEY, "OTHER-ACCOUNTS-KEY", "WRONG-KEY"])
@pytest.mark.parametrize(
    "body",
    [
        {"access_key": "KEY", "KEY": 1},
        {"access_key": "KEY", "id": ["KEY", {"x KEY x": "KEY"}]},
        {"access_key": {"KEY": "KEY"}, "callback_number": "KEY"},
        {"access_key": [["KEY"]], "id": "KEY"},
        {"access_key": "KEY ", "agent_announcement": "KEY"},
        {"accessKey": "KEY"},
        {"access_key": None, "Access_Key": "KEY"},
        {"callback_number": {"access_key": "KEY"}},
        {"access_key": "x", "access_key_": ["KEY"]},
        b'{"access_key": "KEY", ',
        b'{"access_key": "KEY", "access_key": "x", "agent_announcement": "KEY"}',
        b'["KEY"]',
    ],
    ids=str,
)
@pytest.mark.parametrize("path", ["/callback/init", "/callback/status"])
def test_record_never_shows_a_key(path: str, body: object, key: str) -> None:
    """Neither a request nor its answer is remembered with a key in it, wherever it stood and under whatever name."""
    simulator = Simulator(accounts={ACCESS_KEY: ["CONFIG"], "OTHER-ACCOUNTS-KEY": ["CONFIG"]})
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    status, _ = answer(simulator, path, raw.replace(b"KEY", key.encode()))
    assert status == 400
    assert len(simulator.asked) == 1
    assert key not in repr(simulator.asked)


@pytest.mark.parametrize(
    "body",
    [
        {"access_key": "x", "id": 4711471147},
        {"access_key": "x", "id": 14711471147.5},
        {"access_key": "x", "delay": "47114711470"},
        {"access_key": 4711471147, "delay": 4711471147},
        {"access_key": 815815815, "id": "815815815"},
        {"access_key": 815815815, "delay": 815815815, "815815815": 1},
        {"access_key": [815815815], "id": 815815815, "815815815": 1},
    ],
    ids=str,
)
@pytest.mark.parametrize("path", ["/callback/init", "/callback/status"])
def test_record_never_shows_a_key_of_digits(path: str, body: dict[str, Any]) -> None:
    """Where somebody has taken a key for a number, too."""
    simulator = Simulator(accounts={"4711471147": ["CONFIG"]})
    assert answer(simulator, path, body)[0] == 400
    assert not re.search("4711471147|815815815", repr(simulator.asked))


def test_key_within_a_configurations_id_is_hidden() -> None:
    """Somebody has named the one after the other: the callback knows its configuration, and nobody sees the key."""
    simulator = Simulator(accounts={"SECRET": ["SECRET-1"]})
    body = {**INIT, "access_key": "SECRET", "callback_config_id": "SECRET-1"}
    assert answer(simulator, "/callback/init", body)[0] == 200
    (callback,) = simulator.callbacks
    assert callback.config_id == "SECRET-1"
    shown = repr([simulator.callbacks, simulator.asked, views.callback(callback, simulator.clock.now())])
    assert "***-1" in shown
    assert "SECRET" not in shown


@pytest.mark.parametrize("key", ["*", "a", ["a", "*"], "ab", "aaaa"])
def test_record_is_no_longer_than_the_request(key: object) -> None:
    """What is hidden takes no more room than what is shown."""
    simulator = Simulator()
    body = {"access_key": key, "agent_announcement": "a" * 30_000, "callback_config_id": "*" * 30_000, "ba" * 900: "x"}
    answer(simulator, "/callback/init", body)
    assert len(repr(simulator.asked[0].request)) <= len(repr(body)) + 10


def test_old_callbacks_are_forgotten_once_they_are_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that runs for long does not grow without end, and nobody who still waits learns of no such callback."""
    monkeypatch.setattr(exchange, "_REMEMBERED", 20)
    waiting = [Journey.by_hand()] * 5
    simulator = Simulator(journey=[*waiting, Journey.agent_does_not_answer(after=9000), Journey.agent_busy()])
    simulator.inject(faults.Lag(), times=None)
    for _ in range(165):
        _, started = answer(simulator, "/callback/init", INIT)
        answer(simulator, "/callback/status", {"access_key": ACCESS_KEY, "id": started["id"]})
        simulator.clock.sleep(60)
    ids = [callback.id for callback in simulator.callbacks]
    assert ids[:6] == [10, 11, 12, 13, 14, 15]  # Those wait still, and this one has ended late.
    assert ids[6:] == list(range(ids[6], 175))
    assert 20 <= len(ids) <= 30
    assert len(simulator._faults._passed) <= len(ids)


def test_callback_has_a_status_before_it_was_requested() -> None:
    """Somebody who has read the clock a moment too early sees its beginning."""
    simulator = Simulator()
    answer(simulator, "/callback/init", INIT)
    shown = views.callback(simulator.callbacks[0], simulator.clock.now() - 1)
    assert (shown["status"], len(shown["history"])) == ("REQUESTED", 1)


@pytest.mark.parametrize("field", ["agent_announcement", "callback_config_id"])
def test_key_in_another_fields_place_is_hidden(field: str) -> None:
    """An account's key in an announcement, or where the configuration belongs, is in no record: not even of what was started."""
    simulator = Simulator()
    answer(simulator, "/callback/init", {**INIT, field: ACCESS_KEY})
    answer(simulator, "/callback/init", {**INIT, "access_key": CALLBACK_CONFIG_ID, field: ACCESS_KEY})
    assert ACCESS_KEY not in repr([simulator.asked, simulator.callbacks])
    assert ACCESS_KEY not in repr([each.announcement for each in simulator.callbacks])


def test_names_of_fields_are_shown_whatever_the_key() -> None:
    """A test's key may be as short as it likes."""
    simulator = Simulator(accounts={"key": [CALLBACK_CONFIG_ID]})
    body = {**INIT, "access_key": "key", "dtmf_key_to_trigger_customer_call": "1"}
    assert answer(simulator, "/callback/init", body)[0] == 200
    assert simulator.asked[0].request == {**body, "access_key": "***"}
    answer(simulator, "/callback/init", {**body, "dtmf_key_to_trigger_customer_call": "key"})
    assert simulator.asked[1].reply.body["fields"] == ["dtmf_key_to_trigger_customer_call"]


def test_what_is_no_key_is_shown() -> None:
    """The record hides no more than it must."""
    simulator = Simulator()
    answer(simulator, "/callback/init", {**INIT, "agent_announcement": "Hello", "colour": "red"})
    assert simulator.asked[0].request == {**INIT, "access_key": "***", "agent_announcement": "Hello", "colour": "***"}
    assert simulator.asked[0].reply.body["fields"] == ["colour"]


@pytest.mark.parametrize("callback_id", [2**63, "9" * 19, "9" * 5000, 1e300, -1, True, None, 10.5])
def test_impossible_id_is_an_invalid_value(callback_id: object) -> None:
    """Whatever cannot be an id is refused by name; schemathesis found the first."""
    status, error = answer(Simulator(), "/callback/status", {"access_key": ACCESS_KEY, "id": callback_id})
    assert (status, error["error_code"], error["fields"]) == (400, "INVALID_VALUE", ["id"])


def test_whole_number_with_a_fraction_of_nothing_is_taken() -> None:
    """JSON Schema takes 10.0 for an integer."""
    simulator = Simulator()
    assert answer(simulator, "/callback/init", {**INIT, "delay": 30.0})[0] == 200
    assert answer(simulator, "/callback/status", {"access_key": ACCESS_KEY, "id": 10.0})[0] == 200


def test_unknown_callback_is_an_invalid_value() -> None:
    """An id that was never given out is refused by name."""
    status, error = answer(Simulator(), "/callback/status", {"access_key": ACCESS_KEY, "id": 999})
    assert (status, error["error_code"], error["fields"]) == (400, "INVALID_VALUE", ["id"])


def test_unknown_method_and_path() -> None:
    """There are two operations, both POST."""
    simulator = Simulator()
    assert answer(simulator, "/callback/cancel", INIT)[0] == 404
    reply = simulator.answer("GET", "/callback/status", b"")
    assert (reply.status, reply.headers["Allow"]) == (405, "POST")
