"""Watching and waiting: each change once, in order, to the end, within the caller's limits."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import pickle
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.dialling import NUMBER

from tenios_ext import (
    AsyncTenios,
    CallbackHandle,
    CallbackStatus,
    CallbackTimeoutError,
    Outcome,
    StatusUnavailableError,
    Tenios,
    default_pacing,
    is_final,
)
from tenios_ext.pacing import FLOOR, LONGEST_BACKOFF, back_off
from tenios_ext.simulator import Journey, Simulator, VirtualClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ORDER = ["REQUESTED", "ACCEPTED", "CALLING_A", "CALLING_B", "CONNECTED"]
FINAL = ["CALL_A_FAILED", "CALL_B_FAILED", "DISCONNECTED"]


class Script:
    """
    Answers the questions for the status from a list; the last answer is repeated for ever.

    Attributes:
        asked_at: When each question came.
    """

    def __init__(self, answers: Iterable[str | int | httpx.Response]) -> None:
        self.clock = VirtualClock()
        self.asked_at: list[float] = []
        self.start = self.clock.now()
        answers = list(answers)
        self._answers = itertools.chain(answers, itertools.repeat(answers[-1]))

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer."""
        if request.url.path == "/callback/init":
            return httpx.Response(200, json={"id": 10})
        self.asked_at.append(self.clock.now() - self.start)
        answer = next(self._answers)
        if isinstance(answer, httpx.Response):
            return answer
        if isinstance(answer, int):
            return httpx.Response(answer, json={"error_code": "X", "error_message": "Y"})
        return httpx.Response(200, json={"status": answer})

    def client(self, **settings: Any) -> Tenios:
        """A client that is answered from the list."""
        return Tenios("KEY", "CONFIG", transport=httpx.MockTransport(self), clock=self.clock, **settings)

    def async_client(self, **settings: Any) -> AsyncTenios:
        """The same for asyncio."""
        return AsyncTenios("KEY", "CONFIG", transport=httpx.MockTransport(self), clock=self.clock, **settings)


def watch(script: Script, mode: str, **limits: Any) -> list[str]:
    """What somebody sees who starts a callback and watches it."""
    if mode == "sync":
        with script.client() as tenios:
            return [str(status) for status in tenios.start_callback(NUMBER).watch(**limits)]

    async def run() -> list[str]:
        async with script.async_client() as tenios:
            callback = await tenios.start_callback(NUMBER)
            return [str(status) async for status in callback.watch(**limits)]

    return asyncio.run(run())


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize(
    ("answers", "seen"),
    [
        pytest.param([*ORDER, "DISCONNECTED"], [*ORDER, "DISCONNECTED"], id="all"),
        pytest.param(["REQUESTED"] * 5 + ["CALL_A_FAILED"], ["REQUESTED", "CALL_A_FAILED"], id="repeated"),
        pytest.param(["DISCONNECTED"], ["DISCONNECTED"], id="only the end was seen"),
        pytest.param(
            ["CALLING_B", "CALLING_A", "REQUESTED", "CONNECTED", "CALLING_B", "DISCONNECTED"],
            ["CALLING_B", "CONNECTED", "DISCONNECTED"],
            id="a lagging replica goes back",
        ),
        pytest.param(
            ["CALLING_A", "ON_HOLD", "CALLING_A", "ON_HOLD", "CALLING_B", "CALL_B_FAILED"],
            ["CALLING_A", "ON_HOLD", "CALLING_B", "CALL_B_FAILED"],
            id="unknown is passed on once and is not final",
        ),
        pytest.param(
            ["REQUESTED", 500, 503, 429, 520, 302, "CONNECTED", "DISCONNECTED"],
            ["REQUESTED", "CONNECTED", "DISCONNECTED"],
            id="failed questions are no news",
        ),
    ],
)
def test_watch_yields_each_change_once(mode: str, answers: list[str | int], seen: list[str]) -> None:
    """What is yielded is what changed, in order."""
    assert watch(Script(answers), mode) == seen


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_certain_trouble_ends_the_watch(mode: str) -> None:
    """Refused credentials end it at once; a question that is refused again and again ends it, too."""
    for status, questions in [(401, 1), (403, 1), (400, 3), (404, 3)]:
        script = Script([status])
        with pytest.raises(StatusUnavailableError) as raised:
            watch(script, mode)
        assert raised.value.http_status == status
        assert len(script.asked_at) == questions
    assert watch(Script([400, 400, "REQUESTED", 400, 404, "DISCONNECTED"]), mode) == ["REQUESTED", "DISCONNECTED"]


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize(
    ("answers", "limits", "expires_at"),
    [
        (["CALLING_A"], {"answered_within": 60}, 60),
        (["CALLING_A"], {"answered_within": 0}, 0),
        (["CALLING_A"], {"answered_within": None, "ended_within": 90}, 90),
        (["CALLING_A"], {"answered_within": 900, "ended_within": 90}, 90),
        (["CALLING_A", "CONNECTED"], {"answered_within": 60, "ended_within": 600}, 600),
        ([500], {"answered_within": 60}, 60),
        (["ON_HOLD"], {"answered_within": 60}, 60),
        (["CALLING_A"], {}, 300),
        (["CONNECTED"], {}, 4 * 3600),
    ],
)
def test_limits_hold(mode: str, answers: list[str | int], limits: dict[str, Any], expires_at: float) -> None:
    """At the limit there is a last question, then an error that carries what is known; the time is the caller's to the second."""
    script = Script(answers)
    with pytest.raises(CallbackTimeoutError) as raised:
        watch(script, mode, **limits)
    assert script.clock.now() - script.start == pytest.approx(expires_at)
    assert script.asked_at[-1] == pytest.approx(expires_at)
    error = raised.value
    assert isinstance(error, TimeoutError)
    assert error.handle.id == 10
    assert error.last_status == (None if answers == [500] else answers[-1])
    assert not error.outcome.over
    assert f"after {expires_at} seconds" in str(error)
    assert "tenios.callback(10)" in str(error)
    revived = pickle.loads(pickle.dumps(error))
    assert (revived.handle, revived.last_status, str(revived)) == (error.handle, error.last_status, str(error))


