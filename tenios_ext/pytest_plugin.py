"""
For test suites: the simulator as fixtures, and a guard that keeps tests from reaching TENIOS by accident.

pytest finds it by its entry point. While tests run, whoever tries to reach api.tenios.com fails with an error that names the
fixture to use; ``@pytest.mark.tenios_live`` lets a test through that is meant to ring real telephones.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from .settings import SERVICE
from .transport import Network

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from _pytest.outcomes import Failed

    from .client import AsyncTenios, Tenios
    from .simulator import Simulator

if not TYPE_CHECKING:
    Failed = pytest.fail.Exception  # the public name, which type checkers take for no class

_HOST = urlsplit(SERVICE).hostname or ""
_MARK = "tenios_live"
_HINT = (
    f"A test tried to reach {_HOST}, and nothing was sent. Use the fixture `tenios` or `async_tenios` (or the transport and "
    f"the clock of `tenios_simulator`); or mark a test that is meant to ring real telephones with @pytest.mark.{_MARK}."
)


class ReachedTeniosError(Failed):
    """A test tried to reach TENIOS. No ``except Exception`` holds it: the test fails whatever the code under test does."""

    def add_note(self, note: str) -> None:
        """Nothing: what an interrupted dial is told about, that telephones may ring, is not so here."""


class Guard:
    """Stands in the way to TENIOS."""

    def __init__(self) -> None:
        self.open = False
        self._patch = pytest.MonkeyPatch()

    def start(self) -> None:
        """Refuse to look TENIOS's address up, and to reach it through a proxy."""
        look_up, proxy = socket.getaddrinfo, Network.proxy

        def guarded_look_up(host: Any, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - the socket module's own
            name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
            if isinstance(name, str) and name.rstrip(".").lower() == _HOST:
                self.refuse()
            return look_up(host, *arguments, **options)

        def guarded_proxy(network: Network) -> str | None:
            found = proxy(network)
            if found is not None and urlsplit(network.settings.base_url).hostname == _HOST:
                self.refuse()
            return found

        self._patch.setattr(socket, "getaddrinfo", guarded_look_up)
        self._patch.setattr(Network, "proxy", guarded_proxy)
        # Other clients than ours look the address up themselves, unless a proxy does it for them.
        for name in ("no_proxy", "NO_PROXY"):
            self._patch.setenv(name, ",".join(filter(None, [os.environ.get(name), _HOST])))

    def stop(self) -> None:
        """Stand aside for good."""
        self._patch.undo()

    def refuse(self) -> None:
        """Fail the test that runs, unless it may reach TENIOS."""
        if not self.open:
            raise ReachedTeniosError(_HINT, pytrace=True)


_GUARD = pytest.StashKey[Guard]()


def pytest_configure(config: pytest.Config) -> None:
    """Set the guard up, and make the mark known."""
    config.addinivalue_line(
        "markers", f"{_MARK}: lets the test reach {_HOST}, which rings real telephones and costs money."
    )
    config.stash[_GUARD] = Guard()
    config.stash[_GUARD].start()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave everything as it was."""
    config.stash[_GUARD].stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Stand aside for a test that is marked, its fixtures included."""
    guard = item.config.stash[_GUARD]
    guard.open = item.get_closest_marker(_MARK) is not None
    try:
        return (yield)
    finally:
        guard.open = False


@pytest.fixture
def tenios_simulator() -> Simulator:
    """TENIOS in process, with virtual time: what happens in a call, what goes wrong, and what was dialled."""
    try:
        from .simulator import Simulator  # noqa: PLC0415 - an extra, and a test run that does not use it does not wait for it
    except ModuleNotFoundError as error:
        pytest.fail(f"The fixture needs {error.name}, which is in an extra: pip install 'tenios-callback[simulator]'")
    return Simulator()


@pytest.fixture
def tenios(tenios_simulator: Simulator) -> Iterator[Tenios]:
    """A client of ``tenios_simulator``."""
    with tenios_simulator.client() as tenios:
        yield tenios


@pytest.fixture
def async_tenios(tenios_simulator: Simulator) -> Iterator[AsyncTenios]:
    """A client of ``tenios_simulator`` for asyncio."""
    import asyncio  # noqa: PLC0415 - a test run that does not use it does not wait for it

    client = tenios_simulator.async_client()
    yield client
    # Not asyncio.run, which would leave the test run without the current loop that others may have set.
    loop = asyncio.new_event_loop()
    loop.run_until_complete(client.aclose())
    loop.close()
