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
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_committed_package_is_up_to_date(copy: Path) -> None:
    checked = run(copy, "--check")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_output_does_not_depend_on_the_ruff_settings_of_the_repository(copy: Path) -> None:
    (copy / "pyproject.toml").write_text("[tool.ruff]\nline-length = 60\nlint.select = ['ALL']\n")
    assert run(copy, "--check").returncode == 0


@pytest.mark.parametrize("damage", ["edited", "stale", "missing", "stale at the root"])
def test_check_reports_drift_and_generate_repairs_it(copy: Path, damage: str) -> None:
    model = PACKAGE / "models/callback_error.py"
    if damage == "edited":
        (copy / model).write_text((copy / model).read_text() + "\n# by hand\n")
    elif damage == "missing":
        (copy / model).unlink()
    else:
        model = PACKAGE / (
            "left_over.py" if damage == "stale at the root" else "models/left_over.py"
        )
        (copy / model).touch()
    checked = run(copy, "--check")
    assert checked.returncode == 1
    assert str(model.relative_to(PACKAGE)) in checked.stdout
    assert "make generate" in checked.stdout
    assert run(copy).returncode == 0
    assert run(copy, "--check").returncode == 0
    assert (copy / model).exists() == (not damage.startswith("stale"))


def test_new_optional_field_is_generated_and_does_not_break_the_client(copy: Path) -> None:
    contract = copy / "openapi.yaml"
    before = "        dtmf_key_to_trigger_customer_call:\n          description"
    field = (
        "        campaign:\n          description: A label.\n          type: string\n          "
        "example: spring\n"
    )
    assert before in contract.read_text()
    contract.write_text(contract.read_text().replace(before, field + before))
    checked = run(copy, "--check")
    assert checked.returncode == 1
    assert "init_callback_request.py" in checked.stdout
    assert run(copy).returncode == 0
    assert (
        "campaign: str | Unset = UNSET"
        in (copy / PACKAGE / "models/init_callback_request.py").read_text()
    )
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
        "format: int32\n          minimum: 0", "enum: [a, 1]"
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
