"""What the benchmarks share: environments of their own, the machine's name, and ratios."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parent.parent


def machine() -> str:
    """
    Return the processor, the number of cores that this process may use, the system and the version
    of Python.
    """
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        names = [
            line.partition(": ")[2]
            for line in cpuinfo.read_text().splitlines()
            if line.startswith("model name")
        ]
        model = names[0] if names else model
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{model}, {cores} cores, {platform.system()}, Python {platform.python_version()}"


def print_ratios(rows: dict[str, list[float]], base: str, unit: str) -> None:
    """
    Print the median of each row, and the ratio of the medians to *base*, with the least and the
    most of a round.
    """
    width = max(map(len, rows))
    print(f"{'':{width}}  {unit:>9}  ratio  (least to most of a round)")
    for name, values in rows.items():
        ratio = statistics.median(values) / statistics.median(rows[base])
        rounds = [value / other for value, other in zip(values, rows[base], strict=True)]
        print(
            f"{name:{width}}  {statistics.median(values):9.2f}  {ratio:5.2f}  ({min(rounds):.2f} "
            f"to {max(rounds):.2f})"
        )


@contextmanager
def environment(*installs: Sequence[str | Path]) -> Iterator[Path]:
    """
    Make a virtual environment, call `uv pip install` with each of *installs*, and yield its Python.
    """
    uv = Path(sys.executable).with_name("uv")
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder], check=True)
        for each in installs:
            subprocess.run([uv, "pip", "install", "--quiet", "--python", folder, *each], check=True)
        yield Path(folder) / "bin/python"
