"""The wheel in empty environments."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS = [
    "openapi.yaml",
    "openapi.json",
    "openapi-3.0.json",
    "callback.postman_collection.json",
    "callback.arazzo.yaml",
]
PACKAGES = {"tenios_campaign", "tenios_cli", "tenios_client", "tenios_ext", "tenios_simulator"}
LOCK = ROOT / "requirements/dev.txt"
NODE_BIN = ROOT / "tools/node_modules/.bin"
UV = Path(sys.executable).with_name("uv")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    dist = tmp_path_factory.mktemp("dist")
    command = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(dist),
        str(ROOT),
    ]
    subprocess.run(command, check=True, capture_output=True)
    [built] = dist.glob("*.whl")
    return built


def install(wheel: Path, environment: Path, extras: str = "", constraints: Path = LOCK) -> Path:
    """Install the wheel, or a checkout, into a new environment; return its folder of programs."""
    subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, environment], check=True)
    add(wheel, environment, extras, constraints)
    return environment / "bin"


def add(wheel: Path, environment: Path, extras: str, constraints: Path = LOCK) -> None:
    command: list[str | Path] = [UV, "pip", "install", "--quiet", "--python", environment]
    subprocess.run([*command, "--constraint", constraints, f"{wheel}{extras}"], check=True)


def oldest_versions(wheel: Path) -> str:
    """Return constraints for the oldest dependencies that the wheel's metadata allows."""
    with zipfile.ZipFile(wheel) as archive:
        [metadata] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        lines = archive.read(metadata).decode()
    floors = re.findall(r"^Requires-Dist: ([\w-]+).*>=([\d.]+)", lines, re.MULTILINE)
    return "".join(f"{name}=={version}\n" for name, version in floors)


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=cwd)


def test_wheel_contains_all_packages_their_type_markers_and_the_contract(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name.split("/")[0].split("-")[0] for name in names} == {*PACKAGES, "tenios_callback"}
    assert {f"{package}/py.typed" for package in PACKAGES - {"tenios_cli"}} <= names
    files = {name: zipfile.ZipFile(wheel).read(f"tenios_ext/{name}") for name in CONTRACTS}
    assert files["openapi.yaml"] == (ROOT / "openapi.yaml").read_bytes()
    contract = yaml.safe_load(files["openapi.yaml"])
    del (
        contract["components"]["links"],
        contract["components"]["responses"]["CallbackInitialized"]["links"],
    )
    assert json.loads(files["openapi.json"]) == contract
    [source] = yaml.safe_load(files["callback.arazzo.yaml"])["sourceDescriptions"]
    assert source["url"].removeprefix("./") in CONTRACTS
    older = json.loads(files["openapi-3.0.json"])
    assert older["openapi"] == "3.0.3"
    statuses = contract["components"]["schemas"]["CallbackStatus"]["x-extensible-enum"]
    assert "enum" not in older["components"]["schemas"]["CallbackStatus"]
    assert older["components"]["schemas"]["CallbackStatus"]["x-extensible-enum"] == statuses
    for path in older["paths"].values():
        assert {"4XX", "5XX"} < path["post"]["responses"].keys()
        assert "default" not in path["post"]["responses"]


def test_wheel_built_from_the_source_distribution_contains_the_same_files(
    wheel: Path, tmp_path: Path
) -> None:
    # Without --wheel, the wheel is built from the source distribution.
    command: list[str | Path] = [sys.executable, "-m", "build", "--no-isolation"]
    subprocess.run([*command, "--outdir", tmp_path, ROOT], check=True, capture_output=True)
    [rebuilt] = tmp_path.glob("*.whl")
    assert len(list(tmp_path.glob("*.tar.gz"))) == 1
    assert set(zipfile.ZipFile(rebuilt).namelist()) == set(zipfile.ZipFile(wheel).namelist())


def test_artefacts_pass_the_linters_and_match_their_checksums(tmp_path: Path) -> None:
    subprocess.run([sys.executable, ROOT / "scripts/artefacts.py", tmp_path], check=True)
    subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    files = sorted(tmp_path.glob("openapi*.json"))
    assert len(files) == 2
    workflow = tmp_path / "callback.arazzo.yaml"
    linters: list[list[str | Path]] = [
        [NODE_BIN / "redocly", "lint", "--config", ROOT / "tools/redocly.yaml", workflow],
        [
            NODE_BIN / "spectral",
            "lint",
            "--ruleset",
            ROOT / "tools/.spectral.yaml",
            "--fail-severity",
            "hint",
        ],
        [Path(sys.executable).with_name("openapi-spec-validator")],
    ]
    for linter in linters:
        linted = run(*linter, *files, cwd=ROOT)
        assert linted.returncode == 0, linted.stdout + linted.stderr


def test_wheel_without_an_extra_names_the_extra_that_is_missing(
    wheel: Path, tmp_path: Path
) -> None:
    programs = install(wheel, tmp_path / "lean")
    imported = run(
        programs / "python", "-I", "-W", "error", "-c", "import tenios_ext", cwd=tmp_path
    )
    assert imported.returncode == 0, imported.stderr
    helped = run(programs / "tenios", "--help", cwd=tmp_path)
    assert helped.returncode == 1
    assert helped.stderr == "click is not installed. Run: pip install 'tenios-callback[cli]'\n"
    imported = run(
        programs / "python", "-c", "from tenios_simulator import Simulator", cwd=tmp_path
    )
    assert imported.stderr.endswith(
        ": yaml is not installed. Run: pip install 'tenios-callback[simulator]'\n"
    )

    add(wheel, tmp_path / "lean", "[cli]")
    helped = run(programs / "tenios", "--help", cwd=tmp_path)
    assert helped.returncode == 0, helped.stderr
    assert "simulate" in helped.stdout
    lacking = run(programs / "tenios", "simulate", cwd=tmp_path)
    assert lacking.returncode == 1
    assert "pip install 'tenios-callback[simulator]'" in lacking.stderr
    (tmp_path / "callbacks.db").touch()
    lacking = run(
        programs / "tenios", "ledger", "list", "--ledger", "sqlite:///callbacks.db", cwd=tmp_path
    )
    assert lacking.returncode == 5
    assert "pip install 'tenios-callback[ledger]'" in lacking.stderr


def test_checkout_can_be_installed_with_an_extra(tmp_path: Path) -> None:
    programs = install(ROOT, tmp_path / "environment", "[simulator]")
    checked = run(programs / "tenios", "doctor", "--simulator", cwd=tmp_path)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_wheel_with_the_oldest_dependencies_runs_callbacks(wheel: Path, tmp_path: Path) -> None:
    constraints = tmp_path / "oldest.txt"
    constraints.write_text(oldest_versions(wheel), encoding="utf-8")
    programs = install(wheel, tmp_path / "full", "[aiohttp,campaign,simulator]", constraints)
    tried = run(programs / "python", "-I", ROOT / "tests/packaging/try_wheel.py", cwd=tmp_path)
    assert tried.returncode == 0, tried.stdout + tried.stderr
