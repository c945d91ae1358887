"""
Draw two pictures for the docs: the statuses of a callback, and a call on the command line.

    pictures.py FOLDER

The tests of web pages take their screenshots; see `make pictures`.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console

TENIOS = Path(sys.executable).with_name("tenios")
NUMBER = "+49 30 23125 202"
# The column and row of each status, and the statuses that may follow it.
STATUSES = {
    "REQUESTED": (0, 0, ["ACCEPTED"]),
    "ACCEPTED": (1, 0, ["CALLING_A"]),
    "CALLING_A": (2, 0, ["CALLING_B", "CALL_A_FAILED"]),
    "CALL_A_FAILED": (2, 1, []),
    "CALLING_B": (3, 0, ["CONNECTED", "CALL_B_FAILED"]),
    "CALL_B_FAILED": (3, 1, []),
    "CONNECTED": (4, 0, ["DISCONNECTED"]),
    "DISCONNECTED": (4, 1, []),
}
WIDE, HIGH, STEP_X, STEP_Y = 132, 40, 168, 96
STYLE = """
  text { font: 600 13px system-ui, sans-serif; text-anchor: middle; dominant-baseline: central;
    fill: #1c2430; }
  rect { fill: #ffffff; stroke: #556070; stroke-width: 1.5; rx: 8px; }
  rect.good { fill: #d9f2e3; stroke: #17693a; }
  rect.bad { fill: #fbe0dd; stroke: #a8261c; }
  path { stroke: #556070; stroke-width: 1.5; fill: none; marker-end: url(#tip); }
"""


def course() -> str:
    """Return an SVG of the statuses and their order."""
    parts = []
    for column, row, followers in STATUSES.values():
        for follower in followers:
            to_column, to_row, _ = STATUSES[follower]
            left = 16 + column * STEP_X
            if to_row == row:
                parts.append(f'<path d="M{left + WIDE} {36} H{16 + to_column * STEP_X - 7}"/>')
            else:
                parts.append(f'<path d="M{left + WIDE / 2} {16 + HIGH} V{16 + STEP_Y - 7}"/>')
    for name, (column, row, followers) in STATUSES.items():
        kind = "" if followers else "good" if name == "DISCONNECTED" else "bad"
        x, y = 16 + column * STEP_X, 16 + row * STEP_Y
        parts.append(f'<rect class="{kind}" x="{x}" y="{y}" width="{WIDE}" height="{HIGH}"/>')
        parts.append(f'<text x="{x + WIDE / 2}" y="{y + HIGH / 2}">{name}</text>')
    tip = (
        '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
        'orient="auto">'
    )
    size = f"{16 * 2 + 4 * STEP_X + WIDE} {16 * 2 + STEP_Y + HIGH}"
    return "\n".join(
        [
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" role="img" '
                'aria-label="The statuses of a callback">'
            ),
            f"<style>{STYLE}</style>",
            (
                f'<defs>{tip}<path d="M0 0 L8 4 L0 8 z" '
                'style="fill:#556070;stroke:none;marker-end:none"/></marker></defs>'
            ),
            *parts,
            "</svg>\n",
        ]
    )


def call() -> str:
    """Return an SVG of the output of `tenios call`, which takes 15 seconds."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("TENIOS_")
    }
    command: list[str | Path] = [TENIOS, "call", NUMBER, "--simulator"]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ran.stderr:
        sys.exit(ran.stderr)
    console = Console(record=True, width=72, file=io.StringIO())
    console.print(f"[bold]$ tenios call '{NUMBER}' --simulator[/]")
    console.print(ran.stdout, end="", highlight=False)
    picture = console.export_svg(title="tenios")
    # Without its font, which Rich loads from another host, the picture needs no network.
    return re.sub(r"@font-face\s*\{.*?\}\s*", "", picture, flags=re.DOTALL)


def main() -> None:
    folder = Path(sys.argv[1])
    (folder / "course.svg").write_text(course(), encoding="utf-8")
    (folder / "call.svg").write_text(call(), encoding="utf-8")


if __name__ == "__main__":
    main()
