"""scripts/generate_sync.py writes the sync modules from the async ones."""

from __future__ import annotations

import importlib.util
import inspect
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tenios_ext import AsyncTenios, Tenios

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path("scripts/generate_sync.py")
SOURCE = Path("tenios_ext/_async_client.py")
TARGET = Path("tenios_ext/_sync_client.py")

_spec = importlib.util.spec_from_file_location("generate_sync", ROOT / SCRIPT)
assert _spec is not None
assert _spec.loader is not None
generate_sync = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(generate_sync)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the script, its sources and its targets."""
    pairs = generate_sync.MODULES.items()
    modules = [SOURCE.with_name(each) for pair in pairs for each in pair]
    for name in (SCRIPT, Path("pyproject.toml"), *modules):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def run(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, root / SCRIPT, *options], capture_output=True, text=True, check=False
    )


def to_sync(source: str) -> str:
    return str(generate_sync.to_sync(SOURCE.name, source, set()))


def edit(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))


def test_committed_sync_client_is_up_to_date() -> None:
    checked = run(ROOT, "--check")
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("before", "after", "reaches"),
    [
        ("Yield each new status", "Yield every new status", "Yield every new status"),
        (
            "self.outcome = Outcome(handle)",
            "self.outcome = self.newest = Outcome(handle)",
            "self.outcome = self.newest",
        ),
        (
            "await self._http.aclose()",
            "await self._http.aclose()  # closes all",
            "self._http.close()  # closes all",
        ),
    ],
)
def test_check_notices_a_change_of_the_async_client(
    copy: Path, before: str, after: str, reaches: str
) -> None:
    target = (copy / TARGET).read_text()
    assert reaches not in target
    edit(copy / SOURCE, before, after)
    checked = run(copy, "--check")
    assert checked.returncode == 1
    assert (
        checked.stdout
        == 'tenios_ext/_sync_client.py is out of date. Run "make generate" and commit the result.\n'
    )
    assert (copy / TARGET).read_text() == target, "--check changes nothing"
    assert run(copy).returncode == 0
    assert reaches in (copy / TARGET).read_text()
    assert run(copy, "--check").returncode == 0


@pytest.mark.parametrize("damage", ["edited", "missing"])
def test_check_notices_a_damaged_sync_client(copy: Path, damage: str) -> None:
    target = (copy / TARGET).read_text()
    if damage == "edited":
        (copy / TARGET).write_text(target + "# by hand\n")
    else:
        (copy / TARGET).unlink()
    assert run(copy, "--check").returncode == 1
    assert run(copy).returncode == 0
    assert (copy / TARGET).read_text() == target


def test_sync_client_says_that_it_is_generated() -> None:
    for name, twin in generate_sync.MODULES.items():
        docstring = (ROOT / TARGET).with_name(twin).read_text().partition("from __future__")[0]
        assert f"twin for threads of {name}" in docstring
        assert "make generate" in docstring


def test_sync_client_has_nothing_asynchronous() -> None:
    for name, twin in generate_sync.MODULES.items():
        text = (ROOT / TARGET).with_name(twin).read_text().replace(name, "")
        assert re.findall(r"(?i)\w*a(?:sync|wait|iter\b|next\b|close\b)\w*", text) == []
        assert "aiohttp" not in text
    assert not hasattr(Tenios, "watch_many")
    assert hasattr(AsyncTenios, "watch_many")
    assert "aiohttp" not in inspect.signature(Tenios).parameters


def test_parts_marked_async_only_do_not_reach_the_sync_client() -> None:
    source = (ROOT / SOURCE).read_text()
    marked = source.replace(
        "class AsyncCallback:\n",
        "# async only: begin\nasync def only_in_block() -> None:\n    pass\n\n\n# async only: end\n"
        "ONLY_ON_LINE = 1  # async only\nFOR_BOTH = 1\n\n\nclass AsyncCallback:\n",
    )
    assert marked != source
    result = to_sync(marked)
    assert "only_in_block" not in result
    assert "ONLY_ON_LINE" not in result
    assert "FOR_BOTH" in result
    assert result.replace("FOR_BOTH = 1\n", "").split() == to_sync(source).split()


@pytest.mark.parametrize("leftover", ["async_only_helper()", "asyncio.sleep(1)", "set_async()"])
def test_what_cannot_be_translated_is_an_error(leftover: str) -> None:
    source = (ROOT / SOURCE).read_text()
    with pytest.raises(ValueError, match="remains in the sync twin"):
        to_sync(f"{source}\n{leftover}\n")


@pytest.mark.parametrize("mark", ["# async only: begin\n", "# async only: end\n", "#async only\n"])
def test_mark_that_matches_nothing_is_an_error(mark: str) -> None:
    """Otherwise, async code with a misspelt or unclosed comment would reach the sync client."""
    source = (ROOT / SOURCE).read_text()
    with pytest.raises(ValueError, match="async only"):
        to_sync(f"{source}\nLEFT = 1  {mark}")


def test_replacement_that_finds_nothing_is_an_error(copy: Path) -> None:
    edit(copy / SOURCE, "share it between tasks", "share it among tasks")
    with pytest.raises(ValueError, match=r"share it between tasks.* matches nothing in "):
        generate_sync.all_sync(copy / SOURCE.parent)
