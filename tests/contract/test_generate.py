"""``make generate`` and ``make generate-check``, run on a copy of the repository."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = Path("generated/tenios_client")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for name in ("generated", "generator-templates"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("openapi.yaml", "generator-config.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def run(copy: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts/generate.py"), "--root", str(copy), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def contents(folder: Path) -> dict[Path, bytes]:
    return {
        path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_committed_package_is_up_to_date_whatever_ruff_is_told_in_the_repository(
    copy: Path,
) -> None:
    (copy / "pyproject.toml").write_text("[tool.ruff]\nline-length = 60\nlint.select = ['ALL']\n")
    checked = run(copy, "--check")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_check_reports_drift_and_generate_repairs_it(copy: Path) -> None:
    """The contract has a new optional field, which must not break the client."""
    contract = copy / "openapi.yaml"
    before = "        dtmf_key_to_trigger_customer_call:\n          description"
    field = (
        "        campaign:\n          description: A label.\n          type: string\n          "
        "example: spring\n"
    )
    assert before in contract.read_text()
    contract.write_text(contract.read_text().replace(before, field + before))
    package = copy / PACKAGE
    committed = contents(package)
    with (package / "models/callback_error.py").open("a") as edited:
        edited.write("# by hand\n")
    (package / "py.typed").unlink()
    (package / "left_over.py").touch()
    (package / "models/left_over.py").touch()

    checked = run(copy, "--check")
    assert checked.returncode == 1
    heading, *found = checked.stdout.splitlines()
    assert "make generate" in heading
    assert [line.split() for line in found] == [
        ["changed", "models/callback_error.py"],
        ["changed", "models/init_callback_request.py"],
        ["missing", "py.typed"],
        ["stale", "left_over.py"],
        ["stale", "models/left_over.py"],
    ]

    assert run(copy).returncode == 0
    model = package / "models/init_callback_request.py"
    assert "campaign: str | Unset = UNSET" in model.read_text()
    assert contents(package) == {**committed, model.relative_to(package): model.read_bytes()}
    program = (
        "from tenios_simulator import Simulator\n"
        "with Simulator().client() as tenios:\n"
        "    assert tenios.start_callback('+49 221 4710123').wait().connected\n"
        "import tenios_client.models\n"
        "assert 'campaign' in tenios_client.models.InitCallbackRequest.__annotations__\n"
    )
    environment = {"PYTHONPATH": f"{copy / 'generated'}:{ROOT}"}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)


def test_generator_warning_is_an_error_and_nothing_is_written(copy: Path) -> None:
    contract = copy / "openapi.yaml"
    unsupported = contract.read_text().replace(
        "format: int32\n          minimum: 0\n          maximum: 2147483647", "enum: [a, 1]"
    )
    assert unsupported != contract.read_text()
    contract.write_text(unsupported)
    before = contents(copy / PACKAGE)
    assert run(copy).returncode != 0
    assert contents(copy / PACKAGE) == before


def test_every_generated_file_has_a_header_that_says_so() -> None:
    modules = list((ROOT / PACKAGE).rglob("*.py"))
    assert modules
    for module in modules:
        assert module.read_text().startswith("# Generated from openapi.yaml"), module
    assert (ROOT / PACKAGE / "py.typed").exists()
