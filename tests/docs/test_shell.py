"""Each shell line in the documents: run where that can be, and compared with what there is where it would install or not end."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tenios_ext.cli import report
from tenios_ext.simulator import ACCESS_KEY, CALLBACK_CONFIG_ID

ROOT = Path(__file__).resolve().parents[2]
LINES = sorted(
    {
        line
        for document in [ROOT / "README.md", *ROOT.glob("docs/*.md")]
        for block in re.findall(r"```console\n(.*?)```", document.read_text(), re.DOTALL)
        for line in re.findall(r"^\$ (.*)", block, re.MULTILINE)
        if not line.startswith("curl ")  # which have a test of their own, in order
    }
)
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
SETTINGS = {
    "TENIOS_BASE_URL": "http://127.0.0.1:8311",
    "TENIOS_ACCESS_KEY": ACCESS_KEY,
    "TENIOS_CALLBACK_CONFIG_ID": CALLBACK_CONFIG_ID,
}


@pytest.mark.parametrize("line", LINES)
def test_shell_line(line: str) -> None:
    """It does what it says, or names what exists."""
    words = shlex.split(line.removesuffix(" &"))
    match words:
        case ["make", verb]:
            assert re.search(rf"^{verb}:.* ## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
        case ["pip", "install", package, *_]:
            name, extras = package.rstrip("]").split("[")
            assert name == "tenios-callback"
            assert set(extras.split(",")) <= set(EXTRAS)
        case ["export", setting]:
            name, value = setting.split("=", 1)
            assert SETTINGS[name] == value
        case ["python", "-m", "venv", ".venv"] | [".", ".venv/bin/activate"] | ["pytest"]:
            pass  # The tutorial's own, which its test follows.
        case ["tenios", "simulate"]:
            assert run("simulate", "--help").returncode == report.TALKED
        case ["tenios", "doctor"]:
            assert run("doctor", "--simulator").returncode == report.TALKED
        case ["tenios", "call", number, *options]:
            told = run("call", number, *dict.fromkeys([*options, "--simulator"]))
            assert told.returncode in {report.TALKED, report.CUSTOMER_FAILED}, told.stderr
        case _:
            pytest.fail(f"No test knows what becomes of: {line}")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command: list[str | Path] = [Path(sys.executable).with_name("tenios"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)
