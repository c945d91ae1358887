"""The store of simulated callbacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.simulator_api import INIT, INIT_BODY, poll, post

from tenios_ext import CallbackStatus
from tenios_simulator import Scenario, Simulator, _engine, faults

if TYPE_CHECKING:
    import pytest


def test_ended_callbacks_are_forgotten_first_in_the_order_of_their_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The memory of a server that runs for months is limited."""
    monkeypatch.setattr(_engine, "_MAX_CALLBACKS", 30)
    running = [Scenario.manual()] * 5
    simulator = Simulator(
        scenario=[*running, Scenario.agent_no_answer(after=9000), Scenario.agent_busy()]
    )
    simulator.inject(faults.StaleStatus(), times=None)
    for _ in range(165):
        _, started = post(simulator, INIT, INIT_BODY)
        poll(simulator, started["id"])
        simulator.clock.sleep(60)
    ids = [callback.id for callback in simulator.callbacks]
    # Five are still running, and the sixth has ended late.
    assert ids[:6] == [10, 11, 12, 13, 14, 15]
    assert ids[6:] == list(range(ids[6], 175))
    assert 27 <= len(ids) <= 30


def test_running_callbacks_are_forgotten_if_there_are_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_engine, "_MAX_CALLBACKS", 20)
    simulator = Simulator(
        scenario=[*[Scenario.manual()] * 30, Scenario.agent_busy(), Scenario.manual()]
    )
    simulator.inject(faults.StaleStatus(), times=None)
    for _ in range(42):
        _, started = post(simulator, INIT, INIT_BODY)
        poll(simulator, started["id"])
        simulator.clock.sleep(60)
    ids = [callback.id for callback in simulator.callbacks]
    assert 40 not in ids  # It has ended.
    assert ids == [each for each in range(ids[0], 52) if each != 40]
    assert 18 <= len(ids) <= 20
    status, error = poll(simulator, 10)
    assert (status, error["error_code"], error["fields"]) == (400, "INVALID_FIELD", ["id"])


def test_callbacks_are_limited_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_engine, "_MAX_BYTES", 9000)
    simulator = Simulator(scenario=Scenario.manual())
    for length in [*range(400, 5000, 400), 5000, 10]:
        post(simulator, INIT, {**INIT_BODY, "agent_announcement": "x" * length})
        announcements = sum(
            len(callback.agent_announcement or "") for callback in simulator.callbacks
        )
        assert announcements <= simulator._store.size <= 9000
        assert simulator._store.size == sum(callback.size for callback in simulator.callbacks)
    assert [len(callback.agent_announcement or "") for callback in simulator.callbacks] == [
        5000,
        10,
    ]
    simulator.reset()
    assert simulator._store.size == 0


def test_callback_has_its_first_status_even_before_it_was_started() -> None:
    """Another thread may have read the clock before the callback was started."""
    simulator = Simulator()
    post(simulator, INIT, INIT_BODY)
    (callback,) = simulator.callbacks
    assert callback.history(callback.started_at - 1) == [
        (callback.started_at, CallbackStatus.REQUESTED)
    ]