@pytest.mark.parametrize("limits", [{"answered_within": -1}, {"ended_within": -0.1}, {"answered_within": float("nan")}])
def test_negative_limit_is_refused_at_once(limits: dict[str, float]) -> None:
    """A wrong limit is an error of the call, not of the first step of the loop, and no leave to dial again."""
    with Script(["REQUESTED"]).client() as tenios:
        callback = tenios.callback(10)
        for method in (callback.watch, callback.wait):
            with pytest.raises(ValueError, match="within"):
                method(**limits)


def test_nothing_is_asked_during_the_delay() -> None:
    """The delay is added to the limits, and nobody asks before it is over."""
    script = Script(["CALLING_A"])
    with script.client() as tenios, pytest.raises(CallbackTimeoutError):
        tenios.start_callback(NUMBER, delay=600).wait(answered_within=60)
    assert script.asked_at[0] == 600
    assert script.asked_at[-1] == 660


@pytest.mark.parametrize("seconds", [7, 40])
def test_retry_after_is_honoured(seconds: int) -> None:
    """TENIOS is left alone for as long as it asks, and the limit ends the watch without another question."""
    asks_to_wait = httpx.Response(429, headers={"Retry-After": str(seconds)})
    script = Script([asks_to_wait, "CALLING_A", asks_to_wait])
    with script.client() as tenios, pytest.raises(CallbackTimeoutError):
        tenios.callback(10).wait(answered_within=30)
    first, *later = script.asked_at
    assert first == 0
    assert all(question >= seconds for question in later)
    gaps = [b - a for a, b in itertools.pairwise(later[1:])]
    assert all(gap >= seconds for gap in gaps)
    assert script.clock.now() - script.start == 30


def test_retry_after_as_a_date_is_measured_by_the_servers_clock() -> None:
    """The date form counts from the answer's own Date."""
    headers = {"Date": "Mon, 01 Jan 2024 00:00:00 GMT", "Retry-After": "Mon, 01 Jan 2024 00:00:20 GMT"}
    script = Script([httpx.Response(503, headers=headers), "DISCONNECTED"])
    with script.client() as tenios:
        assert tenios.callback(10).wait().connected
    assert 20 <= script.asked_at[1] < 25


