"""
For test suites: the simulator as fixtures, and a guard that keeps tests from reaching TENIOS by accident.

pytest finds it by its entry point. While tests run, whoever tries to reach api.tenios.com fails with an error that names the
fixture to use; ``@pytest.mark.tenios_live`` lets a test through that is meant to ring real telephones.

The guard stands where a name becomes an address, in Python's socket module and in uvloop, and where TLS begins, also behind a
proxy. It does not see other programs that a test starts, nor libraries whose connections are made in native code.
"""

from __future__ import annotations

import os
import socket
import ssl
from contextlib import contextmanager, suppress
from functools import wraps
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
        self._refused = False
        self._patch = pytest.MonkeyPatch()

    def start(self) -> None:
        """Refuse to look TENIOS's address up, to let a proxy do so, and to begin TLS with it."""
        for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
            self._refuse_host(socket, name, 0)
        for name in ("connect", "connect_ex"):
            self._refuse_address(socket.socket, name)
        self._refuse_host(ssl.SSLContext, "wrap_bio", 4, keyword="server_hostname")
        self._refuse_host(ssl.SSLContext, "wrap_socket", 5, keyword="server_hostname")
        with suppress(ImportError):
            import uvloop  # noqa: PLC0415 - where it is installed, somebody uses it

            self._refuse_host(uvloop.Loop, "getaddrinfo", 1)
            self._refuse_host(uvloop.Loop, "create_connection", 2)
            self._refuse_host(uvloop.Loop, "start_tls", 5, keyword="server_hostname")
            self._refuse_address(uvloop.Loop, "sock_connect")
        proxy = Network.proxy

        def guarded_proxy(network: Network) -> str | None:
            is_refused = not self.open and is_tenios(urlsplit(network.settings.base_url).hostname)
            return None if is_refused else proxy(network)

        self._patch.setattr(Network, "proxy", guarded_proxy)
        # Other clients than ours look the address up themselves, unless a proxy does it for them.
        for name in ("no_proxy", "NO_PROXY"):
            exempt = os.environ.get(name)
            if exempt != "*":  # which means all only where it stands alone
                self._patch.setenv(name, ",".join(filter(None, [exempt, _HOST])))

    def stop(self) -> None:
        """Stand aside for good."""
        self._patch.undo()

    def refuse_if_tenios(self, host: object) -> None:
        """Fail the test that runs if *host* is TENIOS's, unless it may reach it."""
        if not self.open and is_tenios(host):
            self._refused = True
            raise ReachedTeniosError(_HINT, pytrace=True)

    def refused(self) -> bool:
        """Whether somebody was refused since this was last asked."""
        refused, self._refused = self._refused, False
        return refused

    def _refuse_host(self, owner: object, name: str, position: int, *, keyword: str = "host") -> None:
        """Look at the host that *owner*'s function is given by name or at *position*."""
        original = getattr(owner, name)

        @wraps(original)
        def guarded(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - the function's own
            self.refuse_if_tenios(options[keyword] if keyword in options else next(iter(arguments[position:]), None))
            return original(*arguments, **options)

        self._patch.setattr(owner, name, guarded)

    def _refuse_address(self, owner: type, name: str) -> None:
        """Look at the last argument of *owner*'s method, whose first part is the host."""
        original = getattr(owner, name)

        @wraps(original)
        def guarded(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - the method's own
            address = options.get("address", arguments[-1])
            self.refuse_if_tenios(address[0] if isinstance(address, tuple) and address else None)
            return original(*arguments, **options)

        self._patch.setattr(owner, name, guarded)


def is_tenios(host: object) -> bool:
    """Whether *host* is TENIOS's name, as a socket takes it."""
    name = host.decode("ascii", "replace") if isinstance(host, bytes | bytearray) else host
    return isinstance(name, str) and name.rstrip(".").lower() == _HOST


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
    guard = config.stash.get(_GUARD, None)  # None where another plugin's failure has ended the run before it began
    if guard is not None:
        guard.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Stand aside for a test that is marked, its fixtures included."""
    guard = item.config.stash[_GUARD]
    guard.open = item.get_closest_marker(_MARK) is not None
    try:
        return (yield)
    finally:
        guard.open = False


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None]:
    """Fail where a fixture was refused and nobody noticed."""
    yield from _failing_if_refused(item)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Fail where a test was refused and nobody noticed, as in a thread or behind a bare ``except``."""
    yield from _failing_if_refused(item)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None]:
    """Fail where a fixture was refused at its end, or a thread that outlived its test, and nobody noticed."""
    yield from _failing_if_refused(item)


def _failing_if_refused(item: pytest.Item) -> Generator[None]:
    guard = item.config.stash[_GUARD]
    try:
        yield
    except BaseException as error:
        if guard.refused():
            error.add_note(_HINT)
        raise
    if guard.refused():
        raise ReachedTeniosError(_HINT, pytrace=False)


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
    with _settings_of_nobody():
        client = tenios_simulator.client()
    with client as tenios:
        yield tenios


@pytest.fixture
def async_tenios(tenios_simulator: Simulator) -> Iterator[AsyncTenios]:
    """A client of ``tenios_simulator`` for asyncio."""
    import asyncio  # noqa: PLC0415 - a test run that does not use it does not wait for it

    with _settings_of_nobody():
        client = tenios_simulator.async_client()
    yield client
    # Not asyncio.run, which would leave the test run without the current loop that others may have set.
    loop = asyncio.new_event_loop()
    loop.run_until_complete(client.aclose())
    loop.close()


@contextmanager
def _settings_of_nobody() -> Iterator[None]:
    """Whose machine it is makes no difference: a region or a list of allowed numbers in the environment is not a test's."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("TENIOS_ALLOWED_NUMBERS", "TENIOS_REGION"):
            patch.delenv(name, raising=False)
        yield
