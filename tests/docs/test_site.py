"""The site and the man page, built as they are published. A warning is an error."""

from __future__ import annotations

import posixpath
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

import tenios_campaign
import tenios_ext
import tenios_simulator
from tenios_cli import main
from tenios_simulator import faults

ROOT = Path(__file__).resolve().parents[2]


def commands(group: click.Group, name: str) -> dict[str, click.Command]:
    """Return the commands by full name."""
    context = click.Context(group)
    found: dict[str, click.Command] = {}
    for each in group.list_commands(context):
        command = group.get_command(context, each)
        assert command is not None
        found[f"{name} {each}"] = command
        if isinstance(command, click.Group):
            found |= commands(command, f"{name} {each}")
    return found


COMMANDS = commands(main, "tenios")


def build(output: Path, doctrees: Path, *options: str) -> None:
    sphinx: Any = Path(sys.executable).with_name("sphinx-build")
    command = [
        sphinx,
        "--fail-on-warning",
        "--keep-going",
        "--quiet",
        "--doctree-dir",
        doctrees,
        *options,
        ROOT / "docs",
        output,
    ]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@pytest.fixture(scope="module")
def doctrees(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The parsed documents, which both builds share."""
    return tmp_path_factory.mktemp("doctrees")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, doctrees: Path) -> dict[str, str]:
    """The pages by name."""
    folder = tmp_path_factory.mktemp("site")
    build(folder, doctrees)
    pages = {page.relative_to(folder): page for page in folder.rglob("*.html")}
    return {path.as_posix(): page.read_text() for path, page in pages.items()}


def test_reference_has_each_public_name(site: dict[str, str]) -> None:
    names = [f"tenios_ext.{name}" for name in tenios_ext.__all__]
    names += [f"tenios_campaign.{name}" for name in tenios_campaign.__all__]
    names += [f"tenios_simulator.{name}" for name in tenios_simulator.__all__ if name != "faults"]
    names += [f"tenios_simulator.faults.{kind.__name__}" for kind in faults.KINDS.values()]
    names += ["tenios_ext.openapi.contract_text"]
    names += [f"tenios_ext.ledger.{name}" for name in ("Ledger", "LedgerEntry", "LedgerState")]
    assert [name for name in names if f'id="{name}"' not in site["reference.html"]] == []


def test_reference_shows_no_private_module(site: dict[str, str]) -> None:
    shown = {name: re.findall(r"\btenios_\w+\._[a-z]\w*", text) for name, text in site.items()}
    assert {name: found for name, found in shown.items() if found} == {}


def test_command_page_has_each_command_and_option(site: dict[str, str]) -> None:
    page = site["command-line.html"]
    assert "\N{EN DASH}" not in page  # --simulator, in typographic spelling
    for name, command in COMMANDS.items():
        identifier = name.replace(" ", "-")
        assert f'id="{identifier}"' in page
        for option in command.params:
            if isinstance(option, click.Option) and not option.hidden:
                assert f'id="cmdoption-{identifier}-{option.opts[-1].lstrip("-")}"' in page


def test_pages_are_marked_with_their_language(site: dict[str, str]) -> None:
    for name, page in site.items():
        assert f'lang="{"de" if name.startswith("de/") else "en"}"' in page


def test_man_page_has_each_command(tmp_path: Path, doctrees: Path) -> None:
    build(tmp_path, doctrees, "-b", "man")
    page = (tmp_path / "tenios.1").read_text()
    assert '.\\" Man page' in page
    assert [name for name in COMMANDS if name not in page] == []
    assert r"\%<" not in page, "a link to a page, which the man page does not have"


def test_links_within_the_site_resolve(site: dict[str, str]) -> None:
    for name, text in site.items():
        for target, anchor in re.findall(r'href="([\w./-]+\.html)?(?:#([^"]+))?"', text):
            page = site.get(posixpath.normpath(f"{name}/../{target}") if target else name)
            assert page is not None, (name, target)
            assert not anchor or f'id="{anchor}"' in page, (name, target, anchor)


def test_each_page_is_in_the_contents(site: dict[str, str]) -> None:
    documents = (page.relative_to(ROOT / "docs") for page in ROOT.glob("docs/**/*.md"))
    pages = {page.with_suffix(".html").as_posix() for page in documents}
    assert [
        page
        for page in sorted(pages)
        if f'href="{page}"' not in site["index.html"] and page != "index.html"
    ] == []


def test_site_loads_nothing_from_other_hosts(site: dict[str, str]) -> None:
    loaded = [
        url
        for text in site.values()
        for url in re.findall(r'(?:src|<link[^>]*href)="(https?:[^"]+)"', text)
    ]
    assert loaded == []
