"""``watch`` and ``wait``: each change once, in order, until the end, within the limits."""

from __future__ import annotations

import asyncio
import itertools
import pickle
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.clients import NUMBER, Script

from tenios_ext import (
    CallbackHandle,
    CallbackStatus,
    CallbackTimeoutError,
    Outcome,
    StatusUnavailableError,
    is_final,
)
from tenios_simulator import Scenario, Simulator

if TYPE_CHECKING:
    from collections.abc import Callable

ORDER = ["REQUESTED", "ACCEPTED", "CALLING_A", "CALLING_B", "CONNECTED"]
FINAL = ["CALL_A_FAILED", "CALL_B_FAILED", "DISCONNECTED"]


def watch(mode: str, script: Script, **limits: Any) -> list[str]:
    """Start a callback. Return the statuses that watching it yields."""
    if mode == "sync":
        with script.client() as tenios:
            return [str(status) for status in tenios.start_callback(NUMBER).watch(**limits)]

    async def run() -> list[str]:
        async with script.async_client() as tenios:
            callback = await tenios.start_callback(NUMBER)
            return [str(status) async for status in callback.watch(**limits)]

    return asyncio.run(run())


def wait(mode: str, server: Script | Simulator, *, delay: int = 0, **limits: Any) -> Outcome:
    """Start a callback. Return the outcome of waiting for it."""
    if mode == "sync":
        with server.client() as tenios:
            return tenios.start_callback(NUMBER, delay=delay).wait(**limits)

    async def run() -> Outcome:
        async with server.async_client() as tenios:
            return await (await tenios.start_callback(NUMBER, delay=delay)).wait(**limits)

    return asyncio.run(run())


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize(
    ("responses", "seen"),
    [
        pytest.param([*ORDER, "DISCONNECTED"], [*ORDER, "DISCONNECTED"], id="each status"),
        pytest.param(
            ["REQUESTED"] * 5 + ["CALL_A_FAILED"], ["REQUESTED", "CALL_A_FAILED"], id="repeated"
        ),
        pytest.param(["DISCONNECTED"], ["DISCONNECTED"], id="final only"),
        pytest.param(
            ["CALLING_B", "CALLING_A", "REQUESTED", "CONNECTED", "CALLING_B", "DISCONNECTED"],
            ["CALLING_B", "CONNECTED", "DISCONNECTED"],
            id="stale",
        ),
        pytest.param(
            ["CALLING_A", "ON_HOLD", "CALLING_A", "ON_HOLD", "CALLING_B", "CALL_B_FAILED"],
            ["CALLING_A", "ON_HOLD", "CALLING_B", "CALL_B_FAILED"],
            id="unknown",
        ),
        pytest.param(
            ["REQUESTED", 500, 503, 429, 520, 302, "CONNECTED", "DISCONNECTED"],
            ["REQUESTED", "CONNECTED", "DISCONNECTED"],
            id="failed",
        ),
        pytest.param(
            [400, 400, "REQUESTED", 400, 404, "DISCONNECTED"],
            ["REQUESTED", "DISCONNECTED"],
            id="refused twice",
        ),
    ],
)
def test_watch_yields_each_change_once(
    mode: str, responses: list[str | int], seen: list[str]
) -> None:
    script = Script(responses)
    assert watch(mode, script) == seen
    assert len(script.polled_at) == len(responses), (
        "it continues to the final status, and not further"
    )


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize(
    ("http_status", "polls"), [(401, 1), (403, 1), (400, 3), (404, 3), (405, 3)]
)
def test_watch_raises_if_polling_again_is_of_no_use(
    mode: str, http_status: int, polls: int
) -> None:
    script = Script([http_status])
    with pytest.raises(StatusUnavailableError) as raised:
        watch(mode, script)
    assert raised.value.http_status == http_status
    assert raised.value.credentials_refused == (http_status in {401, 403})
    assert len(script.polled_at) == polls


