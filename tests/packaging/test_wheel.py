"""The wheel, as somebody installs it who has nothing else."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
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
    assert {"tenios_client/py.typed", "tenios_ext/py.typed", "tenios_ext/openapi.yaml"} <= names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"tenios_client", "tenios_ext", "tenios_callback"}
    assert zipfile.ZipFile(wheel).read("tenios_ext/openapi.yaml") == (ROOT / "openapi.yaml").read_bytes()


def test_wheel_without_extras_imports_and_helps(wheel: Path, tmp_path: Path) -> None:
    """In an empty environment the package imports, `tenios --help` works, and a missing extra is named."""
    programs = install(wheel, tmp_path / "lean")
    subprocess.run([programs / "python", "-I", "-c", "import tenios_ext"], check=True, cwd=tmp_path)
    helped = subprocess.run([programs / "tenios", "--help"], check=True, capture_output=True, text=True, cwd=tmp_path)
    assert "simulate" in helped.stdout
    lacking = subprocess.run(
        [programs / "tenios", "simulate"], check=False, capture_output=True, text=True, cwd=tmp_path
    )
    assert lacking.returncode == 3
    assert "pip install 'tenios-callback[simulator]'" in lacking.stderr


def test_wheel_with_extras_runs_a_whole_callback(wheel: Path, tmp_path: Path) -> None:
    """With its extras the wheel runs callbacks on the simulator, away from the repository."""
    programs = install(wheel, tmp_path / "full", "[aiohttp,simulator]")
    subprocess.run([programs / "python", "-I", ROOT / "tests/packaging/try_wheel.py"], check=True, cwd=tmp_path)
