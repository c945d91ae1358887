"""Prism as a mock server and as a validating proxy."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
_PRISM = ROOT / "tools/node_modules/.bin/prism"
_START_SECONDS = 60
_LOG_SECONDS = 10


class Prism:
    def __init__(self, url: str, log: Path) -> None:
        self.url = url
        self._log = log

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def logs(self, text: str) -> bool:
        """
        Return whether Prism prints *text*. Waits, because it logs only after it has responded.
        """
        give_up = time.monotonic() + _LOG_SECONDS
        while text not in self.log().lower():
            if time.monotonic() > give_up:
                return False
        return True


def prism_mock(contract: Path, *options: str) -> AbstractContextManager[Prism]:
    """Run Prism as a server that responds with the examples in *contract*."""
    return _running("mock", str(contract), *options)


def prism_proxy(contract: Path, upstream: str) -> AbstractContextManager[Prism]:
    """
    Run Prism as a proxy for *upstream* that responds with an error to a violation of *contract*.
    """
    return _running("proxy", str(contract), upstream, "--errors")


@contextmanager
def _running(*arguments: str) -> Iterator[Prism]:
    if shutil.which("node") is None or not _PRISM.exists():
        pytest.fail("Prism not found. Install Node.js 20.19 or later, then run: make install")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    kind, *rest = arguments
    command = [str(_PRISM), kind, "--host", "127.0.0.1", "--port", str(port), *rest]
    with tempfile.TemporaryDirectory() as folder:
        server = Prism(f"http://127.0.0.1:{port}", Path(folder) / "log")
        with (
            server._log.open("w") as log,
            # In a new session, so that Prism's child processes are killed with it.
            subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            ) as process,
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
