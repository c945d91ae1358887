"""Prism serves the contract: started once, on a free port, and stopped with all its children."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

ROOT = Path(__file__).resolve().parents[2]
_START_SECONDS = 60


class Prism:
    """A running Prism."""

    def __init__(self, url: str, log: Path) -> None:
        self.url = url
        self._log = log

    def log(self) -> str:
        """What it has printed up to now."""
        return self._log.read_text(errors="replace")


@pytest.fixture(scope="session")
def contract() -> dict[str, Any]:
    """The contract as data."""
    document: dict[str, Any] = yaml.safe_load((ROOT / "openapi.yaml").read_text())
    return document


@pytest.fixture(scope="session")
def prism(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prism]:
    npx = shutil.which("npx")
    if npx is None:
        pytest.fail("Node.js is missing; Prism needs it. Install Node.js 20 or later, then run: make install")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = Prism(f"http://127.0.0.1:{port}", tmp_path_factory.mktemp("prism") / "log")
    command = [npx, "--no-install", "prism", "mock", "--host", "127.0.0.1", "--port", str(port), "openapi.yaml"]
    with (
        server._log.open("w") as log,
        # A session of its own: ending npx alone would leave its node process behind.
        subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, start_new_session=True) as process,
    ):
        try:
            _wait_for(server, process)
            yield server
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def _wait_for(server: Prism, process: subprocess.Popen[bytes]) -> None:
    give_up = time.monotonic() + _START_SECONDS
    while time.monotonic() < give_up and process.poll() is None:
        try:
            httpx.get(server.url, trust_env=False)
        except httpx.TransportError:
            continue
        return
    pytest.fail(f"Prism did not start:\n{server.log()}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show Prism's log beside the failure of a test that used it."""
    report = yield
    server = getattr(item, "funcargs", {}).get("prism")
    if report.failed and isinstance(server, Prism):
        report.sections.append(("Prism's log", server.log()[-5000:]))
    return report
