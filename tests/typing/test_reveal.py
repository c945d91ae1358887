"""A user's strict type checker sees the types that the documentation promises."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REVEAL = Path(__file__).with_name("reveal.py")


def mypy(file: Path) -> subprocess.CompletedProcess[str]:
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "mypy",
        "--config-file",
        ROOT / "pyproject.toml",
        "--strict",
        file,
    ]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_revealed_types_are_the_promised_ones() -> None:
    """Every `assert_type` in reveal.py holds."""
    checked = mypy(REVEAL)
    assert checked.returncode == 0, checked.stdout


def test_wrong_promise_is_noticed(tmp_path: Path) -> None:
    """The check above can fail."""
    wrong = tmp_path / "wrong.py"
    wrong.write_text(REVEAL.read_text().replace("assert_type(callback.id, int)", "assert_type(callback.id, str)"))
    checked = mypy(wrong)
    assert checked.returncode == 1
    assert 'Expression is of type "int", not "str"' in checked.stdout
