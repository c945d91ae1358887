"""
Make the development environment in .venv, or bring it up to date.

    install.py    run by any Python 3.11 or later; needs nothing but the standard library
"""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST = (3, 11)


def main() -> None:
    if sys.version_info < OLDEST:
        found = ".".join(map(str, sys.version_info[:3]))
        sys.exit(
            f"Python 3.11 or later is needed and this is {found}. Name another one: make install PYTHON=python3.12"
        )

    scripts = "Scripts" if sys.platform == "win32" else "bin"
    python = ROOT / ".venv" / scripts / "python"
    uv = python.with_name("uv")
    locks = ROOT / "requirements"
    if not uv.with_suffix(".exe" if sys.platform == "win32" else "").exists():
        venv.create(ROOT / ".venv", with_pip=True, clear=True)
        pip: list[str | Path] = [
            python,
            "-m",
            "pip",
            "--disable-pip-version-check",
            "--quiet",
            "install",
            "--require-hashes",
        ]
        subprocess.run([*pip, "--requirement", locks / "uv.txt"], check=True)
    in_there: list[str | Path] = ["--quiet", "--python", python]
    # Not only what is missing: what the lock no longer names goes, lest something works here and nowhere else.
    subprocess.run([uv, "pip", "sync", *in_there, "--require-hashes", locks / "dev.txt"], check=True)
    project: list[str | Path] = ["--no-deps", "--no-build-isolation", "--editable", ROOT]
    subprocess.run([uv, "pip", "install", *in_there, *project], check=True)


if __name__ == "__main__":
    main()
