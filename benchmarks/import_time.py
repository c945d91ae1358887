"""
What our packages add to the start of a program, beside the same program without us, in an otherwise
empty environment.

- `import tenios_ext` beside its dependencies
- `tenios --help` beside an empty click program
- a test run with our pytest plugin beside one that does not load it
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from _measure import ROOT, environment, machine, print_ratios

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROUNDS = 30
CLICK = "import click; click.command()(lambda: None)(['--help'])"


def seconds(command: Sequence[str | Path]) -> float:
    """Return the seconds that a process takes."""
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def compare(title: str, commands: Mapping[str, Sequence[str | Path]]) -> None:
    """
    Print how long each of *commands* takes; the first one is what the others are compared with.
    """
    for command in commands.values():
        seconds(command)
    rows: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(ROUNDS):
        for name, command in commands.items():
            rows[name].append(seconds(command) * 1000)
    print(f"\n{title}")
    print_ratios(rows, next(iter(rows)), "ms")


def main() -> None:
    """Print a table for each."""
    print(machine())
    constraint: list[str | Path] = ["-c", ROOT / "requirements/dev.txt"]
    with environment([*constraint, ROOT]) as python:
        compare(
            "import",
            {
                "httpx and attrs": [python, "-I", "-c", "import httpx, attrs"],
                "tenios_ext": [python, "-I", "-c", "import tenios_ext"],
            },
        )
    with (
        environment([*constraint, f"{ROOT}[simulator]", "pytest"]) as python,
        tempfile.TemporaryDirectory() as folder,
    ):
        compare(
            "help",
            {
                "an empty click program": [python, "-I", "-c", CLICK],
                "tenios": [python.with_name("tenios"), "--help"],
            },
        )
        test = Path(folder) / "test_nothing.py"
        test.write_text("def test_nothing(): pass\n")
        pytest: Sequence[str | Path] = [
            python,
            "-I",
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            test,
        ]
        compare(
            "pytest",
            {"without the plugin": [*pytest, "-p", "no:tenios"], "with the plugin": pytest},
        )


if __name__ == "__main__":
    main()
