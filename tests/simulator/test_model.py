"""
The exchange and a small model of it, side by side, through any sequence of dials, moves, faults and time.

The model knows no timeline: it counts each callback's present status down and steps on. Times are multiples of half a second.
"""

from __future__ import annotations

import json
from typing import Any

from attrs import define, field
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, precondition, rule

from tenios_ext.simulator import ACCESS_KEY, CALLBACK_CONFIG_ID, ImpossibleMoveError, Journey, Move, Simulator, faults
from tenios_ext.simulator.journey import Ending, Leg

NUMBERS = ["+492214710001", "+492214710002"]
HALVES = st.sampled_from([0, 0.5, 1, 1.5, 2, 3, 4.5, 10])
LEGS = st.builds(Leg, st.sampled_from([*[Ending.ANSWERS] * 5, *Ending]), HALVES)
JOURNEYS = st.builds(Journey, LEGS, LEGS, HALVES)
FINAL = {"CALL_A_FAILED", "CALL_B_FAILED", "DISCONNECTED"}


@define
class Model:
    """One callback: where it is, and for how much longer."""

    number: str
    delay: int
    journey: Journey
    status: str = "REQUESTED"
    left: float = 1
    trail: list[str] = field(factory=list)
    questions: int = 0

    def following(self, status: str) -> tuple[str, float] | None:
        """The status after *status*, and how long it lasts."""
        agent, customer = self.journey.agent, self.journey.customer
        match status:
            case "REQUESTED":
                return "ACCEPTED", max(self.delay - 1, 0) + 1
            case "ACCEPTED":
                return "CALLING_A", agent.after
            case "CALLING_A":
                return ("CALLING_B", customer.after) if agent.answered else ("CALL_A_FAILED", 0)
            case "CALLING_B":
                return ("CONNECTED", self.journey.talking) if customer.answered else ("CALL_B_FAILED", 0)
            case "CONNECTED":
                return "DISCONNECTED", 0
        return None

    def step(self) -> None:
        """Go on to the next status."""
        following = self.following(self.status)
        assert following is not None
        self.trail.append(self.status)
        self.status, self.left = following

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        while self.status not in FINAL and self.left <= seconds:
            seconds -= self.left
            self.step()
        self.left -= seconds

    def play(self, move: Move) -> bool:
        """Let a party make a move; say whether it could."""
        agent, customer = self.journey.agent, self.journey.customer
        declined = Leg(Ending.DECLINES, 0)
        match self.status, move:
            case "CALLING_A", Move.AGENT_ANSWERS:
                agent = Leg(Ending.ANSWERS, 0)
            case "CALLING_A", Move.AGENT_DECLINES | Move.HANG_UP:
                agent = declined
            case "CALLING_B", Move.CUSTOMER_ANSWERS:
                customer = Leg(Ending.ANSWERS, 0)
            case "CALLING_B", Move.CUSTOMER_DECLINES | Move.HANG_UP:
                customer = declined
            case "CONNECTED", Move.HANG_UP:
                pass
            case _:
                return False
        self.journey = Journey(agent, customer, self.journey.talking)
        self.step()
        self.sleep(0)
        return True

    def jumped(self) -> str:
        """The status two further on, short of an end."""
        status = best = self.status
        for _ in range(2):
            following = self.following(status)
            if following is None or following[0] in FINAL:
                break
            status = best = following[0]
        return best


@define
class Injected:
    """A fault of a question, as the model sees it."""

    fault: faults.Fault
    nth: int
    times: int | None
    seen: dict[int, int] = field(factory=dict)

    def befalls(self, callback: int) -> bool:
        """Count a question, and say whether it goes wrong."""
        count = self.seen[callback] = self.seen.get(callback, 0) + 1
        return count >= self.nth and (self.times is None or count < self.nth + self.times)


