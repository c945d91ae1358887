from __future__ import annotations

import json
import signal
import socket
import subprocess
from typing import TYPE_CHECKING

import httpx
from cli.command import TENIOS, environment, tenios

from tenios_ext import Tenios
from tenios_simulator import ACCESS_KEY, CALLBACK_CONFIG_ID

if TYPE_CHECKING:
    from pathlib import Path


def test_simulate_as_json_prints_the_variables_and_ends_on_ctrl_c() -> None:
    command: list[str | Path] = [TENIOS, "simulate", "--port", "0", "--json"]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, env=environment(), stdout=pipe, stderr=pipe, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        variables = json.loads(process.stdout.readline())
        assert list(variables) == [
            "TENIOS_BASE_URL",
            "TENIOS_ACCESS_KEY",
            "TENIOS_CALLBACK_CONFIG_ID",
        ]
        assert httpx.get(variables["TENIOS_BASE_URL"]).status_code == 200
        process.send_signal(signal.SIGINT)
        assert process.wait() == 0
        assert process.stderr.read() == ""


def test_simulate_prints_its_access_key_in_a_shell_that_has_it() -> None:
    """It is not secret."""
    command: list[str | Path] = [TENIOS, "simulate", "--port", "0"]
    with subprocess.Popen(
        command,
        env=environment({"TENIOS_ACCESS_KEY": ACCESS_KEY}),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3)]
        process.terminate()
    assert process.returncode == 0
    assert lines[1] == f"export TENIOS_ACCESS_KEY={ACCESS_KEY}\n"


def test_simulate_gives_other_ids_after_a_restart() -> None:
    """A stored id must not refer to another callback."""
    ids = []
    for _ in range(2):
        command: list[str | Path] = [TENIOS, "simulate", "--port", "0", "--json"]
        with subprocess.Popen(
            command, env=environment(), stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            url = json.loads(process.stdout.readline())["TENIOS_BASE_URL"]
            with Tenios(ACCESS_KEY, CALLBACK_CONFIG_ID, base_url=url) as client:
                ids.append(client.start_callback("+49 30 23125 100").id)
            process.terminate()
    assert ids[0] != ids[1]


def test_simulate_on_a_port_in_use_suggests_port_0() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = tenios("simulate", "--port", port)
    assert result.returncode == 1
    assert result.stderr == (
        f"Cannot listen on 127.0.0.1, port {port}: Address already in use. Use --port 0 to pick a "
        "free one.\n"
    )


def test_simulate_on_an_address_of_another_machine_does_not_suggest_another_port() -> None:
    result = tenios("simulate", "--host", "192.0.2.1", "--port", "0")
    assert result.returncode == 1
    assert "Cannot listen on 192.0.2.1" in result.stderr
    assert "--port 0 for" not in result.stderr


def test_simulate_with_an_invalid_speed_is_wrong_usage() -> None:
    result = tenios("simulate", "--port", "0", "--speed", "0")
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].startswith("Error: --speed must be")
