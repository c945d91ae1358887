"""The event stream of the console."""

from __future__ import annotations

import asyncio
import json
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from support.clients import NUMBER
from support.raw_http import INIT

from tenios_simulator import Simulator, faults
from tenios_simulator.scenario import Action, Scenario
from tenios_simulator.server import _events, _serializers
from tenios_simulator.server._http import PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx
    import pytest

    from tenios_simulator import RecordedRequest


EMPTY = {"callbacks": [], "requests": [], "faults": [], "is_time_simulated": True}


def events(stack: ExitStack, http: httpx.Client) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each event of a new stream, both raw and parsed."""
    lines = stack.enter_context(http.stream("GET", f"{PREFIX}/events")).iter_lines()
    return (
        (line, json.loads(line.removeprefix("data: ")))
        for line in lines
        if line.startswith("data: ")
    )


def test_state_is_serialized_once_for_all_listeners(monkeypatch: pytest.MonkeyPatch) -> None:
    """And only after a change: here, the streams check in each iteration of the event loop."""
    serialized: list[int] = []

    def count(request: RecordedRequest) -> dict[str, Any]:
        serialized.append(request.index)
        return _serializers.serialize_request(request)

    monkeypatch.setattr(_events, "serialize_request", count)
    monkeypatch.setattr(_events, "_INTERVAL", 0)
    simulator = Simulator()
    simulator.handle_request("POST", "/callback/init", json.dumps(INIT).encode())

    async def listen() -> None:
        source = _events.EventSource(simulator, is_stopping=lambda: False)
        streams = [source.stream() for _ in range(3)]
        for stream in streams:
            assert [(await anext(stream)).partition(":")[0] for _ in range(2)] == ["retry", "data"]
        assert serialized == [1]
        pending = [asyncio.ensure_future(anext(stream)) for stream in streams]
        for _ in range(20):
            await asyncio.sleep(0)
        assert serialized == [1]
        simulator.inject(faults.StaleStatus())
        events = await asyncio.gather(*pending)
        assert ["stale_status" in event for event in events] == [True] * 3
        assert serialized == [1, 1]

    asyncio.run(listen())


def test_every_change_is_sent(http: httpx.Client, simulator: Simulator) -> None:
    simulator.set_scenario(Scenario.manual())
    with ExitStack() as stack:
        listener = events(stack, http)
        assert next(listener)[1] == EMPTY

        def wait_for(*statuses: str) -> None:
            while [callback["status"] for callback in next(listener)[1]["callbacks"]] != list(
                statuses
            ):
                pass

        with simulator.client() as tenios:
            callback_id = tenios.start_callback(NUMBER).id
        wait_for("REQUESTED")
        simulator.clock.sleep(3)
        wait_for("CALLING_A")
        simulator.perform(callback_id, Action.AGENT_ANSWERS)
        wait_for("CALLING_B")
        simulator.inject(faults.StaleStatus())
        assert [fault["kind"] for fault in next(listener)[1]["faults"]] == ["stale_status"]
        simulator.clear_faults()
        assert next(listener)[1]["faults"] == []
        with simulator.client() as tenios:
            tenios.callback(callback_id).status()
        assert [request["operation"] for request in next(listener)[1]["requests"]] == [
            "init",
            "status",
        ]
        simulator.reset()
        while next(listener)[1] != EMPTY:
            pass


def test_size_of_event_is_bounded(http: httpx.Client, simulator: Simulator) -> None:
    """Only events are shortened, not the lists of the control API."""
    announcement, long, fields = (
        "x" * 5000,
        "x" * 60_000,
        {f"field-{number}": 0 for number in range(3000)},
    )
    for document in (
        {**INIT, "agent_announcement": announcement},
        {**INIT, long: 0},
        {**INIT, **fields},
    ):
        body = json.dumps(document).encode()
        assert len(body) < 65_536
        for _ in range(50 if long in document else 1):
            simulator.handle_request("POST", "/callback/init", body)
    with ExitStack() as stack:
        # If another listener has just updated it, the first event may be a tenth of a second old.
        event, state = next(each for each in events(stack, http) if len(each[1]["requests"]) == 50)
    assert len(state["callbacks"]) == 1
    assert state["callbacks"][0]["agent_announcement"] == "x" * 1000 + "…"
    assert len(event) < 200_000
    assert http.get(f"{PREFIX}/callbacks").json()[0]["agent_announcement"] == announcement


def test_head_of_event_stream_ends(http: httpx.Client) -> None:
    response = http.head(f"{PREFIX}/events")
    assert (response.status_code, response.headers["Content-Type"].partition(";")[0]) == (
        200,
        "text/event-stream",
    )
    assert http.get(f"{PREFIX}/callbacks").status_code == 200  # The connection is free again.
