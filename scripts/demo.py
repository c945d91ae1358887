"""
Run a complete callback on this machine, with `tenios simulate` in place of TENIOS. Takes about 20
seconds.

    demo.py [NUMBER]
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

# From a range that the German regulator reserves for films and books.
NUMBER = "+49 221 4710 123"


def main() -> int:
    tenios = Path(sys.executable).with_name("tenios")
    number = sys.argv[1] if len(sys.argv) > 1 else NUMBER
    command: list[str | Path] = [tenios, "simulate", "--port", "0"]
    print("$ tenios simulate &")
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as simulator:
        try:
            assert simulator.stdout is not None  # for the type checker
            # Once it is listening, it prints the client's environment variables and its address.
            lines = [simulator.stdout.readline() for _ in range(4)]
            print(*lines, sep="", end="")
            settings = dict(
                line.removeprefix("export ").strip().split("=", 1)
                for line in lines
                if line.startswith("export ")
            )
            print(f"$ tenios call '{number}'", flush=True)
            return subprocess.run(
                [tenios, "call", number], env={**os.environ, **settings}, check=False
            ).returncode
        finally:
            simulator.terminate()


if __name__ == "__main__":
    sys.exit(main())
