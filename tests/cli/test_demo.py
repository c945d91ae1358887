from __future__ import annotations

import subprocess
import sys

from cli.command import ROOT


def test_demo_runs_a_whole_callback() -> None:
    result = subprocess.run(
        [sys.executable, ROOT / "scripts/demo.py"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    output = result.stdout
    assert output.index("CALLING_A") < output.index("CONNECTED") < output.index("DISCONNECTED")
    assert output.endswith("The call was connected and has ended.\n")
