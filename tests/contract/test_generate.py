"""`make generate` and `make generate-check`, tried on a copy of the repository."""

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


def test_generated_is_what_the_contract_gives(copy: Path) -> None:
    """The committed package is the contract's, byte for byte."""
    checked = run(copy, "--check")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_check_is_deaf_to_the_linter_settings_around_it(copy: Path) -> None:
    """The output does not depend on the repository in which it is made."""
    (copy / "pyproject.toml").write_text("[tool.ruff]\nline-length = 60\nlint.select = ['ALL']\n")
    assert run(copy, "--check").returncode == 0


@pytest.mark.parametrize("damage", ["edited", "stale", "missing", "stale at the root"])
def test_check_notices_changed_generated_files(copy: Path, damage: str) -> None:
    """A file that was edited, left over, or deleted is named."""
    model = PACKAGE / "models/error_response.py"
    if damage == "edited":
        (copy / model).write_text((copy / model).read_text() + "\n# by hand\n")
    elif damage == "missing":
        (copy / model).unlink()
    else:
        model = PACKAGE / ("left_over.py" if damage == "stale at the root" else "models/left_over.py")
        (copy / model).touch()
    checked = run(copy, "--check")
    assert checked.returncode == 1
    assert str(model.relative_to(PACKAGE)) in checked.stdout
    assert "make generate" in checked.stdout
    assert run(copy).returncode == 0
    assert run(copy, "--check").returncode == 0
    assert (copy / model).exists() == (not damage.startswith("stale"))


def test_new_optional_field_reaches_the_generated_model_only(copy: Path) -> None:
    """A new optional field is noticed, generated, and breaks no hand-written code."""
    contract = copy / "openapi.yaml"
    before = "        dtmf_key_to_trigger_customer_call:\n          description"
    field = "        campaign:\n          description: A label.\n          type: string\n          example: spring\n"
    assert before in contract.read_text()
    contract.write_text(contract.read_text().replace(before, field + before))
    checked = run(copy, "--check")
    assert checked.returncode == 1
    assert "init_callback_request.py" in checked.stdout
    assert run(copy).returncode == 0
    assert "campaign: str | Unset = UNSET" in (copy / PACKAGE / "models/init_callback_request.py").read_text()
    slice_of_the_house = (
        "from tenios_ext.simulator import Simulator\n"
        "with Simulator().client() as tenios:\n"
        "    assert tenios.start_callback('+49 221 4710123').wait().connected\n"
        "import tenios_client.models\n"
        "assert 'campaign' in tenios_client.models.InitCallbackRequest.__annotations__\n"
    )
    environment = {"PYTHONPATH": f"{copy / 'generated'}:{ROOT}"}
    subprocess.run([sys.executable, "-c", slice_of_the_house], env=environment, check=True)


def test_warning_of_the_generator_is_an_error(copy: Path) -> None:
    """A contract that the generator understands only in part generates nothing."""
    contract = copy / "openapi.yaml"
    contract.write_text(contract.read_text().replace("format: int32\n          minimum: 0", "enum: [a, 1]"))
    before = (copy / PACKAGE / "models/init_callback_request.py").read_text()
    assert run(copy).returncode != 0
    assert (copy / PACKAGE / "models/init_callback_request.py").read_text() == before


def test_every_generated_file_says_so() -> None:
    """Nobody edits a generated file unawares."""
    modules = list((ROOT / PACKAGE).rglob("*.py"))
    assert modules
    for module in modules:
        assert module.read_text().startswith("# Generated from openapi.yaml"), module
    assert (ROOT / PACKAGE / "py.typed").exists()