@pytest.mark.parametrize("header", ["soon", "", "-5", "1e9", "٣", "Mon, 99 Foo 2024 00:00:20 GMT"])
def test_strange_retry_after_is_no_news(header: str) -> None:
    """A header that means nothing is ignored."""
    strange = httpx.Response(503, headers=[(b"Retry-After", header.encode())])
    script = Script([strange, "DISCONNECTED"])
    with script.client() as tenios:
        assert tenios.callback(10).wait().connected
    assert script.asked_at[1] < 5


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize(
    ("journey", "connected", "failed"),
    [
        (Journey.answered(), True, None),
        (Journey.answered(talking=0.01), True, None),
        (Journey.agent_busy(), False, "agent"),
        (Journey.agent_declines(), False, "agent"),
        (Journey.agent_does_not_answer(), False, "agent"),
        (Journey.customer_busy(), False, "customer"),
        (Journey.customer_declines(), False, "customer"),
        (Journey.customer_does_not_answer(), False, "customer"),
    ],
)
def test_outcome_answers_the_questions_people_have(mode: str, journey: Journey, connected: bool, failed: str) -> None:  # noqa: FBT001 - a case
    """Did they talk, who failed, is it over; a conversation too short to be seen still was one."""
    simulator = Simulator(journey=journey)
    if mode == "sync":
        with simulator.client() as tenios:
            outcome = tenios.start_callback(NUMBER).wait()
    else:

        async def run() -> Outcome:
            async with simulator.async_client() as tenios:
                callback = await tenios.start_callback(NUMBER)
                return await callback.wait()

        outcome = asyncio.run(run())
    assert (outcome.connected, outcome.failed_party, outcome.over) == (connected, failed, True)
    assert pickle.loads(pickle.dumps(outcome)) == outcome


def test_durations_are_those_that_were_seen() -> None:
    """Each phase's length is known to about the interval between two questions; the newest has none."""
    journey = Journey.answered(agent_after=20, customer_after=30, talking=600)
    with Simulator(journey=journey).client() as tenios:
        outcome = tenios.start_callback(NUMBER).wait()
    durations = outcome.durations
    assert durations[CallbackStatus.CALLING_A] == pytest.approx(20, abs=6)
    assert durations[CallbackStatus.CALLING_B] == pytest.approx(30, abs=6)
    assert durations[CallbackStatus.CONNECTED] == pytest.approx(600, abs=35)
    assert CallbackStatus.DISCONNECTED not in durations
    assert Outcome(outcome.handle).durations == {}


def test_outcome_of_nothing_is_empty() -> None:
    """Before anything was seen nothing is claimed."""
    outcome = Outcome(CallbackHandle(10, started_at=0))
    assert (outcome.status, outcome.connected, outcome.failed_party, outcome.over) == (None, False, None, False)


def test_callback_keeps_what_the_last_watch_saw() -> None:
    """Whoever breaks off a watch still has the outcome so far."""
    with Simulator().client() as tenios:
        callback = tenios.start_callback(NUMBER)
        for status in callback.watch():
            if status == CallbackStatus.CALLING_B:
                break
        assert callback.outcome.status == CallbackStatus.CALLING_B
        assert not callback.outcome.over


def test_another_process_goes_on_where_the_first_stopped() -> None:
    """A handle carries id, delay and start, so limits and pacing go on from there, sync or async."""
    simulator = Simulator(journey=Journey.answered(talking=1000))
    with simulator.client() as tenios:
        written = tenios.start_callback(NUMBER, delay=100).handle.to_json()
    simulator.clock.sleep(50)

    async def take_over() -> float:
        async with simulator.async_client() as tenios:
            callback = tenios.callback(CallbackHandle.from_json(written))
            with pytest.raises(CallbackTimeoutError):
                await callback.wait(ended_within=500)
            return simulator.clock.now() - callback.handle.started_at

    assert asyncio.run(take_over()) == pytest.approx(100 + 500)


def test_late_take_over_asks_once_before_it_gives_up() -> None:
    """A handle whose limits have passed is asked about once; the answer may be that all is over."""
    simulator = Simulator()
    with simulator.client() as tenios:
        handle = tenios.start_callback(NUMBER).handle
        simulator.clock.sleep(100_000)
        assert tenios.callback(handle).wait().connected


def test_wait_is_cancel_safe() -> None:
    """Cancelling a wait leaves the callback to be waited for again."""
    simulator = Simulator(clock=None)

    async def run() -> bool:
        async with simulator.async_client() as tenios:
            callback = await tenios.start_callback(NUMBER)
            waiting = asyncio.create_task(callback.wait())
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            return (await callback.wait()).connected

    assert asyncio.run(run())
    assert simulator.dialled == [NUMBER]


def test_pacing_can_be_replaced() -> None:
    """A function of the caller's decides, but never below the floor."""
    calls: list[tuple[CallbackStatus | None, float]] = []

    def pacing(status: CallbackStatus | None, waited: float) -> float:
        calls.append((status, waited))
        return 0.0

    script = Script(["CALLING_A"] * 5 + ["CALL_A_FAILED"])
    with script.client(pacing=pacing) as tenios:
        tenios.callback(10).wait()
    assert [b - a for a, b in itertools.pairwise(script.asked_at)] == pytest.approx([FLOOR] * 5)
    assert [waited for _, waited in calls[:3]] == pytest.approx([0, FLOOR, 2 * FLOOR])


