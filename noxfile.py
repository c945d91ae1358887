"""The tests, and the built wheel, on each supported Python. Everything else is in the Makefile."""

from __future__ import annotations

from pathlib import Path

import nox

PYTHONS = ["3.11", "3.12", "3.13"]

nox.options.default_venv_backend = "uv|virtualenv"


@nox.session(python=PYTHONS)
def test(session: nox.Session) -> None:
    """Run `make test` with the locked development environment."""
    session.install("--require-hashes", "-r", "requirements/dev.txt")
    session.install("--no-deps", "--no-build-isolation", "-e", ".")
    arguments = [f"BIN={session.bin}", "READY=", f"ARGS={' '.join(session.posargs)}"]
    session.run("make", "test", *arguments, external=True)


@nox.session(python=PYTHONS)
@nox.parametrize("resolution", ["lowest-direct", "highest"], ids=["oldest", "newest"])
def wheel(session: nox.Session, resolution: str) -> None:
    """
    Build the wheel, install it with the oldest or the newest dependencies that it allows, and try
    it.
    """
    folder = Path(session.create_tmp()).resolve()
    session.run("uv", "build", "--quiet", "--wheel", "--out-dir", str(folder), external=True)
    [built] = folder.glob("*.whl")
    # Only the wheel would count as direct if it were resolved itself, so the versions come from
    # what it is built from.
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
