"""
Create or update the development environment in .venv.

    install.py    needs Python 3.11 or later, and nothing else
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST = (3, 11)
IS_WINDOWS = sys.platform == "win32"


def main() -> None:
    if sys.version_info < OLDEST:
        found = ".".join(map(str, sys.version_info[:3]))
        sys.exit(
            f"Python 3.11 or later is required, but this is {found}. Use another Python: make "
            "install PYTHON=python3.12"
        )
    if importlib.util.find_spec("ensurepip") is None:
        sys.exit(
            "This Python has no ensurepip. On Debian and Ubuntu, run: make system. Elsewhere, use "
            "another Python: make install PYTHON=python3.12"
        )

    python = ROOT / ".venv" / ("Scripts/python.exe" if IS_WINDOWS else "bin/python")
    uv = python.with_name("uv.exe" if IS_WINDOWS else "uv")
    locks = ROOT / "requirements"
    if not uv.exists():
        venv.create(ROOT / ".venv", with_pip=True, clear=True)
        pip: list[str | Path] = [
            python,
            "-m",
            "pip",
            "--disable-pip-version-check",
            "--quiet",
            "install",
        ]
        subprocess.run([*pip, "--require-hashes", "--requirement", locks / "uv.txt"], check=True)
    options: list[str | Path] = ["--quiet", "--python", python]
    # Also removes packages that are no longer in the lock file.
    subprocess.run([uv, "pip", "sync", *options, "--require-hashes", locks / "dev.txt"], check=True)
    project: list[str | Path] = ["--no-deps", "--no-build-isolation", "--editable", ROOT]
    subprocess.run([uv, "pip", "install", *options, *project], check=True)


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError:
        sys.exit(
            "The Python packages were not installed. See the error above, then run: make install"
        )
