"""What the scripts share that write tables of docs/other-languages.md."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/other-languages.md"
VENV = f"'{sys.executable}' -m venv .venv && .venv/bin/pip install --quiet"


class Named(Protocol):
    """A trial with the name that the table has."""

    @property
    def name(self) -> str: ...


NamedT = TypeVar("NamedT", bound=Named)


def main(
    head: tuple[str, ...], trials: Sequence[NamedT], row: Callable[[NamedT], tuple[str, ...]]
) -> None:
    """Print the rows of all trials and write them, or only print those of the trials that are named on the command line."""
    names = sys.argv[1:]
    rows = [row(trial) for trial in trials if not names or trial.name in names]
    print(json.dumps(rows, indent=2))
    if not names:
        write_table(head, rows)


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Write each text to its path in *folder*."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def shell(command: str, folder: Path, *, report: bool = False) -> subprocess.CompletedProcess[str]:
    """Run a command and show what it printed if it fails or if *report* is set."""
    ran = subprocess.run(
        ["sh", "-c", command], cwd=folder, capture_output=True, text=True, check=False, timeout=900
    )
    if ran.returncode or report:
        print(f"  {command}\n{(ran.stdout + ran.stderr)[-3000:]}", file=sys.stderr)
    return ran


def write_table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """Write the rows in the place of those of the table with this head."""
    page = PAGE.read_text(encoding="utf-8")
    lines = [_line(head), _line(("---",) * len(head))]
    before, found, rest = page.partition("\n".join(lines) + "\n")
    if not found:
        raise LookupError(f"{PAGE} has no table with the head {lines[0]}")
    while rest.startswith("|"):
        rest = rest.partition("\n")[2]
    PAGE.write_text(before + "\n".join([*lines, *map(_line, rows)]) + "\n" + rest, encoding="utf-8")


def _line(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
