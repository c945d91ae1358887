from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from cli.command import ROOT

if TYPE_CHECKING:
    from pathlib import Path

# The agent is busy, which is fastest.
NUMBER = "+49 30 23125 101"


def test_demo_runs_a_whole_callback() -> None:
    command: list[str | Path] = [sys.executable, ROOT / "scripts/demo.py", NUMBER]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 3, result.stderr
    exported, called, *lines = result.stdout.split("\n$ ")
    assert exported.startswith("$ tenios simulate &\nexport TENIOS_BASE_URL=http://127.0.0.1:")
    assert "\nThe console is at http://127.0.0.1:" in exported
    assert called.startswith(f"tenios call '{NUMBER}'\nCallback ")
    assert " to +493023125101 started.\n" in called
    assert " s  CALL_A_FAILED: the agent could not be reached\n" in called
    assert called.endswith("The agent could not be reached.\n")
    assert lines == []
