"""A simulator that is served once for each module, and is as good as new for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.dialling import CONFIG_ID
from support.serving import serving

from tenios_ext.simulator import ACCESS_KEY, CALLBACK_CONFIG_ID, Simulator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tenios_ext.simulator.server import Server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving(Simulator(accounts={ACCESS_KEY: [CALLBACK_CONFIG_ID, CONFIG_ID]})) as server:
        yield server


@pytest.fixture
def simulator(server: Server) -> Simulator:
    """As if it had just been started, but for its ids; its time is the test's."""
    server.simulator.reset()
    return server.simulator
