from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tenios_simulator import ACCESS_KEY, Server, Simulator

TENIOS = Path(sys.executable).with_name("tenios")
Simulate = Callable[..., tuple[subprocess.Popen[str], str]]


@pytest.fixture
def http(server: Server, simulator: Simulator) -> Iterator[httpx.Client]:
    """An HTTP client of the server after a reset of its simulator."""
    # verify=False: certificates would be loaded for each test, and there is no TLS here.
    with httpx.Client(base_url=server.address, verify=False) as http:
        yield http


@pytest.fixture
def _client_environment(monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    monkeypatch.setenv("TENIOS_ACCESS_KEY", ACCESS_KEY)
    monkeypatch.setenv("TENIOS_BASE_URL", server.address)


@pytest.fixture
def simulate() -> Iterator[Simulate]:
    """Starts ``tenios simulate``, and returns the process and its URL."""
    processes = []

    def start(*arguments: str) -> tuple[subprocess.Popen[str], str]:
        command = [str(TENIOS), "simulate", "--port", "0", *arguments]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        processes.append(process)
        assert process.stdout is not None
        return process, process.stdout.readline().strip().partition("=")[2]

    yield start
    for process in processes:
        process.kill()
        process.communicate()
