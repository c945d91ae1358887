"""Actions of the agent and the customer in a running callback."""

from __future__ import annotations

import pytest
from support.clients import NUMBER

from tenios_ext import CallbackStatus
from tenios_simulator import (
    Action,
    ImpossibleActionError,
    Scenario,
    Simulator,
    UnknownCallbackError,
)


def start(scenario: Scenario) -> tuple[Simulator, int]:
    """Return a simulator in which the agent's phone is ringing, and the id of the callback."""
    simulator = Simulator(scenario=scenario)
    with simulator.client() as tenios:
        callback = tenios.start_callback(NUMBER)
    simulator.clock.sleep(2.5)
    assert simulator.status(callback.id) is CallbackStatus.CALLING_A
    return simulator, callback.id


def test_manual_scenario_waits_for_each_action() -> None:
    simulator, callback = start(Scenario.manual())
    simulator.clock.sleep(10_000)
    assert simulator.perform(callback, Action.AGENT_ANSWERS) is CallbackStatus.CALLING_B
    simulator.clock.sleep(10_000)
    assert simulator.perform(callback, Action.CUSTOMER_ANSWERS) is CallbackStatus.CONNECTED
    simulator.clock.sleep(10_000)
    assert simulator.perform(callback, Action.HANG_UP) is CallbackStatus.DISCONNECTED


@pytest.mark.parametrize(
    ("actions", "expected"),
    [
        ([Action.AGENT_DECLINES], CallbackStatus.CALL_A_FAILED),
        ([Action.HANG_UP], CallbackStatus.CALL_A_FAILED),
        ([Action.AGENT_ANSWERS, Action.CUSTOMER_DECLINES], CallbackStatus.CALL_B_FAILED),
        ([Action.AGENT_ANSWERS, Action.HANG_UP], CallbackStatus.CALL_B_FAILED),
    ],
)
def test_declining_or_hanging_up_ends_a_ringing_callback(
    actions: list[Action], expected: CallbackStatus
) -> None:
    simulator, callback = start(Scenario.manual())
    assert [simulator.perform(callback, action) for action in actions][-1] is expected


def test_scenario_continues_after_an_action() -> None:
    """The agent answers against the scenario, and the customer follows it."""
    simulator, callback = start(Scenario.agent_no_answer())
    assert simulator.perform(callback, Action.AGENT_ANSWERS) is CallbackStatus.CALLING_B
    simulator.clock.sleep(4)
    assert simulator.status(callback) is CallbackStatus.CONNECTED


@pytest.mark.parametrize("action", [Action.CUSTOMER_ANSWERS, Action.CUSTOMER_DECLINES])
def test_action_that_is_impossible_with_the_status_is_refused(action: Action) -> None:
    simulator, callback = start(Scenario.manual())
    with pytest.raises(
        ImpossibleActionError,
        match=f"{action} is not possible: the status of callback 10 is CALLING_A",
    ):
        simulator.perform(callback, action)
    assert simulator.status(callback) is CallbackStatus.CALLING_A


def test_action_in_an_unknown_callback_is_refused() -> None:
    with pytest.raises(UnknownCallbackError, match="Callback 999 does not exist"):
        Simulator().perform(999, Action.AGENT_ANSWERS)
