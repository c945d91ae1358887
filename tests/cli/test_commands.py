"""The `tenios` command as a program, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
TENIOS = Path(sys.executable).with_name("tenios")


@pytest.fixture
def simulator() -> Iterator[dict[str, str]]:
    """The settings of a running `tenios simulate`, ten times as fast as life."""
    command: list[str | Path] = [TENIOS, "simulate", "--port", "0", "--speed", "10"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline().strip().removeprefix("export ") for _ in range(3)]
            yield dict(line.split("=", 1) for line in lines)
        finally:
            process.terminate()


def call(*arguments: str, settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command: list[str | Path] = [TENIOS, "call", *arguments]
    return subprocess.run(command, env={**os.environ, **settings}, capture_output=True, text=True, check=False)


def test_call_shows_each_status_and_how_it_ended(simulator: dict[str, str]) -> None:
    """A callback on the simulator runs to its end, and the exit code says that the two talked."""
    called = call("+49 221 4710 123", settings=simulator)
    assert called.returncode == 0, called.stderr
    lines = called.stdout.splitlines()
    assert lines[0] == "Callback 10 started."
    assert lines[1].endswith("REQUESTED")
    assert lines[-2].endswith("DISCONNECTED")
    assert lines[-1] == "They talked."
    assert simulator["TENIOS_ACCESS_KEY"] not in called.stdout + called.stderr


def test_call_refuses_a_number_without_a_country(simulator: dict[str, str]) -> None:
    """Nothing is dialled, the reason is one line, and there is no traceback."""
    called = call("0221 4710 123", settings=simulator)
    assert called.returncode == 3
    assert "names no country" in called.stderr
    assert "Traceback" not in called.stderr
    assert call("0221 4710 123", "--region", "DE", settings=simulator).returncode == 0


def test_call_with_a_wrong_key_says_what_to_compare(simulator: dict[str, str]) -> None:
    """The two possible causes are named, the key is not."""
    called = call("+492214710123", settings={**simulator, "TENIOS_ACCESS_KEY": "WRONG-KEY"})
    assert called.returncode == 3
    assert "BadCredentialsError" in called.stderr
    assert "callback config id" in called.stderr
    assert "WRONG-KEY" not in called.stderr


def test_call_without_settings_says_where_to_find_them() -> None:
    """Somebody who has set nothing learns the variable's name and where the key is found."""
    called = call("+492214710123", settings={})
    assert called.returncode == 3
    assert "TENIOS_ACCESS_KEY" in called.stderr
    assert "General Settings" in called.stderr


def test_demo_runs_a_whole_callback() -> None:
    """`make demo` goes from REQUESTED to DISCONNECTED."""
    ran = subprocess.run([sys.executable, ROOT / "scripts/demo.py"], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.index("REQUESTED") < ran.stdout.index("CONNECTED") < ran.stdout.index("DISCONNECTED")
    assert ran.stdout.endswith("They talked.\n")
