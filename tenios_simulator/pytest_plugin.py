"""
The pytest plugin: fixtures with a simulator, and a guard that keeps tests from calling real phones
by accident.

pytest finds it through its entry point. A test that tries to reach api.tenios.com fails with an
error that names the fixture to use, unless it is marked with ``@pytest.mark.tenios_live``.

The guard refuses name resolution, connections and TLS, also through a proxy, and also after a test
or another plugin has replaced Python's functions for them, as gevent does. It stays in the process
after the test run. It does not see libraries that connect in native code. Our own clients also
refuse in programs that a test starts, which inherit the environment variable TENIOS_OFFLINE.

The plugin is loaded in each test run on a machine where the distribution is installed, so it
imports only what the guard needs.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

import tenios_simulator as _package  # imports its modules on first use

from ._pytest_guard import GUARD, HINT, HOST, MARK, ReachedTeniosError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from tenios_ext import AsyncTenios, Tenios
    from tenios_simulator import ClientSettings, Simulator


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark and start the guard."""
    config.addinivalue_line(
        "markers",
        f"{MARK}: allow the test to reach {HOST}, which calls real phones and costs money.",
    )
    GUARD.start()
    config.add_cleanup(GUARD.end)


def pytest_collectstart() -> None:
    """Renew the guard, since importing the last test module may have replaced what it wraps."""
    GUARD.renew()


def pytest_collection_finish() -> None:
    """Renew the guard after the last test module."""
    GUARD.renew()


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup() -> Generator[None, object, object]:
    """Renew the guard, since another fixture may have replaced what it wraps."""
    GUARD.renew()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Open the guard for a marked test and its fixtures."""
    with GUARD.during_test(is_live=item.get_closest_marker(MARK) is not None):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None]:
    """Fail the test if a fixture was refused, even if it has caught the error."""
    yield from _fail_if_refused()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None]:
    """Fail the test if it was refused, even in a thread, a fork or behind a bare ``except``."""
    yield from _fail_if_refused()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Generator[None]:
    """
    Fail the test if the end of a fixture was refused, or a thread that the test has left behind.
    """
    yield from _fail_if_refused()


def _fail_if_refused() -> Generator[None]:
    GUARD.renew()
    try:
        yield
    except BaseException as error:
        if GUARD.pop_refused():
            error.add_note(HINT)
        raise
    if GUARD.pop_refused():
        raise ReachedTeniosError(HINT, pytrace=False)


@pytest.fixture
def tenios_simulator() -> Simulator:
    """
    A simulator with virtual time: set scenarios, inject faults and see which numbers were called.
    """
    return _package.Simulator()


@pytest.fixture
def tenios_settings() -> ClientSettings:
    """
    The settings of ``tenios`` and ``async_tenios``. Override it to return those of your
    application, such as ``{"region": "DE"}``.
    """
    return {}


@pytest.fixture
def tenios(tenios_simulator: Simulator, tenios_settings: ClientSettings) -> Iterator[Tenios]:
    """A client that is connected to ``tenios_simulator``, with ``tenios_settings``."""
    with _without_client_settings():
        client = tenios_simulator.client(**tenios_settings)
    with client as tenios:
        yield tenios


@pytest.fixture
def async_tenios(
    tenios_simulator: Simulator, tenios_settings: ClientSettings
) -> Iterator[AsyncTenios]:
    """A client for asyncio that is connected to ``tenios_simulator``, with ``tenios_settings``."""
    import asyncio  # takes long to import; see the module's docstring

    with _without_client_settings():
        client = tenios_simulator.async_client(**tenios_settings)
    yield client
    # asyncio.run would remove the current event loop that a test may have set.
    loop = asyncio.new_event_loop()
    loop.run_until_complete(client.aclose())
    loop.close()


@contextmanager
def _without_client_settings() -> Iterator[None]:
    """Hide the developer's own region and allowed numbers."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("TENIOS_ALLOWED_NUMBERS", "TENIOS_ALLOWED_REGIONS", "TENIOS_REGION"):
            patch.delenv(name, raising=False)
        yield
