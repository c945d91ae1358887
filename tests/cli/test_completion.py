"""Completion in bash, zsh and fish, installed as documented."""

from __future__ import annotations

import os
import pty
import re
import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from cli.command import ROOT, TENIOS, python
from click.shell_completion import BashComplete

from tenios_cli import main
from tenios_cli._main import COMMANDS

if TYPE_CHECKING:
    from pathlib import Path

SHELLS = {"bash": ".bashrc", "zsh": ".zshrc", "fish": ""}
DOCUMENT = (ROOT / "docs/command-line.md").read_text()
# Runs the command for completion only; otherwise it records its arguments.
WRAPPER = f"""#!/bin/sh
[ "$_TENIOS_COMPLETE" ] && exec {shlex.quote(str(TENIOS))} "$@"
printf '%s\\n' "$*" >> "$HOME/ran"
"""


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if shutil.which(name) is None:
        text = f"This test needs {name}. Install it first: make system."
        pytest.fail(text) if os.environ.get("CI") else pytest.skip(text)
    return name


@pytest.fixture
def home(shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder with completion for a shell."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/tenios").write_text(WRAPPER)
    (tmp_path / "bin/tenios").chmod(0o755)
    (tmp_path / ".config/fish/completions").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    [command] = re.findall(rf"^\| {shell} \| `(.*)` \|$", DOCUMENT, re.MULTILINE)
    subprocess.run(["sh", "-c", command], check=True)
    if SHELLS[shell]:
        [line] = re.findall(rf"`(\. ~/\S+\.{shell})` to", DOCUMENT.replace("\n", " "))
        compinit = "autoload -U compinit; compinit\n" if shell == "zsh" else ""
        (tmp_path / SHELLS[shell]).write_text(f"{compinit}{line}\n")
    return tmp_path


def typed(shell: str, keys: str, home: Path) -> str:
    """Type into a new shell at a terminal, and return everything it has drawn."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(home)
        os.execlp(shell, shell, "-i")
    os.write(terminal, f"{keys}exit\r".encode())
    drawn = ""
    while True:
        try:
            drawn += os.read(terminal, 65536).decode(errors="replace")
        except OSError:  # the shell has ended
            break
    os.close(terminal)
    os.waitpid(pid, 0)
    return drawn


def test_tab_completes_commands_options_values_and_files(shell: str, home: Path) -> None:
    (home / "customers.csv").touch()
    lines = [
        "tenios camp\tadd cust\t--att\t3\r",
        "tenios contr\t--for\tya\t\r",
        "tenios ledger list --state not\t\r",
    ]
    drawn = typed(shell, "".join(lines), home)
    assert (home / "ran").read_text().splitlines() == [
        "campaign add customers.csv --attempts 3",
        "contract --format yaml",
        "ledger list --state not_placed",
    ], drawn


def test_new_shell_without_the_command_prints_no_error(shell: str, home: Path) -> None:
    (home / "bin/tenios").unlink()
    with_completion = typed(shell, "", home)
    assert not re.search("tenios|error|not found", with_completion), with_completion


def test_completion_does_not_import_the_client() -> None:
    result = python(
        "import sys\n"
        "from click.shell_completion import BashComplete\n"
        "from tenios_cli import main\n"
        "complete = BashComplete(main, {}, 'tenios', '').get_completions\n"
        "names = [each.value for each in complete([], '')]\n"
        "assert all(complete([name], '-') for name in names)\n"
        "print(*names)\n"
        "print(*{'httpx', 'sqlalchemy', 'rich', 'tenios_client'} & set(sys.modules))\n"
    )
    assert result.returncode == 0, result.stderr
    names, imported = result.stdout.splitlines()
    assert names.split() == list(COMMANDS)
    assert imported == ""


def test_empty_value_does_not_end_completion() -> None:
    complete = BashComplete(main, {}, "tenios", "").get_completions
    assert "--json" in [each.value for each in complete(["call", "--reason="], "--j")]