@pytest.mark.parametrize(("mode", "via"), [("sync", watch), ("async", wait)])
@pytest.mark.parametrize(
    ("responses", "limits", "expires_at"),
    [
        (["CALLING_A"], {"answer_timeout": 60}, 60),
        (["CALLING_A"], {"answer_timeout": 0}, 0),
        (["CALLING_A"], {"answer_timeout": None, "end_timeout": 90}, 90),
        (["CALLING_A"], {"answer_timeout": 900, "end_timeout": 90}, 90),
        (["CALLING_A", "CONNECTED"], {"answer_timeout": 60, "end_timeout": 600}, 600),
        ([500], {"answer_timeout": 60}, 60),
        (["ON_HOLD"], {"answer_timeout": 60}, 60),
        (["CALLING_A"], {}, 300),
        (["CONNECTED"], {}, 4 * 3600),
    ],
)
def test_limit_ends_with_a_last_poll_and_an_error(
    mode: str, via: Any, responses: list[str | int], limits: dict[str, Any], expires_at: float
) -> None:
    script = Script(responses)
    with pytest.raises(CallbackTimeoutError) as raised:
        via(mode, script, **limits)
    assert script.elapsed == pytest.approx(expires_at)
    assert script.polled_at[-1] == pytest.approx(expires_at)
    error = raised.value
    assert error.handle.id == 10
    assert error.outcome.status == (None if responses == [500] else responses[-1])
    assert not error.outcome.ended
    assert f"within {expires_at} seconds" in str(error)
    assert "tenios.callback(10)" in str(error)
    revived = pickle.loads(pickle.dumps(error))
    assert (revived.outcome, str(revived)) == (error.outcome, str(error))


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("method", ["watch", "wait"])
@pytest.mark.parametrize("limits", [{"answer_timeout": -1}, {"end_timeout": -0.1}])
def test_wrong_limit_is_refused_before_the_first_poll(
    mode: str, method: str, limits: dict[str, float]
) -> None:
    """``watch`` raises when it is called, not when its first status is requested."""
    script = Script(["REQUESTED"])

    def call() -> None:
        with script.client() as tenios:
            getattr(tenios.callback(10), method)(**limits)

    async def call_async() -> None:
        async with script.async_client() as tenios:
            called = getattr(tenios.callback(10), method)(**limits)
            if method == "wait":
                await called

    with pytest.raises(ValueError, match=f"{next(iter(limits))} must be a number of seconds"):
        call() if mode == "sync" else asyncio.run(call_async())
    assert not script.polled_at


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_nothing_is_polled_during_the_delay(mode: str) -> None:
    """The limits begin at the end of the delay."""
    script = Script(["CALLING_A"])
    with pytest.raises(CallbackTimeoutError) as raised:
        wait(mode, script, delay=600, answer_timeout=60)
    assert script.polled_at[0] == 600
    assert script.polled_at[-1] == 660
    assert raised.value.handle.delay == 600


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("seconds", [7, 40])
def test_retry_after_is_honoured(mode: str, seconds: int) -> None:
    """If it exceeds the limit, there is no last poll."""
    busy = httpx.Response(429, headers={"Retry-After": str(seconds)})
    script = Script([busy, "CALLING_A", busy])
    with pytest.raises(CallbackTimeoutError):
        wait(mode, script, answer_timeout=30)
    first, *later = script.polled_at
    assert first == 0
    assert bool(later) == (seconds == 7)
    assert all(polled_at >= seconds for polled_at in later)
    assert all(later - earlier >= seconds for earlier, later in itertools.pairwise(later[1:]))
    assert script.elapsed == 30


def test_retry_after_as_a_date_is_measured_by_the_servers_clock() -> None:
    headers = {
        "Date": "Mon, 01 Jan 2024 00:00:00 GMT",
        "Retry-After": "Mon, 01 Jan 2024 00:00:20 GMT",
    }
    script = Script([httpx.Response(503, headers=headers), "DISCONNECTED"])
    assert wait("sync", script).connected
    assert 20 <= script.polled_at[1] < 25


