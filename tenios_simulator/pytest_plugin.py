"""
The pytest plugin: fixtures with a simulator, and a guard against calls to real phones.

A test that tries to reach api.tenios.com fails with an error that names the fixture to use, unless
it is marked with ``@pytest.mark.tenios_live``. ``_pytest_guard`` describes how.

pytest loads the plugin wherever the distribution is installed, so it imports only what the guard
needs.
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
    """Renew the guard, because importing a test module may have replaced what it wraps."""
    GUARD.renew()


def pytest_collection_finish() -> None:
    """Renew the guard after the last test module has been imported."""
    GUARD.renew()


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup() -> Generator[None, object, object]:
    """Renew the guard, because another fixture may have replaced what it wraps."""
    GUARD.renew()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Allow connections in a marked test and its fixtures."""
    with GUARD.during_test(is_live=item.get_closest_marker(MARK) is not None):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None]:
    """Fail the test if a fixture was refused, even if the fixture caught the error."""
    yield from _fail_if_refused()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None]:
    """Fail the test if it was refused, even in a thread, a fork or behind a bare ``except``."""
    yield from _fail_if_refused()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Generator[None]:
    """Fail the test if the teardown of a fixture, or a thread of the test, was refused."""
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
    """A simulator with virtual time: set scenarios, inject faults, inspect what was called."""
    return _package.Simulator()


@pytest.fixture
def tenios_settings() -> ClientSettings:
    """
    The settings of ``tenios`` and ``async_tenios``. Override it to test with those of your
    application, such as ``{"region": "DE"}``.
    """
    return {}


@pytest.fixture
def tenios(tenios_simulator: Simulator, tenios_settings: ClientSettings) -> Iterator[Tenios]:
    """A ``Tenios`` client of ``tenios_simulator``, with ``tenios_settings``."""
    with _without_client_settings():
        client = tenios_simulator.client(**tenios_settings)
    with client as tenios:
        yield tenios


@pytest.fixture
def async_tenios(
    tenios_simulator: Simulator, tenios_settings: ClientSettings
) -> Iterator[AsyncTenios]:
    """An ``AsyncTenios`` client of ``tenios_simulator``, with ``tenios_settings``."""
    import asyncio  # slow to import

    with _without_client_settings():
        client = tenios_simulator.async_client(**tenios_settings)
    yield client
    # asyncio.run would remove an event loop that the test has set.
    loop = asyncio.new_event_loop()
    loop.run_until_complete(client.aclose())
    loop.close()


@contextmanager
def _without_client_settings() -> Iterator[None]:
    """Hide the developer's settings, which would change the results of tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("TENIOS_ALLOWED_NUMBERS", "TENIOS_ALLOWED_REGIONS", "TENIOS_REGION"):
            patch.delenv(name, raising=False)
        yield
