"""
Write tenios_ext/_sync_client.py from tenios_ext/_async_client.py, or check that it is up to date.

    generate_sync.py            write
    generate_sync.py --check    change nothing; exit with 1 if the file is out of date

Lines that end in "# async only", and those between "# async only: begin" and "# async only: end",
are left out, and so are imports that nothing uses then.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE, TARGET = ROOT / "tenios_ext/_async_client.py", ROOT / "tenios_ext/_sync_client.py"
DOCSTRING = '''"""
The client for threads. Generated from _async_client.py: change that file and run "make generate".
"""'''

# Applied in this order to what is left. Each must be found, so that none outlives what it was
# written for.
REPLACEMENTS = [
    (r'^"""[^"]*"""', DOCSTRING),
    (r"\n +aiohttp: Whether (?:.|\n)*?(?=\n\n)", ""),
    (r",\s+for asyncio\.\n", ".\n"),
    (r"share it between tasks, and", "share it between threads, and"),
    (r"\n +Each event loop has its own connections\.\n", ""),
    (r"async_raise_for_status", "raise_for_status"),
    (r"\basync_sleep\b", "sleep"),
    (r"\basyncio_detailed\b", "sync_detailed"),
    (r"\bset_async_httpx_client\b", "set_httpx_client"),
    (r"\b_async_transport\b", "_transport"),
    (r"\b__a(?=enter__|exit__)", "__"),
    (r"\baclose\b", "close"),
    (r"\bAsync(?=[A-Z])", ""),
    (r"``async with``", "``with``"),
    (r"\basyncio\.to_thread\(([\w.]+)(?:, )?", r"\1("),
    (r"\b(async|await) ", ""),
]


def to_sync(source: str) -> str:
    """Return the source of the sync client. Raises ValueError if a replacement finds nothing."""
    source = re.sub(r" *# async only: begin\n(?:.|\n)*?# async only: end\n", "", source)
    source = re.sub(r"^.*# async only\n", "", source, flags=re.MULTILINE)
    if "async only" in source:
        raise ValueError(
            f"A mark 'async only' in {SOURCE.name} is misspelt, or its beginning or end is missing."
        )
    for pattern, replacement in REPLACEMENTS:
        source, count = re.subn(pattern, replacement, source)
        if not count:
            raise ValueError(
                f"{pattern!r} is not found in {SOURCE.name}; remove it from {Path(__file__).name}."
            )
    if left := re.search(r"(?i)async", source.replace("_async_client.py", "")):
        raise ValueError(
            f"{left.group()!r} is left in the sync client; add a replacement to "
            f"{Path(__file__).name}."
        )
    return source


def formatted(source: str) -> str:
    """Return *source* as ruff formats it, with its imports sorted."""
    ruff = [Path(sys.executable).with_name("ruff")]
    for command in (["check", "--fix", "--select", "I,F401", "--quiet"], ["format", "--quiet"]):
        named: list[str | Path] = [*ruff, *command, "--no-cache", "--stdin-filename", TARGET, "-"]
        source = subprocess.run(
            named, input=source, capture_output=True, text=True, check=True, cwd=ROOT
        ).stdout
    return source


def main() -> int:
    expected = formatted(to_sync(SOURCE.read_text(encoding="utf-8")))
    if "--check" not in sys.argv[1:]:
        TARGET.write_text(expected, encoding="utf-8")
        return 0
    if TARGET.is_file() and TARGET.read_text(encoding="utf-8") == expected:
        return 0
    print(f'{TARGET.relative_to(ROOT)} is out of date; run "make generate" and commit the result.')
    return 1


if __name__ == "__main__":
    sys.exit(main())
