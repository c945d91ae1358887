"""A strict type checker infers the documented types."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

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


def test_inferred_types_are_the_documented_ones() -> None:
    checked = mypy(REVEAL)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (
            "assert_type(callback.id, int)",
            "assert_type(callback.id, str)",
            'Expression is of type "int", not "str"',
        ),
        (
            "tenios.callback(10)",
            "tenios.callback(1.5)",
            'Argument 1 to "callback" of "Tenios" has incompatible type "float"',
        ),
        ("fields=(", "field=(", 'Unexpected keyword argument "field" for "StatusUnavailableError"'),
        (
            "assert_type(tenios.region, str | None)",
            "tenios.region = None",
            'Property "region" defined in "Tenios" is read-only',
        ),
    ],
)
def test_wrong_use_is_noticed(tmp_path: Path, before: str, after: str, message: str) -> None:
    text = REVEAL.read_text()
    assert before in text
    wrong = tmp_path / "wrong.py"
    wrong.write_text(text.replace(before, after))
    checked = mypy(wrong)
    assert checked.returncode == 1
    assert message in checked.stdout