@pytest.mark.parametrize(
    "header", ["soon", "", "-5", "1e9", "\u0663", "Mon, 99 Foo 2024 00:00:20 GMT"]
)
def test_retry_after_that_is_not_valid_is_ignored(header: str) -> None:
    response = httpx.Response(503, headers=[(b"Retry-After", header.encode())])
    script = Script([response, "DISCONNECTED"])
    assert wait("sync", script).connected
    assert script.polled_at[1] < 5


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize(
    ("scenario", "connected", "failed_party"),
    [
        (Scenario.answered(), True, None),
        pytest.param(Scenario.answered(talking=0.01), True, None, id="too short to be seen"),
        (Scenario.agent_busy(), False, "agent"),
        (Scenario.agent_declines(), False, "agent"),
        (Scenario.agent_no_answer(), False, "agent"),
        (Scenario.customer_busy(), False, "customer"),
        (Scenario.customer_declines(), False, "customer"),
        (Scenario.customer_no_answer(), False, "customer"),
    ],
)
def test_wait_returns_who_was_reached(
    mode: str, scenario: Scenario, *, connected: bool, failed_party: str | None
) -> None:
    outcome = wait(mode, Simulator(scenario=scenario))
    assert (outcome.connected, outcome.failed_party, outcome.ended) == (
        connected,
        failed_party,
        True,
    )


def test_durations_are_accurate_to_about_a_poll_interval() -> None:
    scenario = Scenario.answered(agent_after=20, customer_after=30, talking=600)
    durations = wait("sync", Simulator(scenario=scenario)).durations
    assert durations[CallbackStatus.CALLING_A] == pytest.approx(20, abs=6)
    assert durations[CallbackStatus.CALLING_B] == pytest.approx(30, abs=6)
    assert durations[CallbackStatus.CONNECTED] == pytest.approx(600, abs=35)
    assert CallbackStatus.DISCONNECTED not in durations


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_callback_keeps_the_outcome_of_a_watch_that_was_left_early(mode: str) -> None:
    script = Script([*ORDER, "DISCONNECTED"])
    if mode == "sync":
        with script.client() as tenios:
            callback = tenios.callback(10)
            for status in callback.watch():
                if status == CallbackStatus.CALLING_B:
                    break
            outcome = callback.outcome
    else:

        async def run() -> Outcome:
            async with script.async_client() as tenios:
                callback = tenios.callback(10)
                async for status in callback.watch():
                    if status == CallbackStatus.CALLING_B:
                        break
                return callback.outcome

        outcome = asyncio.run(run())
    assert [change.status for change in outcome.history] == ORDER[:4]
    assert not outcome.ended
    assert len(script.polled_at) == 4


def test_handle_lets_another_process_go_on_where_the_first_one_stopped() -> None:
    """The handle contains the delay and the start, so the limits are the same for both."""
    simulator = Simulator(scenario=Scenario.answered(talking=1000))
    with simulator.client() as tenios:
        stored = tenios.start_callback(NUMBER, delay=100).handle.to_json()
    simulator.clock.sleep(50)

    async def take_over() -> float:
        async with simulator.async_client() as tenios:
            callback = tenios.callback(CallbackHandle.from_json(stored))
            with pytest.raises(CallbackTimeoutError):
                await callback.wait(end_timeout=500)
            return simulator.clock.now() - callback.handle.started_at

    assert asyncio.run(take_over()) == pytest.approx(100 + 500)


def test_handle_whose_limits_have_passed_is_polled() -> None:
    """The callback may have ended long ago."""
    simulator = Simulator()
    with simulator.client() as tenios:
        handle = tenios.start_callback(NUMBER).handle
        simulator.clock.sleep(100_000)
        assert tenios.callback(handle).wait().connected


def test_wait_that_was_cancelled_can_be_repeated() -> None:
    script = Script([*ORDER, "DISCONNECTED"])

    async def run() -> Outcome:
        third_poll = asyncio.Event()

        async def on_response(_: httpx.Response) -> None:
            if len(script.polled_at) == 3:
                third_poll.set()

        async with script.async_client(event_hooks={"response": [on_response]}) as tenios:
            callback = await tenios.start_callback(NUMBER)
            waiting = asyncio.create_task(callback.wait())
            await third_poll.wait()
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            polls = len(script.polled_at)
            assert not callback.outcome.ended
            outcome = await callback.wait()
            assert len(script.polled_at) > polls
            return outcome

    outcome = asyncio.run(run())
    assert outcome.connected
    assert outcome.ended


