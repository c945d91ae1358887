from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("client", ["go", "java", "typescript"])
def test_client_is_built_in_a_new_checkout(client: str) -> None:
    ran = make("--dry-run", "-C", f"clients/{client}", "CONTRACT=missing.json")
    assert "scripts/artefacts.py build/contract" in ran.stdout, ran.stderr
