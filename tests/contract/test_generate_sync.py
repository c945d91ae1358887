"""``scripts/generate_sync.py``, run on a copy of the client."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from support.prism import ROOT

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for name in (
        "scripts/generate_sync.py",
        "tenios_ext/_async_client.py",
        "tenios_ext/_sync_client.py",
        "pyproject.toml",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def run(copy: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(copy / "scripts/generate_sync.py"), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_committed_sync_client_is_up_to_date(copy: Path) -> None:
    checked = run(copy, "--check")
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("edited", ["_async_client.py", "_sync_client.py"])
def test_check_reports_an_edited_client_and_generate_repairs_it(copy: Path, edited: str) -> None:
    module = copy / "tenios_ext" / edited
    module.write_text(module.read_text() + "\nEDITED = True\n")
    checked = run(copy, "--check")
    assert checked.returncode == 1
    assert "make generate" in checked.stdout
    assert run(copy).returncode == 0
    assert run(copy, "--check").returncode == 0
    assert ("EDITED" in (copy / "tenios_ext/_sync_client.py").read_text()) == (
        edited == "_async_client.py"
    )


def test_generate_fails_if_async_code_is_left(copy: Path) -> None:
    module = copy / "tenios_ext/_async_client.py"
    before = (copy / "tenios_ext/_sync_client.py").read_text()
    module.write_text(module.read_text() + "\nasyncio = None\n")
    generated = run(copy)
    assert generated.returncode == 1
    assert "async" in generated.stderr
    assert (copy / "tenios_ext/_sync_client.py").read_text() == before
