"""The clock of a client. Tests can replace it."""

from __future__ import annotations

import time
from typing import Any, Protocol

from ._checks import MAX_TIME, is_number, shown
from ._exceptions import ConfigurationError

# time.sleep does not accept infinity or more than 292 years.
_MAX_SLEEP = 1e9


class Clock(Protocol):
    """The clock of a client."""

    def now(self) -> float:
        """Return the seconds since the epoch, by a clock that may be set back."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never decrease, to measure durations."""
        ...

    def sleep(self, seconds: float) -> None:
        """Block the thread for a number of seconds."""
        ...

    async def async_sleep(self, seconds: float) -> None:
        """Wait for a number of seconds while other tasks run."""
        ...


class SystemClock:
    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(min(seconds, _MAX_SLEEP))

    async def async_sleep(self, seconds: float) -> None:
        import asyncio  # Its callers have already imported it.

        await asyncio.sleep(min(seconds, _MAX_SLEEP))


SYSTEM_CLOCK = SystemClock()

#: Unlike time.monotonic on Linux, these include the time during which the machine sleeps.
_COUNTING = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))


def running_time() -> float:
    """Return seconds that never decrease and also count while the machine sleeps."""
    return time.monotonic() if _COUNTING is None else time.clock_gettime(_COUNTING)


class CheckedClock:
    """
    Checks the times that the caller's clock returns.

    Raises:
        ConfigurationError: A method is missing or returns something other than a number.
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
