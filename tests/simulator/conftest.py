from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.clients import CONFIG_ID
from support.serving import serving

from tenios_simulator import ACCESS_KEY, CALLBACK_CONFIG_ID, Simulator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tenios_simulator import Server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A simulator served over HTTP, shared by the tests of a module."""
    with serving(Simulator(accounts={ACCESS_KEY: [CALLBACK_CONFIG_ID, CONFIG_ID]})) as server:
        yield server


@pytest.fixture
def simulator(server: Server) -> Simulator:
    """The simulator of ``server`` after a reset. Its ids and time continue from test to test."""
    server.simulator.reset()
    return server.simulator
