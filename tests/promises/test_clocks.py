"""Limits and histories do not depend on wrong clocks or slow callers."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from support.clients import CONFIG_ID, NUMBER, Script

from tenios_ext import (
    CallbackHandle,
    CallbackTimeoutError,
    Outcome,
    Tenios,
)
from tenios_simulator import Scenario, Simulator, VirtualClock

DAY = 24 * 3600.0


class WrongClock(VirtualClock):
    """A virtual clock whose wall time can be set."""

    def __init__(self) -> None:
        super().__init__()
        self.wall_offset = 0.0

    def now(self) -> float:
        return super().now() + self.wall_offset

    def monotonic(self) -> float:
        return super().now()


def wait_for(mode: str, script: Script, handle: CallbackHandle, **limits: Any) -> Outcome:
    if mode == "sync":
        with script.client() as tenios:
            return tenios.callback(handle).wait(**limits)

    async def run() -> Outcome:
        async with script.async_client() as tenios:
            return await tenios.callback(handle).wait(**limits)

    return asyncio.run(run())


MODES = ["sync", "async"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("ahead", [60.0, DAY, 1e9])
def test_handle_of_a_clock_that_is_ahead_is_polled_after_the_delay(mode: str, ahead: float) -> None:
    script = Script(["CALLING_A", "DISCONNECTED"])
    handle = CallbackHandle(10, delay=30, started_at=script.clock.now() + ahead)
    assert wait_for(mode, script, handle).connected
    assert script.polled_at[0] == pytest.approx(30)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("behind", [3600.0, DAY, 9e8])
def test_limits_of_a_handle_of_a_clock_that_is_behind_begin_when_it_is_picked_up(
    mode: str, behind: float
) -> None:
    script = Script(["CALLING_A"])
    handle = CallbackHandle(10, started_at=script.clock.now() - behind)
    with pytest.raises(CallbackTimeoutError, match="within 300 seconds"):
        wait_for(mode, script, handle)
    assert script.elapsed == pytest.approx(300)


@pytest.mark.parametrize("mode", MODES)
def test_limits_of_a_plausible_handle_begin_at_its_start(mode: str) -> None:
    script = Script(["CALLING_A"])
    handle = CallbackHandle(10, delay=10, started_at=script.clock.now() - 100)
    with pytest.raises(CallbackTimeoutError, match="within 300 seconds"):
        wait_for(mode, script, handle)
    assert script.elapsed == pytest.approx(210)


@pytest.mark.parametrize("jump", [-DAY, DAY])
def test_clock_that_is_set_while_a_callback_is_watched_changes_nothing(jump: float) -> None:
    """Waiting uses a monotonic clock, and the history stays in order."""
    clock = WrongClock()
    script = Script(["CALLING_A", "CALLING_B", "CONNECTED", "DISCONNECTED"])
    script.clock = clock
    with script.client() as tenios:
        callback = tenios.callback(10)
        for _ in callback.watch():
            clock.wall_offset += jump
    times = [change.observed_at for change in callback.outcome.history]
    assert times == sorted(times)
    assert times[-1] - times[0] < 60


def test_start_is_recorded_by_the_clock_as_it_is_now() -> None:
    """
    Not as it was when the program started: the machine may have slept, or its clock may have been
    set.
    """
    clock = WrongClock()
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json={"id": 10}))
    with Tenios("KEY", CONFIG_ID, transport=transport, clock=clock) as tenios:
        clock.wall_offset = 1000
        assert tenios.start_callback(NUMBER).handle.started_at == clock.now()


@pytest.mark.parametrize("mode", MODES)
def test_caller_that_takes_long_over_a_status_gets_the_next_one(mode: str) -> None:
    """
    The call was answered after 20 seconds, so the limit of 300 has not passed, regardless of the
    caller.
    """
    simulator = Simulator(
        scenario=Scenario.answered(agent_after=5, customer_after=10, talking=1000)
    )
    seen: list[str] = []
    if mode == "sync":
        with simulator.client() as tenios:
            for status in tenios.start_callback(NUMBER).watch():
                seen.append(str(status))
                if len(seen) == 1:
                    simulator.clock.sleep(400)
    else:

        async def run() -> None:
            async with simulator.async_client() as tenios:
                callback = await tenios.start_callback(NUMBER)
                async for status in callback.watch():
                    seen.append(str(status))
                    if len(seen) == 1:
                        await simulator.clock.async_sleep(400)

        asyncio.run(run())
    assert seen == ["REQUESTED", "CONNECTED", "DISCONNECTED"]


def test_slow_caller_of_watch_many_gets_the_next_statuses() -> None:
    simulator = Simulator(
        scenario=Scenario.answered(agent_after=5, customer_after=10, talking=1000)
    )

    async def run() -> list[tuple[str | None, Exception | None]]:
        seen: list[tuple[str | None, Exception | None]] = []
        async with simulator.async_client() as tenios:
            handle = (await tenios.start_callback(NUMBER)).handle
            async for update in tenios.watch_many([handle]):
                seen.append((update.status, update.error))
                if len(seen) == 1:
                    await simulator.clock.async_sleep(400)
        return seen

    assert asyncio.run(run()) == [("REQUESTED", None), ("CONNECTED", None), ("DISCONNECTED", None)]
