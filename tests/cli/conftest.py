from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from cli.command import TENIOS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def simulator() -> Iterator[dict[str, str]]:
    """
    The environment variables that a running `tenios simulate` has printed. Its time passes ten
    times as fast.
    """
    command: list[str | Path] = [TENIOS, "simulate", "--port", "0", "--speed", "10"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline().strip().removeprefix("export ") for _ in range(3)]
            yield dict(line.split("=", 1) for line in lines)
        finally:
            process.terminate()
