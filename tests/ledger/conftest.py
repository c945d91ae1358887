"""
Fixtures of the ledger's tests: a new ledger in each database, and Hypothesis without its time limit
per example.
"""

from __future__ import annotations

import faulthandler
from typing import TYPE_CHECKING

import hypothesis
import pytest
from support.clients import wait_for_recording
from support.postgresql import new_database, postgresql

from tenios_ext.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

hypothesis.settings.register_profile("no deadline", deadline=None)
hypothesis.settings.load_profile("no deadline")


@pytest.fixture(autouse=True)
def _watchdog() -> Iterator[None]:
    """
    End the process of a test that waits for a database which never responds: a failure, not a run
    without end.
    """
    faulthandler.dump_traceback_later(600, exit=True, file=2)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The URL of a PostgreSQL server."""
    with postgresql() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a new database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/callbacks.db"
    return new_database(request.getfixturevalue("server"))


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    """A new ledger."""
    with Ledger(url) as ledger:
        yield ledger
        wait_for_recording()
