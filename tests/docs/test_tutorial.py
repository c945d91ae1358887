"""The tutorial, done as somebody would do it, and the site, built as it is published."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import tenios_ext
from tenios_ext.cli import main

ROOT = Path(__file__).resolve().parents[2]
TUTORIAL = (ROOT / "docs/tutorial.md").read_text()
BIN = Path(sys.executable).parent


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(
        shlex.split(command), cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_tutorial_leads_to_passing_tests(tmp_path: Path) -> None:
    """Its files, saved under the names in their first lines, pass their tests; its call is answered."""
    for name, code in re.findall(r"```python\n# (\S+\.py)\n(.*?)```", TUTORIAL, re.DOTALL):
        (tmp_path / name).write_text(code)
    commands = [line[2:] for line in TUTORIAL.splitlines() if line.startswith("$ ")]
    assert [command for command in commands if command.startswith("python -m venv")]
    tested = run(next(command for command in commands if command == "pytest"), tmp_path)
    assert "4 passed" in tested.stdout, tested.stdout + tested.stderr
    called = run(next(command for command in commands if command.startswith("tenios call")), tmp_path)
    assert called.stdout.endswith("They talked.\n"), called.stderr


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The pages, by name; a warning fails."""
    folder = tmp_path_factory.mktemp("site")
    built = run(f"sphinx-build --fail-on-warning --keep-going --quiet {ROOT / 'docs'} {folder}", ROOT)
    assert built.returncode == 0, built.stderr
    return {page.name: page.read_text() for page in folder.glob("*.html")}


def test_reference_is_complete(site: dict[str, str]) -> None:
    """Each class that a user meets is in it, and each command."""
    names = [name for name in tenios_ext.__all__ if not name.startswith("__")]
    assert [name for name in names if f">{name}<" not in site["reference.html"]] == []
    assert [name for name in main.commands if f'id="tenios-{name}"' not in site["command.html"]] == []


def test_man_page_has_each_command(tmp_path: Path) -> None:
    """`man tenios` says what the help says."""
    built = run(f"sphinx-build --fail-on-warning --quiet -b man {ROOT / 'docs'} {tmp_path}", ROOT)
    assert built.returncode == 0, built.stderr
    page = (tmp_path / "tenios.1").read_text()
    assert page.startswith('.\\" Man page')
    assert [name for name in main.commands if f"tenios {name}" not in page] == []


def test_site_links_lead_somewhere(site: dict[str, str]) -> None:
    """Each link within the site is a page of it, with the heading that it names."""
    for name, text in site.items():
        for target, anchor in re.findall(r'href="([\w-]+\.html)?(?:#([^"]+))?"', text):
            page = site.get(target or name)
            assert page is not None, (name, target)
            assert not anchor or f'id="{anchor}"' in page, (name, target, anchor)


def test_site_needs_no_other_host(site: dict[str, str]) -> None:
    """A page of it can be read without the internet."""
    loaded = [url for text in site.values() for url in re.findall(r'(?:src|<link[^>]*href)="(https?:[^"]+)"', text)]
    assert loaded == []
