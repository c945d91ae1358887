from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cli.command import CLOCK
from support.serving import serving

from tenios_simulator import ACCESS_KEY, CALLBACK_CONFIG_ID, Simulator
from tenios_simulator._clocks import ScaledClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tenios_ext import Clock


def _served(clock: Clock) -> Iterator[dict[str, str]]:
    with serving(Simulator(clock=clock)) as server:
        yield {
            "TENIOS_BASE_URL": server.address,
            "TENIOS_ACCESS_KEY": ACCESS_KEY,
            "TENIOS_CALLBACK_CONFIG_ID": CALLBACK_CONFIG_ID,
        }


@pytest.fixture
def simulator() -> Iterator[dict[str, str]]:
    """The settings for a simulator, for commands in this process, which share its clock."""
    yield from _served(CLOCK)


@pytest.fixture
def fast_simulator() -> Iterator[dict[str, str]]:
    """The settings for a simulator that is ten times faster than real time."""
    yield from _served(ScaledClock(10))
