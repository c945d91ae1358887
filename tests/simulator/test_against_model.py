"""
The simulator against a simple model, in random sequences of requests, actions, faults and sleeps.

The model has no timeline: it counts down the time until the next status. All times are multiples of
half a second, so that their sums are exact.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from attrs import define, field
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, precondition, rule

from tenios_simulator import (
    ACCESS_KEY,
    CALLBACK_CONFIG_ID,
    Action,
    Ending,
    ImpossibleActionError,
    Leg,
    Scenario,
    Simulator,
    UnknownCallbackError,
    faults,
)

if TYPE_CHECKING:
    from tenios_simulator import Fault, Response

NUMBERS = ["+492214710001", "+492214710002"]
SECONDS = st.sampled_from([0, 0.5, 1, 1.5, 2, 3, 4.5, 10])
LEGS = st.builds(Leg, st.sampled_from([*[Ending.ANSWERS] * 5, *Ending]), SECONDS)
SCENARIOS = st.builds(Scenario, LEGS, LEGS, SECONDS)
FINAL = {"CALL_A_FAILED", "CALL_B_FAILED", "DISCONNECTED"}


@define
class ModelCallback:
    """
    A callback of the model, with the seconds that remain of its status, and its earlier statuses.
    """

    number: str
    delay: int
    scenario: Scenario
    status: str = "REQUESTED"
    remaining: float = 1
    past: list[str] = field(factory=list)

    def after(self, status: str) -> tuple[str, float] | None:
        """Return the status that follows *status* and its duration; None if it is final."""
        agent, customer = self.scenario.agent, self.scenario.customer
        match status:
            case "REQUESTED":
                return "ACCEPTED", max(self.delay - 1, 0) + 1
            case "ACCEPTED":
                return "CALLING_A", agent.after
            case "CALLING_A":
                return ("CALLING_B", customer.after) if agent.answered else ("CALL_A_FAILED", 0)
            case "CALLING_B":
                return (
                    ("CONNECTED", self.scenario.talking)
                    if customer.answered
                    else ("CALL_B_FAILED", 0)
                )
            case "CONNECTED":
                return "DISCONNECTED", 0
        return None

    def step(self) -> None:
        following = self.after(self.status)
        assert following is not None
        self.past.append(self.status)
        self.status, self.remaining = following

    def sleep(self, seconds: float) -> None:
        while self.status not in FINAL and self.remaining <= seconds:
            seconds -= self.remaining
            self.step()
        self.remaining -= seconds

    def perform(self, action: Action) -> bool:
        """Perform an action and return whether it is possible."""
        agent, customer = self.scenario.agent, self.scenario.customer
        declined = Leg(Ending.DECLINES, 0)
        match self.status, action:
            case "CALLING_A", Action.AGENT_ANSWERS:
                agent = Leg(Ending.ANSWERS, 0)
            case "CALLING_A", Action.AGENT_DECLINES | Action.HANG_UP:
                agent = declined
            case "CALLING_B", Action.CUSTOMER_ANSWERS:
                customer = Leg(Ending.ANSWERS, 0)
            case "CALLING_B", Action.CUSTOMER_DECLINES | Action.HANG_UP:
                customer = declined
            case "CONNECTED", Action.HANG_UP:
                pass
            case _:
                return False
        self.scenario = Scenario(agent, customer, self.scenario.talking)
        self.step()
        self.sleep(0)
        return True

    def two_ahead(self) -> str:
        """Return the status two ahead, or the last one before a final status."""
        status = self.status
        for _ in range(2):
            following = self.after(status)
            if following is None or following[0] in FINAL:
                break
            status = following[0]
        return status


@define
class ModelInjection:
    """A fault of status requests, with the number of status requests of each callback since."""

    fault: Fault
    nth: int
    times: int | None
    counts: dict[int, int] = field(factory=dict)

    def applies(self, callback_id: int) -> bool:
        """Count a status request and return whether the fault applies to it."""
        count = self.counts[callback_id] = self.counts.get(callback_id, 0) + 1
        return count >= self.nth and (self.times is None or count < self.nth + self.times)


class SimulatorMachine(RuleBasedStateMachine):
    """Does the same with the simulator and the model, and compares them after each step."""

    ids = Bundle("ids")

    def __init__(self) -> None:
        super().__init__()
        self.simulator = Simulator()
        self.model: dict[int, ModelCallback] = {}
        self.injections: list[ModelInjection] = []
        self.drops = 0
        self.next_id = 10

    def post(self, operation: str, **body: Any) -> Response:
        return self.simulator.handle_request(
            "POST", f"/callback/{operation}", json.dumps(body).encode()
        )

    @rule(
        target=ids,
        number=st.sampled_from(NUMBERS),
        delay=st.sampled_from([0, 0, 1, 2, 7]),
        scenario=SCENARIOS,
    )
    def start_callback(self, number: str, delay: int, scenario: Scenario) -> int:
        """Start a callback whose response may be lost."""
        self.simulator.set_scenario(scenario)
        response = self.post(
            "init",
            access_key=ACCESS_KEY,
            callback_config_id=CALLBACK_CONFIG_ID,
            callback_number=number,
            delay=delay,
        )
        assert response.disconnect == ("close" if self.drops else None)
        self.drops -= self.drops > 0
        callback_id = self.next_id
        self.next_id += 1
        assert response.body == {"id": callback_id}
        self.model[callback_id] = ModelCallback(number, delay, scenario)
        return callback_id

    @rule(key=st.sampled_from(["", "WRONG"]), config=st.sampled_from([CALLBACK_CONFIG_ID, "WRONG"]))
    def start_callback_with_a_wrong_key(self, key: str, config: str) -> None:
        response = self.post(
            "init", access_key=key, callback_config_id=config, callback_number=NUMBERS[0], delay=0
        )
        expected = "BAD_CREDENTIALS" if key else "INVALID_FIELD"
        assert (response.status, response.body["error_code"]) == (400, expected)

    @rule(seconds=SECONDS)
    def sleep(self, seconds: float) -> None:
        self.simulator.clock.sleep(seconds)
        for callback in self.model.values():
            callback.sleep(seconds)

    @rule(callback_id=ids)
    def fetch_status(self, callback_id: int) -> None:
        """Send a status request, which may be faulty."""
        response = self.post("status", access_key=ACCESS_KEY, id=callback_id)
        callback = self.model.get(callback_id)
        if callback is None:
            assert (response.status, response.body["fields"]) == (400, ["id"])
            return
        applying = [each.fault for each in self.injections if each.applies(callback_id)]
        match applying[-1:]:
            case []:
                assert response.body == {"status": callback.status}
            case [faults.HttpError(status)]:
                assert response.status == status
            case [faults.StaleStatus()]:
                assert response.body == {
                    "status": callback.past[-1] if callback.past else "REQUESTED"
                }
            case [faults.SkippedStatus()]:
                assert response.body == {"status": callback.two_ahead()}
            case [fault]:
                raise AssertionError(fault)

    @rule(callback_id=ids, action=st.sampled_from(Action))
    def perform(self, callback_id: int, action: Action) -> None:
        """Perform an action, possible or not."""
        callback = self.model.get(callback_id)
        try:
            status = self.simulator.perform(callback_id, action)
        except UnknownCallbackError:
            assert callback is None
        except ImpossibleActionError:
            assert callback is not None
            assert not callback.perform(action)
        else:
            assert callback is not None
            assert callback.perform(action)
            assert status == callback.status

    @rule(
        fault=st.sampled_from(
            [
                faults.HttpError(503),
                faults.HttpError(520),
                faults.StaleStatus(),
                faults.SkippedStatus(),
            ]
        ),
        nth=st.integers(1, 2),
        times=st.sampled_from([1, 2, None]),
    )
    def inject(self, fault: Fault, nth: int, times: int | None) -> None:
        self.simulator.inject(fault, nth=nth, times=times)
        self.injections.append(ModelInjection(fault, nth, times))

    @precondition(lambda self: not self.drops)
    @rule(times=st.integers(1, 2))
    def inject_drop(self, times: int) -> None:
        self.simulator.inject(faults.Drop(), on="init", times=times)
        self.drops = times

    @rule(callbacks=st.sampled_from([False, False, False, True]))
    def clear(self, *, callbacks: bool) -> None:
        """Remove the faults, and sometimes reset everything."""
        if callbacks:
            self.simulator.reset()
            self.model.clear()
        self.simulator.clear_faults()
        self.injections.clear()
        self.drops = 0

    @invariant()
    def simulator_and_model_agree(self) -> None:
        assert {each.id: self.simulator.status(each.id) for each in self.simulator.callbacks} == {
            callback_id: callback.status for callback_id, callback in self.model.items()
        }
        assert self.simulator.dialled == [callback.number for callback in self.model.values()]
        assert self.simulator.rung == [
            callback.number
            for callback in self.model.values()
            if "CALLING_B" in [*callback.past, callback.status]
        ]


SimulatorMachine.TestCase.settings = settings(
    max_examples=100, stateful_step_count=40, deadline=None
)
TestSimulatorAgainstModel = SimulatorMachine.TestCase
