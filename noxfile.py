"""Tests and a built wheel on each supported Python. Everything else is in the Makefile."""

from __future__ import annotations

import shutil
from pathlib import Path

import nox

PYTHONS = ["3.11", "3.12", "3.13", "3.14"]

nox.options.default_venv_backend = "uv|virtualenv"


@nox.session(python=PYTHONS)
def test(session: nox.Session) -> None:
    """Run `make test` with the locked development environment."""
    session.install("--require-hashes", "-r", "requirements/dev.txt")
    session.install("--no-deps", "--no-build-isolation", "-e", ".")
    arguments = [f"BIN={session.bin}", "READY=", f"ARGS={' '.join(session.posargs)}"]
    session.run("make", "test", *arguments, external=True)


@nox.session(python=PYTHONS[0])
def oldest(session: nox.Session) -> None:
    """
    Run `make test` with the oldest dependencies that pyproject.toml allows.

    Excludes the tests with schemathesis, which needs newer dependencies.
    """
    # Not create_tmp(), where tests that run pytest would find the settings of this repository.
    folder = session.cache_dir
    oldest, versions = folder / "oldest.txt", folder / "versions.txt"
    resolve = ["uv", "pip", "compile", "--quiet", "--all-extras", f"--python={session.python}"]
    lowest = ["--no-deps", "--resolution=lowest-direct", "pyproject.toml", "-o", str(oldest)]
    session.run(*resolve, *lowest, external=True)
    # uv prefers the versions in the file that it overwrites, so all others are the locked ones.
    shutil.copy("requirements/dev.txt", versions)
    groups = ["docs", "generate", "lint", "test", "tools"]
    options = [*(f"--group={group}" for group in groups), "-c", str(oldest), "-o", str(versions)]
    session.run(*resolve, *options, "pyproject.toml", external=True)
    session.install("-r", str(versions))
    session.install("--no-deps", "--no-build-isolation", "-e", ".")
    without = "tests/contract/test_prism_mock.py tests/simulator/server/test_schemathesis.py"
    selected = " ".join([*(f"--ignore={path}" for path in without.split()), *session.posargs])
    arguments = [f"BIN={session.bin}", "READY=", f"ARGS={selected}"]
    session.run("make", "test", *arguments, external=True)


def _build_wheel(session: nox.Session, folder: Path) -> Path:
    session.run("uv", "build", "--quiet", "--wheel", "--out-dir", str(folder), external=True)
    [built] = folder.glob("*.whl")
    return built


@nox.session(python=PYTHONS)
@nox.parametrize("resolution", ["lowest-direct", "highest"], ids=["oldest", "newest"])
def wheel(session: nox.Session, resolution: str) -> None:
    """Build the wheel and try it with the oldest or the newest dependencies that it allows."""
    folder = Path(session.create_tmp()).resolve()
    built = _build_wheel(session, folder)
    # Resolved from pyproject.toml: if the wheel were resolved, only it would count as direct.
    versions = str(folder / "versions.txt")
    resolve = [
        "uv",
        "pip",
        "compile",
        "--quiet",
        "--upgrade",
        "--all-extras",
        f"--python={session.python}",
    ]
    session.run(
        *resolve, f"--resolution={resolution}", "pyproject.toml", "-o", versions, external=True
    )
    session.install("-c", versions, f"{built}[aiohttp,campaign,simulator]")
    session.run("python", "-I", str(Path("tests/packaging/try_wheel.py").resolve()))


@nox.session(python=PYTHONS[0])
def frozen(session: nox.Session) -> None:
    """Freeze the command with PyInstaller, which takes a minute or more, and run it."""
    folder = Path(session.create_tmp()).resolve()
    built = _build_wheel(session, folder)
    session.install("-c", "requirements/dev.txt", f"{built}[campaign,simulator]", "pyinstaller")
    session.chdir(folder)
    Path("program.py").write_text("from tenios_cli import main\nmain()\n", encoding="utf-8")
    session.run("pyinstaller", "--noconfirm", "--log-level=WARN", "program.py")
    program = str(folder / "dist/program/program")
    agent_is_busy = "+49 30 23125 101"
    session.run(program, "contract", silent=True)
    session.run(program, "call", agent_is_busy, "--simulator", success_codes=[3])
    session.run(program, "doctor", "--simulator")
