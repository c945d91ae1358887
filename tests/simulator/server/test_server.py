"""The settings of the server and of ``tenios simulate``."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tenios_cli._main import main
from tenios_simulator import Server, Simulator

TENIOS = Path(sys.executable).with_name("tenios")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_address_has_the_host_it_listens_on(host: str) -> None:
    server = Server(Simulator(), host=host)
    server._listener.close()
    assert re.fullmatch(rf"http://{host}:[1-9]\d*", server.address)


def test_address_of_server_on_all_interfaces_is_loopback() -> None:
    server = Server(Simulator(), host="0.0.0.0")
    server._listener.close()
    assert server.address.startswith("http://127.0.0.1:")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"port": 65_536}, "port must be from 0 to 65535, got 65536."),
        ({"port": -1}, "port must be from 0 to 65535, got -1."),
        ({"host": ""}, "host must not be empty."),
        *(
            ({"allowed_hosts": [name]}, f"got {name!r}.")
            for name in ("", " ", "a/b", "simulator:8311", "http://simulator", "[::1]")
        ),
    ],
    ids=str,
)
def test_invalid_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Server(Simulator(), **settings)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--speed", "nan"],
        ["--speed", "inf"],
        ["--speed", "1e308"],
        ["--host", ""],
        ["--allow-host", "http://simulator"],
        ["--port", "65536"],
    ],
    ids=str,
)
def test_simulate_reports_invalid_settings_in_one_line(arguments: list[str]) -> None:
    ran = CliRunner().invoke(main, ["simulate", *arguments])
    assert ran.exit_code == 2
    assert ran.stderr.splitlines()[-1].startswith("Error: ")


def test_simulate_ends_quietly_if_its_output_is_closed() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command: list[str | Path] = [TENIOS, "simulate", "--port", "0"]
    ran = subprocess.run(
        command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False, timeout=60
    )
    os.close(writing)
    assert (ran.returncode, ran.stderr) == (1, "")
