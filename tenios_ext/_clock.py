"""The clock that the clients use, so that a test can replace it."""

from __future__ import annotations

import time
from typing import Any, Protocol

from ._checks import MAX_TIME, is_number, shown
from ._exceptions import ConfigurationError

# time.sleep takes no more than 292 years, and no infinity.
_MAX_SLEEP = 1e9


class Clock(Protocol):
    """Tells the time and waits."""

    def now(self) -> float:
        """
        Return the seconds since the epoch, as the machine's clock shows them. It may be set back.
        """
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back, to measure how long something takes."""
        ...

    def sleep(self, seconds: float) -> None:
        """Block the thread for this many seconds."""
        ...

    async def async_sleep(self, seconds: float) -> None:
        """Wait for this many seconds, and let other tasks run meanwhile."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        """Return the seconds since the epoch."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(min(seconds, _MAX_SLEEP))

    async def async_sleep(self, seconds: float) -> None:
        """Wait, and let other tasks run meanwhile."""
        import asyncio  # imported by every caller of this method already, and by no one else

        await asyncio.sleep(min(seconds, _MAX_SLEEP))


SYSTEM_CLOCK = SystemClock()

#: Unlike time.monotonic on Linux, these count the time during which the machine sleeps.
_COUNTING = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))


def running_time() -> float:
    """Return seconds that never go back, and that pass while the machine sleeps, too."""
    return time.monotonic() if _COUNTING is None else time.clock_gettime(_COUNTING)


class CheckedClock:
    """
    A clock of the caller's, whose times are numbers.

    Raises:
        ConfigurationError: It is no clock, or it returns something else.
    """

    def __init__(self, clock: Any) -> None:
        names = ("now", "monotonic", "sleep", "async_sleep")
        if not all(callable(getattr(clock, name, None)) for name in names):
            raise ConfigurationError(
                f"clock must have the methods {', '.join(names)}, got {type(clock).__name__}."
            )
        self._clock: Clock = clock
        self.sleep = clock.sleep
        self.async_sleep = clock.async_sleep

    def now(self) -> float:
        return _checked("now", self._clock.now())

    def monotonic(self) -> float:
        return _checked("monotonic", self._clock.monotonic())


def _checked(name: str, seconds: Any) -> float:
    if is_number(seconds) and -MAX_TIME < seconds < MAX_TIME:
        return float(seconds)
    raise ConfigurationError(f"clock.{name}() must return seconds, got {shown(seconds)}.")
