"""Recorded requests contain no readable access key."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote

import pytest
from support.clients import NUMBER
from support.simulator_api import INIT, INIT_BODY, STATUS, post

from tenios_simulator import ACCESS_KEY, CALLBACK_CONFIG_ID, Simulator, _request_log
from tenios_simulator._request_log import RequestLog
from tenios_simulator._response import Response
from tenios_simulator.server._serializers import serialize_callback

PATHS = [INIT, STATUS]


def test_requests_have_body_and_response() -> None:
    simulator = Simulator()
    with simulator.client() as tenios:
        callback = tenios.start_callback(NUMBER, delay=5, agent_announcement="Hello", dtmf_key="1")
        simulator.clock.sleep(2)
        callback.status()
    init, status = simulator.requests
    assert (init.index, init.operation, init.fault, init.callback_id) == (
        1,
        "init",
        None,
        callback.id,
    )
    assert init.body == {
        "access_key": "***",
        "callback_config_id": CALLBACK_CONFIG_ID,
        "callback_number": NUMBER,
        "delay": 5,
        "agent_announcement": "Hello",
        "dtmf_key_to_trigger_customer_call": "1",
    }
    assert (init.response.status, init.response.body) == (200, {"id": callback.id})
    assert (status.index, status.operation, status.body) == (
        2,
        "status",
        {"access_key": "***", "id": callback.id},
    )
    assert status.response.body == {"status": "ACCEPTED"}
    assert status.timestamp == init.timestamp + 2


def test_oldest_requests_are_dropped_if_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_request_log, "_MAX_REQUESTS", 3)
    simulator = Simulator()
    for _ in range(5):
        post(simulator, INIT, INIT_BODY)
    assert [request.index for request in simulator.requests] == [3, 4, 5]


def test_oldest_requests_are_dropped_if_they_are_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    simulator = Simulator()
    log = simulator._handler.log
    large = {**INIT_BODY, "agent_announcement": "x" * 5_000}
    post(simulator, INIT, large)
    limit = log.size * 3.9
    monkeypatch.setattr(_request_log, "_MAX_BYTES", limit)
    for _ in range(4):
        post(simulator, INIT, large)
        assert 5_000 * len(simulator.requests) < log.size <= limit
    assert [request.index for request in simulator.requests] == [3, 4, 5]
    for _ in range(2):
        post(simulator, INIT, INIT_BODY)
    assert [request.index for request in simulator.requests] == [3, 4, 5, 6, 7]
    simulator.reset()
    assert (simulator.requests, log.size) == ([], 0)


def test_size_of_a_request_is_that_of_its_memory() -> None:
    """Fields, and the names in an error, take far more memory than their JSON."""
    simulator = Simulator()
    body = {f"{index:x}": 0 for index in range(6000)}
    post(simulator, INIT, body)
    assert simulator._handler.log.size > 6000 * 2 * 50
    assert len(json.dumps(body)) < 65_000


@pytest.mark.parametrize(
    "response",
    [Response(400, {"fields": ["x" * 10_000]}), Response(200, {}, raw_body=b"x" * 10_000)],
    ids=["body", "raw body"],
)
def test_size_of_a_request_includes_its_response(response: Response) -> None:
    log = RequestLog()
    log.add(lambda: 0, operation="init", body=None, response=response)
    assert 10_000 < log.size < 11_000


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b'{"access_key": "' + b"x" * 70_000 + b'"}', "application/json", 413),
        (b'{"access_key": "' + b"x" * 60_000 + b'"}', "text/plain", 415),
        (b'{"access_key": "' + b"x" * 60_000, "application/json", 400),
        (b'["' + b"x" * 60_000 + b'"]', "application/json", 400),
    ],
)
def test_body_that_is_refused_unread_is_not_kept(
    body: bytes, content_type: str, status: int
) -> None:
    simulator = Simulator()
    response = simulator.handle_request("POST", INIT, body, content_type=content_type)
    (request,) = simulator.requests
    assert (response.status, request.response.status, request.body) == (status, status, None)
    assert simulator._handler.log.size < 2000


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
@pytest.mark.parametrize("path", PATHS)
def test_rejected_request_is_recorded_without_keys(path: str, body: object, key: str) -> None:
    simulator = Simulator(accounts={ACCESS_KEY: ["CONFIG"], "OTHER-ACCOUNTS-KEY": ["CONFIG"]})
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    status, _ = post(simulator, path, content.replace(b"KEY", key.encode()))
    assert status == 400
    assert len(simulator.requests) == 1
    assert key not in repr(simulator.requests)


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
@pytest.mark.parametrize("path", PATHS)
def test_keys_of_digits_are_masked_in_numbers(path: str, body: dict[str, Any]) -> None:
    simulator = Simulator(accounts={"4711471147": ["CONFIG"]})
    assert post(simulator, path, body)[0] == 400
    assert not re.search("4711471147|815815815", repr(simulator.requests))


@pytest.mark.parametrize("field", ["agent_announcement", "callback_config_id"])
def test_key_in_another_field_is_masked(field: str) -> None:
    simulator = Simulator()
    post(simulator, INIT, {**INIT_BODY, field: ACCESS_KEY})
    post(simulator, INIT, {**INIT_BODY, "access_key": CALLBACK_CONFIG_ID, field: ACCESS_KEY})
    assert [request.body[field] for request in simulator.requests if request.body] == ["***", "***"]
    assert ACCESS_KEY not in repr([simulator.requests, simulator.callbacks])
    assert ACCESS_KEY not in repr([callback.agent_announcement for callback in simulator.callbacks])


def test_key_as_a_part_of_the_config_id_is_masked() -> None:
    simulator = Simulator(accounts={"SECRET": ["SECRET-1"]})
    body = {**INIT_BODY, "access_key": "SECRET", "callback_config_id": "SECRET-1"}
    assert post(simulator, INIT, body)[0] == 200
    (callback,) = simulator.callbacks
    assert callback.callback_config_id == "SECRET-1"
    shown = repr(
        [
            simulator.callbacks,
            simulator.requests,
            serialize_callback(callback, simulator.clock.now()),
        ]
    )
    assert "***-1" in shown
    assert "SECRET" not in shown


def test_request_with_a_wrong_key_is_masked_but_for_the_names_of_its_fields() -> None:
    simulator = Simulator()
    post(simulator, INIT, {**INIT_BODY, "access_key": "WRONG-KEY", "delay": True})
    [request] = simulator.requests
    assert request.body == dict.fromkeys(INIT_BODY, "***")
    assert request.response.body["fields"] == ["delay"]


def test_key_is_masked_in_each_spelling() -> None:
    key = 'schl\u00fcssel"/'
    simulator = Simulator(accounts={key: [CALLBACK_CONFIG_ID]})
    for announcement in (key, json.dumps(key)[1:-1], quote(key)):
        body = {**INIT_BODY, "access_key": key, "agent_announcement": announcement}
        assert post(simulator, INIT, body)[0] == 200
    assert [each.agent_announcement for each in simulator.callbacks] == ["***"] * 3
    assert [(each.body or {})["agent_announcement"] for each in simulator.requests] == ["***"] * 3


def test_names_of_fields_stay_readable_if_the_key_is_a_part_of_them() -> None:
    simulator = Simulator(accounts={"key": [CALLBACK_CONFIG_ID]})
    body = {**INIT_BODY, "access_key": "key", "dtmf_key_to_trigger_customer_call": "1"}
    assert post(simulator, INIT, body)[0] == 200
    assert simulator.requests[0].body == {**body, "access_key": "***"}
    post(simulator, INIT, {**body, "dtmf_key_to_trigger_customer_call": "key"})
    assert simulator.requests[1].response.body["fields"] == ["dtmf_key_to_trigger_customer_call"]


def test_values_that_are_not_keys_stay_readable() -> None:
    simulator = Simulator()
    post(simulator, INIT, {**INIT_BODY, "agent_announcement": "Hello", "colour": "red"})
    assert simulator.requests[0].body == {
        **INIT_BODY,
        "access_key": "***",
        "agent_announcement": "Hello",
        "colour": "***",  # Any field that is not in the contract may contain a key.
    }
    assert simulator.requests[0].response.body["fields"] == ["colour"]
