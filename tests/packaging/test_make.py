from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_fits_on_a_screen() -> None:
    lines = make("help").stdout.splitlines()
    assert 10 < len(lines) < 24
    assert max(map(len, lines)) < 80


def test_unknown_suite_is_refused_with_those_that_exist() -> None:
    ran = make("--dry-run", "test", "SUITE=clint", "READY=", "NODE_READY=")
    assert ran.returncode != 0
    assert "Unknown suite clint. Use contract, clients, chaos or mutants" in ran.stderr
