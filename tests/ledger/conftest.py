"""A new ledger in each database."""

from __future__ import annotations

import faulthandler
from typing import TYPE_CHECKING

import hypothesis
import psycopg
import pytest
from support.clients import wait_for_recording
from support.faults import FaultServer
from support.ledgers import Placing, ledger_in_memory
from support.postgresql import postgresql

from tenios_ext.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

hypothesis.settings.register_profile("no deadline", deadline=None)
hypothesis.settings.load_profile("no deadline")


@pytest.fixture(autouse=True)
def _watchdog() -> Iterator[None]:
    """End the process of a test that waits for an unresponsive database, so that the run ends."""
    faulthandler.dump_traceback_later(600, exit=True, file=2)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(autouse=True)
def _no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for a concurrent call with the same key."""
    monkeypatch.setattr("tenios_ext.ledger._claim.WAIT_SECONDS", 0.0)


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    with postgresql() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/callbacks.db"
    server: str = request.getfixturevalue("server")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    return server


@pytest.fixture
def sqlite_ledger() -> Iterator[Ledger]:
    """A new ledger, for tests that do not depend on the database."""
    with ledger_in_memory() as ledger:
        yield ledger


@pytest.fixture(params=["sync", "async"])
def mode(request: pytest.FixtureRequest) -> str:
    """The clients, of which the async one uses the ledger in threads."""
    return str(request.param)


@pytest.fixture
def tenios() -> Iterator[FaultServer]:
    with FaultServer(Placing()) as server:
        yield server


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    with Ledger(url) as ledger:
        yield ledger
        wait_for_recording()
