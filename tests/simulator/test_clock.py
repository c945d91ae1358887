"""Virtual time, as tasks that sleep see it."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from tenios_ext.simulator import VirtualClock


def test_tasks_wake_in_the_order_of_their_times() -> None:
    """However many sleep at once, each wakes when its time has come, and not a moment later."""
    clock = VirtualClock()
    beginning = clock.now()
    woken: list[float] = []

    async def sleeper(seconds: float) -> None:
        for _ in range(3):
            asleep_since = clock.now()
            await clock.async_sleep(seconds)
            assert clock.now() == pytest.approx(asleep_since + seconds)
            woken.append(clock.now())

    async def run() -> None:
        await asyncio.gather(*(sleeper(1 + (number * 7919 % 1000) / 100) for number in range(1000)))

    asyncio.run(run())
    assert len(woken) == 3000
    assert woken == sorted(woken)
    assert woken[-1] == pytest.approx(beginning + 3 * 10.99)


def test_sleep_in_a_task_of_its_own_is_not_overtaken() -> None:
    """A task that is about to begin a shorter sleep gets there before time passes."""
    clock = VirtualClock()
    beginning = clock.now()

    async def run() -> tuple[float, float]:
        async def short() -> float:
            await asyncio.create_task(clock.async_sleep(1))
            return clock.now() - beginning

        async def long() -> float:
            await clock.async_sleep(10)
            return clock.now() - beginning

        return await asyncio.gather(long(), short())

    assert tuple(asyncio.run(run())) == (10, 1)


def test_cancelled_sleep_takes_no_time() -> None:
    """Whoever gives up waiting lets no time pass."""
    clock = VirtualClock()
    beginning = clock.now()

    async def run() -> None:
        for _ in range(1000):
            sleeping = asyncio.create_task(clock.async_sleep(3600))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            sleeping.cancel()
            with suppress(asyncio.CancelledError):
                await sleeping
        await clock.async_sleep(5)

    asyncio.run(run())
    assert clock.now() == beginning + 5


def test_time_passes_while_somebody_looks_again_and_again() -> None:
    """A sleep that is given up, time after time, keeps nobody else from waking; in the end nor does it last for ever itself."""
    clock = VirtualClock()
    beginning = clock.now()

    async def run() -> None:
        sleeping = asyncio.create_task(clock.async_sleep(3600))
        while not sleeping.done():
            tick = asyncio.create_task(clock.async_sleep(1))
            await asyncio.wait({tick}, timeout=0)
            tick.cancel()

    asyncio.run(asyncio.wait_for(run(), 60))
    assert clock.now() == beginning + 3600


@pytest.mark.parametrize("seconds", [float("inf"), float("nan"), -1, 1e10, 1e17, 1.7e308])
def test_time_neither_stops_nor_goes_back(seconds: float) -> None:
    """After an endless sleep no time would be left for anybody."""
    clock = VirtualClock()
    beginning = clock.now()
    for pass_time in (clock.sleep, clock.advance):
        with pytest.raises(ValueError, match=r"Time goes on|A virtual clock goes until"):
            pass_time(seconds)
    with suppress(ValueError):  # A negative sleep is none, as asyncio has it.
        asyncio.run(clock.async_sleep(seconds))
    with suppress(ValueError):  # Nor is what is over already an error.
        clock.advance_to(seconds + beginning)
    assert clock.now() == beginning


def test_task_that_a_closed_loop_left_behind_is_forgotten() -> None:
    """Its sleep neither holds anybody else up nor lets time pass."""
    clock = VirtualClock()
    beginning = clock.now()
    loop = asyncio.new_event_loop()
    left = loop.create_task(clock.async_sleep(1))
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    asyncio.run(clock.async_sleep(5))
    assert clock.now() == beginning + 5
    assert not left.done()
    left._log_destroy_pending = False  # type: ignore[attr-defined] # asyncio's own way to say that this is meant
