"""The time of `import tenios_ext`, compared with that of its dependencies in the same run, in an otherwise empty environment."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROUNDS = 40
STATEMENTS = {"httpx and attrs": "import httpx, attrs", "tenios_ext": "import tenios_ext"}


def seconds(python: Path, statement: str) -> float:
    """Return the seconds that a process takes to run *statement*."""
    began = time.perf_counter()
    subprocess.run([python, "-I", "-c", statement], check=True)
    return time.perf_counter() - began


def main() -> None:
    """Print the median of each, and the median of the ratios of the pairs."""
    uv = Path(sys.executable).with_name("uv")
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder], check=True)
        constraint = ROOT / "requirements/dev.txt"
        subprocess.run([uv, "pip", "install", "--quiet", "--python", folder, "-c", constraint, ROOT], check=True)
        python = Path(folder) / "bin/python"
        for statement in STATEMENTS.values():
            seconds(python, statement)
        pairs = [[seconds(python, statement) for statement in STATEMENTS.values()] for _ in range(ROUNDS)]
    for name, times in zip(STATEMENTS, zip(*pairs, strict=True), strict=True):
        print(f"{name:16} {statistics.median(times) * 1000:6.0f} ms")
    print(f"ratio            {statistics.median(ours / theirs for theirs, ours in pairs):6.2f}")


if __name__ == "__main__":
    main()