def test_poll_interval_of_the_caller_decides_down_to_the_minimum() -> None:
    calls: list[tuple[CallbackStatus | None, float]] = []

    def poll_interval(status: CallbackStatus | None, elapsed: float) -> float:
        calls.append((status, elapsed))
        return 0.0

    script = Script(["CALLING_A"] * 5 + ["CALL_A_FAILED"])
    with script.client(poll_interval=poll_interval) as tenios:
        tenios.callback(10).wait()
    assert script.polled_at == pytest.approx([0, 0.25, 0.5, 0.75, 1.0, 1.25])
    assert [status for status, _ in calls] == ["CALLING_A"] * 5 + ["CALL_A_FAILED"]
    assert [elapsed for _, elapsed in calls[:3]] == pytest.approx([0, 0.25, 0.5])


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize(("seconds", "at_least"), [(2.0, 2.0), (3, 3.0), (0.1, 0.25)])
def test_poll_interval_may_be_a_number_of_seconds(
    mode: str, seconds: float, at_least: float
) -> None:
    script = Script(["CALLING_A", "CALLING_B", "CONNECTED", "CONNECTED", "DISCONNECTED"])

    async def wait_async() -> None:
        async with script.async_client(poll_interval=seconds) as tenios:
            await tenios.callback(10).wait()

    if mode == "async":
        asyncio.run(wait_async())
    else:
        with script.client(poll_interval=seconds) as tenios:
            tenios.callback(10).wait()
    pauses = [later - earlier for earlier, later in itertools.pairwise(script.polled_at)]
    assert len(pauses) == 4
    assert all(at_least - 1e-6 <= pause <= at_least * 1.1 + 1e-6 for pause in pauses)


STATUSES = st.sampled_from([*ORDER, "ON_HOLD", "PARKED", ""])
RESPONSES = st.one_of(
    *[STATUSES] * 5,
    st.integers(201, 599),
    st.builds(lambda body: httpx.Response(200, content=body), st.binary(max_size=20)),
    st.builds(
        lambda document: httpx.Response(200, json=document),
        st.recursive(st.none() | st.text(), st.lists),
    ),
)


def check_watch(script: Script, watching: Callable[[], list[str]]) -> None:
    """Fail if the result of *watching* breaks a promise of ``watch``."""
    try:
        seen = watching()
    except StatusUnavailableError:
        return
    except CallbackTimeoutError:
        assert script.elapsed <= 600 + 1e-6
        return
    assert is_final(CallbackStatus(seen[-1]))
    assert not any(is_final(CallbackStatus(status)) for status in seen[:-1])
    assert len(set(seen)) == len(seen)
    known = [ORDER.index(status) for status in seen if status in ORDER]
    assert known == sorted(known)


@pytest.mark.parametrize("mode", ["sync", "async"])
@settings(max_examples=50)
@given(
    responses=st.tuples(
        st.lists(RESPONSES, min_size=4, max_size=12), st.sampled_from([*FINAL, 503])
    )
)
def test_watch_keeps_its_promises_whatever_is_sent(
    mode: str, responses: tuple[list[Any], Any]
) -> None:
    script = Script([*responses[0], responses[1]])
    check_watch(script, lambda: watch(mode, script, answer_timeout=300, end_timeout=600))


@pytest.mark.parametrize(
    "seen",
    [
        ["CALLING_A"],
        ["CONNECTED", "CALLING_A", "DISCONNECTED"],
        ["CALLING_A", "CALLING_A", "DISCONNECTED"],
        ["CALL_A_FAILED", "DISCONNECTED"],
    ],
)
def test_check_watch_notices_a_broken_promise(seen: list[str]) -> None:
    with pytest.raises(AssertionError):
        check_watch(Script(["DISCONNECTED"]), lambda: seen)


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_callback_that_was_connected_stays_connected(mode: str) -> None:
    """A late failure does not make the outcome contradictory."""
    script = Script(["CALLING_B", "CONNECTED", "CALL_B_FAILED"])
    outcome = wait(mode, script)
    assert (outcome.connected, outcome.failed_party, outcome.ended) == (True, None, True)
