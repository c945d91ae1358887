"""
Write the sync modules of tenios_ext from the async ones, or check that they are up to date.

    generate_sync.py            write the modules
    generate_sync.py --check    write nothing; exit with 1 if a module is out of date

Omits lines that end in "# async only", lines between "# async only: begin" and "# async only: end",
and imports that are then unused.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "tenios_ext"
MODULES = {
    "_async_client.py": "_sync_client.py",
    "_async_poller.py": "_poller.py",
    "_async_transport.py": "_transport.py",
    "_async_network.py": "_network.py",
}

# Applied in this order to the remaining text. Each must match in at least one module.
REPLACEMENTS = [
    (r"\n +aiohttp: Whether (?:.|\n)*?(?=\n\n)", ""),
    (r", aiohttp=aiohttp|, \*, aiohttp: bool", ""),
    (r"\s+or aiohttp\s+cannot be\s+used\.", " cannot be used."),
    (r",\s+for asyncio\.\n", ".\n"),
    (r"share it between tasks, and", "share it between threads, and"),
    (r"\n +Each event loop has its own connections\.\n", ""),
    (r" Each\s+event loop has its own\.", ""),
    (r"\s+After a fork, two processes.*?fails\.", ""),
    (r"\basync_(?=sleep|in_thread)", ""),
    (r"\basyncio_detailed\b", "sync_detailed"),
    (r"\bget_async_httpx_client\b", "get_httpx_client"),
    (r"\bhandle_async_request\b", "handle_request"),
    (r"\b_async_(?=poller|transport|network)", "_"),
    (r" *# Not asyncio's own race[^\n]*\n", ""),
    (r"\bAsyncioBackend\b", "httpcore.SyncBackend"),
    (r"\bAsyncByteStream\b", "SyncByteStream"),
    (r"os\.getpid\(\), asyncio\.get_running_loop\(\)", "os.getpid()"),
    (r"tuple\[int, asyncio\.AbstractEventLoop\]", "int"),
    (r"\b__a(?=enter__|exit__)", "__"),
    (r"\ba(?=close\b|closing\b)", ""),
    (r"\b(_?)Async(?=[A-Z])", r"\1"),
    (r"``async with``", "``with``"),
    (r"\b(async|await) ", ""),
]


def to_sync(name: str, source: str, found: set[str]) -> str:
    """Return the sync twin of a module, and add the patterns that matched to *found*."""
    source = re.sub(r'^""".*?"""', "", source, flags=re.DOTALL)
    source = re.sub(r" *# async only: begin\n(?:.|\n)*?# async only: end\n", "", source)
    source = re.sub(r"^.*# async only\n", "", source, flags=re.MULTILINE)
    if "async only" in source:
        raise ValueError(
            f"{name} has an 'async only' comment that is misspelt, or has no beginning or end."
        )
    for pattern, replacement in REPLACEMENTS:
        source, count = re.subn(pattern, replacement, source, flags=re.DOTALL)
        if count:
            found.add(pattern)
    if left := re.search(r"(?i)async\w*", source):
        raise ValueError(
            f"{left.group()!r} remains in the sync twin of {name}. Add a replacement to "
            f"{Path(__file__).name}."
        )
    return f'"""The twin for threads of {name}: change that and run "make generate"."""' + source


def all_sync(folder: Path = PACKAGE) -> dict[str, str]:
    """Return the source of each twin. Raises ValueError if a replacement does not match."""
    found: set[str] = set()
    twins = {
        twin: to_sync(name, (folder / name).read_text(encoding="utf-8"), found)
        for name, twin in MODULES.items()
    }
    if unused := [pattern for pattern, _ in REPLACEMENTS if pattern not in found]:
        raise ValueError(
            f"{unused[0]!r} matches nothing in {', '.join(MODULES)}. Remove it from "
            f"{Path(__file__).name}."
        )
    return twins


def formatted(name: str, source: str) -> str:
    """Return *source* as ruff formats it, with its imports sorted."""
    ruff = [Path(sys.executable).with_name("ruff")]
    options: list[str | Path] = ["--no-cache", "--stdin-filename", PACKAGE / name, "-"]
    for command in (["check", "--fix", "--select", "I,F401", "--quiet"], ["format", "--quiet"]):
        source = subprocess.run(
            [*ruff, *command, *options],
            input=source,
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
        ).stdout
    return source


def main() -> int:
    is_check = "--check" in sys.argv[1:]
    status = 0
    for name, source in all_sync().items():
        target, expected = PACKAGE / name, formatted(name, source)
        if not is_check:
            target.write_text(expected, encoding="utf-8")
        elif not target.is_file() or target.read_text(encoding="utf-8") != expected:
            print(
                f'{target.relative_to(ROOT)} is out of date. Run "make generate" and commit the '
                "result."
            )
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
