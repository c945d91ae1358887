from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=["without a key", "with a key"])
def with_and_without_key(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run a test without and with a key and a ledger; see ``clients.new_key``."""
    if request.param == "with a key":
        monkeypatch.setenv("TENIOS_LEDGER", f"sqlite:///{tmp_path}/callbacks.db")
