from __future__ import annotations

import asyncio
import time
from contextlib import suppress

import pytest

from tenios_simulator import ScaledClock, VirtualClock


@pytest.mark.parametrize("speed", [0, -1, float("nan"), float("inf"), 1e7])
def test_scaled_clock_refuses_an_invalid_speed(speed: float) -> None:
    with pytest.raises(
        ValueError, match="speed must be a number greater than 0 and at most 1000000, got "
    ):
        ScaledClock(speed)


def test_scaled_clock_begins_with_the_wall_time_and_passes_faster(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(time, "time", lambda: 2_000_000_000.0)
    monkeypatch.setattr(time, "monotonic", lambda: 50.0)
    clock = ScaledClock(10)
    assert (clock.now(), clock.monotonic()) == (2_000_000_000, 0)
    monkeypatch.setattr(time, "monotonic", lambda: 53.0)
    assert (clock.now(), clock.monotonic()) == (2_000_000_030, 30)


def test_scaled_clock_does_not_go_back_when_the_wall_clock_is_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = ScaledClock(1)
    before = clock.now()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert clock.now() >= before


def test_monotonic_time_of_a_virtual_clock_is_its_time() -> None:
    clock = VirtualClock()
    clock.sleep(600)
    assert clock.monotonic() == clock.now()


def test_sleep_of_a_virtual_clock_advances_it() -> None:
    clock = VirtualClock()
    start = clock.now()
    clock.sleep(600)
    clock.advance(60)
    assert clock.now() == start + 660
    clock.advance_to(start + 700)
    clock.advance_to(start)  # does not go back
    assert clock.now() == start + 700


def test_tasks_wake_in_order_and_on_time() -> None:
    clock = VirtualClock()
    start = clock.now()
    woken: list[float] = []

    async def sleep_three_times(seconds: float) -> None:
        for _ in range(3):
            asleep_since = clock.now()
            await clock.async_sleep(seconds)
            assert clock.now() == pytest.approx(asleep_since + seconds)
            woken.append(clock.now())

    async def run() -> None:
        await asyncio.gather(
            *(sleep_three_times(1 + (number * 7919 % 1000) / 100) for number in range(1000))
        )

    asyncio.run(run())
    assert len(woken) == 3000
    assert woken == sorted(woken)
    assert woken[-1] == pytest.approx(start + 3 * 10.99)


def test_time_does_not_pass_before_a_new_task_has_begun_a_shorter_sleep() -> None:
    clock = VirtualClock()
    start = clock.now()

    async def run() -> tuple[float, float]:
        async def sleep_in_a_new_task() -> float:
            await asyncio.create_task(clock.async_sleep(1))
            return clock.now() - start

        async def sleep_long() -> float:
            await clock.async_sleep(10)
            return clock.now() - start

        return await asyncio.gather(sleep_long(), sleep_in_a_new_task())

    assert tuple(asyncio.run(run())) == (10, 1)


def test_cancelled_sleep_takes_no_time() -> None:
    clock = VirtualClock()
    start = clock.now()

    async def run() -> None:
        for _ in range(1000):
            sleep = asyncio.create_task(clock.async_sleep(3600))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            sleep.cancel()
            with suppress(asyncio.CancelledError):
                await sleep
        await clock.async_sleep(5)

    asyncio.run(run())
    assert clock.now() == start + 5


def test_repeatedly_cancelled_sleeps_do_not_stop_the_time() -> None:
    """A task that polls with a timeout must not keep another task from waking."""
    clock = VirtualClock()
    start = clock.now()

    async def run() -> None:
        sleep = asyncio.create_task(clock.async_sleep(3600))
        while not sleep.done():
            tick = asyncio.create_task(clock.async_sleep(1))
            await asyncio.wait({tick}, timeout=0)
            tick.cancel()

    asyncio.run(asyncio.wait_for(run(), 60))
    assert clock.now() == start + 3600


@pytest.mark.parametrize("seconds", [float("inf"), float("nan"), -1, 1e10, 1e17, 1.7e308])
def test_virtual_clock_neither_goes_back_nor_beyond_its_end(seconds: float) -> None:
    """With larger floats, short sleeps would no longer advance the clock."""
    clock = VirtualClock()
    start = clock.now()
    for pass_time in (clock.sleep, clock.advance):
        with pytest.raises(
            ValueError,
            match=r"The clock cannot advance (by|to)",
        ):
            pass_time(seconds)
    # As with asyncio, a negative sleep returns at once, and a past time is not an error.
    if seconds < 0:
        asyncio.run(clock.async_sleep(seconds))
        clock.advance_to(start + seconds)
    else:
        with pytest.raises(ValueError, match="The clock cannot advance to"):
            asyncio.run(clock.async_sleep(seconds))
        with pytest.raises(ValueError, match="The clock cannot advance to"):
            clock.advance_to(start + seconds)
    assert clock.now() == start


def test_sleep_in_a_closed_event_loop_is_dropped() -> None:
    """It must neither delay sleeps in the next loop nor advance the clock."""
    clock = VirtualClock()
    start = clock.now()
    loop = asyncio.new_event_loop()
    # asyncio reports a task that is deleted while it is pending.
    loop.set_exception_handler(lambda *_: None)
    left = loop.create_task(clock.async_sleep(1))
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    asyncio.run(clock.async_sleep(5))
    assert clock.now() == start + 5
    assert not left.done()
