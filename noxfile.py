"""
The Makefile's verbs in environments of their own: `nox -s test`, `nox -s check`, `nox` for what CI runs.

What a verb does is in the Makefile alone; here is only where it runs.
"""

from __future__ import annotations

from pathlib import Path

import nox

PYTHONS = ["3.11", "3.12", "3.13"]
VERBS = [
    "demo",
    "generate",
    "generate-check",
    "lint",
    "types",
    "workflows",
    "check",
    "fix",
    "compatible",
    "contract",
    "consumers",
    "mutants",
    "docs",
    "bench",
    "build",
]

nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = ["check", "test", "wheel"]


def make(session: nox.Session, verb: str) -> None:
    """Run a verb with the tools of this session instead of those in .venv."""
    session.install("--require-hashes", "-r", "requirements/dev.txt")
    session.install("--no-deps", "--no-build-isolation", "-e", ".")
    arguments = [f"BIN={session.bin}", "READY=", f"ARGS={' '.join(session.posargs)}"]
    session.run("make", verb, *arguments, external=True)


def add(verb: str) -> None:
    """Make a session of a verb."""

    @nox.session(name=verb)
    def run(session: nox.Session) -> None:
        make(session, verb)


for each in VERBS:
    add(each)


@nox.session(python=PYTHONS)
def test(session: nox.Session) -> None:
    """Run all tests, on each Python."""
    make(session, "test")


@nox.session(python=PYTHONS)
@nox.parametrize("resolution", ["lowest-direct", "highest"])
def wheel(session: nox.Session, resolution: str) -> None:
    """Install the built wheel with the oldest and with the newest dependencies it admits, and try it."""
    dist = Path(session.create_tmp()).resolve()
    session.run("uv", "build", "--quiet", "--wheel", "--out-dir", str(dist), external=True)
    [built] = dist.glob("*.whl")
    session.run("uv", "pip", "install", "--resolution", resolution, f"{built}[aiohttp,simulator]", external=True)
    session.run("python", "-I", str(Path("tests/packaging/try_wheel.py").resolve()))
    session.run("tenios", "--help", silent=True)