class ExchangeMachine(RuleBasedStateMachine):
    """Drives both."""

    ids = Bundle("ids")

    def __init__(self) -> None:
        super().__init__()
        self.simulator = Simulator()
        self.models: dict[int, Model] = {}
        self.injected: list[Injected] = []
        self.lost_dials = 0
        self.next_id = 10

    def post(self, operation: str, **body: Any) -> Any:
        """Ask the simulator."""
        return self.simulator.answer("POST", f"/callback/{operation}", json.dumps(body).encode())

    @rule(target=ids, number=st.sampled_from(NUMBERS), delay=st.sampled_from([0, 0, 1, 2, 7]), journey=JOURNEYS)
    def dial(self, number: str, delay: int, journey: Journey) -> int:
        """Start a callback."""
        self.simulator.set_journey(journey)
        reply = self.post(
            "init",
            access_key=ACCESS_KEY,
            callback_config_id=CALLBACK_CONFIG_ID,
            callback_number=number,
            delay=delay,
        )
        assert reply.lost == ("dropped" if self.lost_dials else None)
        self.lost_dials -= self.lost_dials > 0
        given = self.next_id
        self.next_id += 1
        assert reply.body == {"id": given}
        self.models[given] = Model(number, delay, journey)
        return given

    @rule(key=st.sampled_from(["", "WRONG"]), config=st.sampled_from([CALLBACK_CONFIG_ID, "WRONG"]))
    def dial_in_vain(self, key: str, config: str) -> None:
        """A request with a wrong key starts nothing."""
        reply = self.post("init", access_key=key, callback_config_id=config, callback_number=NUMBERS[0], delay=0)
        assert (reply.status, reply.body["error_code"]) == (400, "BAD_CREDENTIALS" if key else "INVALID_VALUE")

    @rule(halves=HALVES)
    def sleep(self, halves: float) -> None:
        """Let time pass."""
        self.simulator.clock.sleep(halves)
        for model in self.models.values():
            model.sleep(halves)

    @rule(callback=ids)
    def ask(self, callback: int) -> None:
        """Ask how far a callback is."""
        reply = self.post("status", access_key=ACCESS_KEY, id=callback)
        model = self.models.get(callback)
        if model is None:
            assert (reply.status, reply.body["fields"]) == (400, ["id"])
            return
        befalling = [each.fault for each in self.injected if each.befalls(callback)]
        match befalling[-1:]:
            case []:
                assert reply.body == {"status": model.status}
            case [faults.HttpError(status)]:
                assert reply.status == status
            case [faults.Lag()]:
                assert reply.body == {"status": model.trail[-1] if model.trail else "REQUESTED"}
            case [faults.Jump()]:
                assert reply.body == {"status": model.jumped()}
            case [fault]:
                raise AssertionError(fault)

    @rule(callback=ids, move=st.sampled_from(Move))
    def play(self, callback: int, move: Move) -> None:
        """Let a party make a move, possible or not."""
        model = self.models.get(callback)
        try:
            status = self.simulator.play(callback, move)
        except LookupError:
            assert model is None
        except ImpossibleMoveError:
            assert model is not None
            assert not model.play(move)
        else:
            assert model is not None
            assert model.play(move)
            assert status == model.status

    @rule(
        fault=st.sampled_from([faults.HttpError(503), faults.HttpError(520), faults.Lag(), faults.Jump()]),
        nth=st.integers(1, 2),
        times=st.sampled_from([1, 2, None]),
    )
    def inject(self, fault: faults.Fault, nth: int, times: int | None) -> None:
        """Let questions go wrong."""
        self.simulator.inject(fault, nth=nth, times=times)
        self.injected.append(Injected(fault, nth, times))

    @precondition(lambda self: not self.lost_dials)
    @rule(times=st.integers(1, 2))
    def lose_dials(self, times: int) -> None:
        """Let the answers to the next dials be lost."""
        self.simulator.inject(faults.Drop(), on="init", times=times)
        self.lost_dials = times

    @rule(callbacks=st.sampled_from([False, False, False, True]))
    def forget(self, callbacks: bool) -> None:  # noqa: FBT001 - drawn
        """Let all go well again, and sometimes begin anew."""
        if callbacks:
            self.simulator.reset()
            self.models.clear()
        self.simulator.clear_faults()
        self.injected.clear()
        self.lost_dials = 0

    @invariant()
    def agree(self) -> None:
        """Both know the same callbacks, in the same order, and how far each of them is."""
        assert {each.id: self.simulator.status(each.id) for each in self.simulator.callbacks} == {
            number: model.status for number, model in self.models.items()
        }
        assert self.simulator.dialled == [model.number for model in self.models.values()]
        assert self.simulator.rung == [
            model.number for model in self.models.values() if "CALLING_B" in [*model.trail, model.status]
        ]


ExchangeMachine.TestCase.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
TestExchangeAndModel = ExchangeMachine.TestCase