@given(st.sampled_from([None, *CallbackStatus, CallbackStatus("ON_HOLD")]), st.floats(0, 1e6))
def test_default_pacing_is_bounded(status: CallbackStatus | None, waited: float) -> None:
    """Never a negative pause, never more than half a minute, and never shorter the longer one has waited."""
    assert 0 <= default_pacing(status, waited) <= 30
    assert default_pacing(status, waited) <= default_pacing(status, waited + 1)


@given(st.floats(0, 1e4), st.integers(0, 10_000), st.none() | st.floats(0, 1e9))
def test_back_off_is_bounded_and_patient(interval: float, failures: int, retry_after: float | None) -> None:
    """It grows with the failures up to its bound, and is never shorter than what was asked for."""
    pause = back_off(interval, failures=failures, retry_after=retry_after)
    assert pause >= max(interval, retry_after or 0)
    assert pause <= max(interval, retry_after or 0, LONGEST_BACKOFF)


@pytest.mark.parametrize("status", CallbackStatus)
def test_final_statuses(status: CallbackStatus) -> None:
    """Three statuses are final, and no unknown one is."""
    assert is_final(status) == (status in FINAL)
    assert not is_final(CallbackStatus("ON_HOLD"))


def test_logging_has_structured_extras_and_is_quiet_by_default(caplog: pytest.LogCaptureFixture) -> None:
    """Each change is a record with the callback's id and status; without configuration nothing is printed."""
    caplog.set_level(logging.INFO, logger="tenios_ext")
    with Simulator().client() as tenios:
        tenios.start_callback(NUMBER).wait()
    records = [vars(record) for record in caplog.records]
    changes = [(record["callback_id"], record["callback_status"]) for record in records if "callback_status" in record]
    assert changes[0] == (10, "REQUESTED")
    assert changes[-1] == (10, "DISCONNECTED")
    with Script(["REQUESTED", 503, 503, "DISCONNECTED"]).client() as tenios:
        tenios.callback(11).wait()
    attempts = [(r["callback_id"], r["attempt"]) for r in map(vars, caplog.records) if "attempt" in r]
    assert attempts == [(11, 1), (11, 2)]
    assert any(isinstance(handler, logging.NullHandler) for handler in logging.getLogger("tenios_ext").handlers)


ANSWER = st.one_of(
    st.sampled_from([*ORDER, *FINAL, "ON_HOLD", "PARKED", ""]),
    st.integers(201, 599),
    st.builds(lambda body: httpx.Response(200, content=body), st.binary(max_size=20)),
    st.builds(lambda document: httpx.Response(200, json=document), st.recursive(st.none() | st.text(), st.lists)),
)


def story(answers: list[Any], run: Callable[[Script], list[str]]) -> None:
    script = Script(answers)
    try:
        seen = run(script)
    except StatusUnavailableError:
        return
    except CallbackTimeoutError:
        seconds = script.clock.now() - script.start
        assert seconds <= 600 + 1e-6
        return
    assert is_final(CallbackStatus(seen[-1]))
    assert not any(is_final(CallbackStatus(status)) for status in seen[:-1])
    assert len(set(seen)) == len(seen)
    known = [ORDER.index(status) for status in seen if status in ORDER]
    assert known == sorted(known)


@given(st.lists(ANSWER, min_size=1, max_size=12))
def test_any_story_is_told_in_order_and_ends(answers: list[Any]) -> None:
    """Whatever is answered, a watch is monotonic, ends within its limits, and raises our errors only."""
    story(answers, lambda script: watch(script, "sync", answered_within=300, ended_within=600))


@given(st.lists(ANSWER, min_size=1, max_size=12))
def test_any_story_is_the_same_for_asyncio(answers: list[Any]) -> None:
    """The same over asyncio."""
    story(answers, lambda script: watch(script, "async", answered_within=300, ended_within=600))


def test_messages_are_json_free_of_surprises() -> None:
    """A handle in a timeout error is as good as the first one."""
    script = Script(["CALLING_A"])
    with script.client() as tenios, pytest.raises(CallbackTimeoutError) as raised:
        tenios.start_callback(NUMBER, delay=5).wait(answered_within=1)
    assert json.loads(raised.value.handle.to_json())["delay"] == 5
