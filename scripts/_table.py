"""Writes a table of docs/other-languages.md."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/other-languages.md"


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
