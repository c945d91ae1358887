"""The wheel, as somebody installs it who has nothing else."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS = ["openapi.yaml", "openapi.json", "openapi-3.0.json"]
UV = Path(sys.executable).with_name("uv")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    dist = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(dist), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    [built] = dist.glob("*.whl")
    return built


def install(wheel: Path, environment: Path, extras: str = "") -> Path:
    """Install the wheel, at the locked versions of what it needs, into a new environment; give its folder of programs."""
    subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, environment], check=True)
    command: list[str | Path] = [
        UV,
        "pip",
        "install",
        "--quiet",
        "--python",
        environment,
        "--constraint",
        ROOT / "requirements/dev.txt",
    ]
    subprocess.run([*command, f"{wheel}{extras}"], check=True)
    return environment / "bin"


def test_wheel_holds_both_packages_their_types_and_the_contract(wheel: Path) -> None:
    """What is shipped is the generated package, the extension, the marks of typed packages and the contract."""
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"tenios_client/py.typed", "tenios_ext/py.typed"} <= names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"tenios_client", "tenios_ext", "tenios_callback"}
    files = {name: zipfile.ZipFile(wheel).read(f"tenios_ext/{name}") for name in CONTRACTS}
    assert files["openapi.yaml"] == (ROOT / "openapi.yaml").read_bytes()
    assert json.loads(files["openapi.json"]) == yaml.safe_load(files["openapi.yaml"])
    assert json.loads(files["openapi-3.0.json"])["openapi"] == "3.0.3"


def test_wheel_from_the_source_distribution_is_the_same(wheel: Path, tmp_path: Path) -> None:
    """Whoever builds from source gets the contract's files, too."""
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path)]
    subprocess.run([*build, "--sdist", str(ROOT)], check=True, capture_output=True)
    [packed] = tmp_path.glob("*.tar.gz")
    shutil.unpack_archive(packed, tmp_path, filter="data")
    subprocess.run(
        [*build, "--wheel", str(tmp_path / packed.name.removesuffix(".tar.gz"))], check=True, capture_output=True
    )
    [again] = tmp_path.glob("*.whl")
    assert set(zipfile.ZipFile(again).namelist()) == set(zipfile.ZipFile(wheel).namelist())


def test_artefacts_are_clean_and_their_checksums_true(tmp_path: Path) -> None:
    """The JSON files pass the linters that openapi.yaml passes, and sha256sum agrees."""
    subprocess.run([sys.executable, ROOT / "scripts/artefacts.py", tmp_path], check=True)
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=tmp_path, check=True, capture_output=True)
    files = sorted(map(str, tmp_path.glob("*.json")))
    assert len(files) == 2
    for linter in (
        ["npx", "--no-install", "redocly", "lint"],
        ["npx", "--no-install", "spectral", "lint", "--fail-severity=hint"],
        [str(Path(sys.executable).with_name("openapi-spec-validator"))],
    ):
        linted = subprocess.run([*linter, *files], cwd=ROOT, capture_output=True, text=True, check=False)
        assert linted.returncode == 0, linted.stdout + linted.stderr


def test_wheel_without_extras_imports_and_helps(wheel: Path, tmp_path: Path) -> None:
    """In an empty environment the package imports, `tenios --help` works, and a missing extra is named."""
    programs = install(wheel, tmp_path / "lean")
    subprocess.run([programs / "python", "-I", "-c", "import tenios_ext"], check=True, cwd=tmp_path)
    helped = subprocess.run([programs / "tenios", "--help"], check=True, capture_output=True, text=True, cwd=tmp_path)
    assert "simulate" in helped.stdout
    lacking = subprocess.run(
        [programs / "tenios", "simulate"], check=False, capture_output=True, text=True, cwd=tmp_path
    )
    assert lacking.returncode == 1
    assert "pip install 'tenios-callback[simulator]'" in lacking.stderr


def test_wheel_with_extras_runs_a_whole_callback(wheel: Path, tmp_path: Path) -> None:
    """With its extras the wheel runs callbacks on the simulator, away from the repository."""
    programs = install(wheel, tmp_path / "full", "[aiohttp,simulator]")
    subprocess.run([programs / "python", "-I", ROOT / "tests/packaging/try_wheel.py"], check=True, cwd=tmp_path)
