from __future__ import annotations

import sys
from importlib.metadata import version

import click
import pytest
from cli.command import ROOT, python, tenios

from tenios_cli import main
from tenios_cli._exit_codes import ExitCode
from tenios_cli._main import COMMANDS

USAGES = {
    "call": "[OPTIONS] NUMBER",
    "status": "[OPTIONS] ID",
    "watch": "[OPTIONS] ID...",
    "numbers": "[OPTIONS]",
    "contract": "[OPTIONS]",
    "doctor": "[OPTIONS]",
    "campaign": "[OPTIONS] COMMAND [ARGS]...",
    "campaign add": "[OPTIONS] FILE",
    "campaign run": "[OPTIONS]",
    "campaign worker": "[OPTIONS]",
    "campaign status": "[OPTIONS]",
    "campaign export": "[OPTIONS] FILE",
    "campaign pause": "[OPTIONS]",
    "campaign resume": "[OPTIONS]",
    "campaign cancel": "[OPTIONS] KEY",
    "campaign retry": "[OPTIONS] [KEYS]...",
    "campaign set": "[OPTIONS]",
    "campaign forget": "[OPTIONS]",
    "ledger": "[OPTIONS] COMMAND [ARGS]...",
    "ledger list": "[OPTIONS]",
    "ledger show": "[OPTIONS] KEY",
    "ledger resolve": "[OPTIONS] KEY",
    "ledger block": "[OPTIONS] NUMBER",
    "ledger unblock": "[OPTIONS] NUMBER",
    "ledger blocked": "[OPTIONS]",
    "ledger forget": "[OPTIONS]",
    "simulate": "[OPTIONS]",
}


def command(name: str) -> click.Command:
    found: click.Command | None = main
    for word in name.split():
        assert isinstance(found, click.Group)
        found = found.get_command(click.Context(found), word)
    assert found is not None
    return found


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_import_only_click(option: str) -> None:
    result = python(
        "import sys\n"
        "before = set(sys.modules)\n"
        "from tenios_cli import main\n"
        f"main([{option!r}], standalone_mode=False)\n"
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before}, file=sys.stderr)\n"
    )
    imported = set(result.stderr.split())
    assert imported - sys.stdlib_module_names == {"click", "tenios_cli"}
    assert "asyncio" not in imported


def test_help_lists_each_command_with_its_short_help() -> None:
    lines = tenios("--help").stdout.splitlines()
    for name, short_help in COMMANDS.items():
        assert f"  {name:8}  {short_help}" in lines
        assert command(name).get_short_help_str(limit=1000) == short_help


def test_each_module_in_commands_is_listed() -> None:
    modules = {path.stem for path in (ROOT / "tenios_cli/commands").glob("[!_]*")}
    assert modules == set(COMMANDS)


def test_each_command_has_a_usage() -> None:
    names = set(COMMANDS)
    for name in COMMANDS:
        if isinstance(group := command(name), click.Group):
            names |= {f"{name} {each}" for each in group.commands}
    assert names == set(USAGES)


@pytest.mark.parametrize("name", USAGES)
def test_help_of_a_command_has_its_usage_and_describes_each_option(name: str) -> None:
    text = tenios(*name.split(), "-h").stdout
    short_help = COMMANDS.get(name) or command(name).get_short_help_str(limit=1000)
    assert text.startswith(f"Usage: tenios {name} {USAGES[name]}\n\n  {short_help}\n")
    for option in command(name).params:
        if isinstance(option, click.Option) and not option.hidden:
            assert option.help, option.name
            assert option.help.split()[0] in text.partition(option.opts[0])[2].splitlines()[0]


def test_help_lists_each_exit_code() -> None:
    lines = tenios("--help").stdout.splitlines()
    first = lines.index("  Exit codes (!: phones may be ringing):") + 1
    assert [int(line.split()[0]) for line in lines[first:]] == [*ExitCode]
    for name in ("call", "status", "watch"):
        assert tenios(name, "--help").stdout.endswith("\n  Exit codes: see `tenios --help`.\n")


def test_version_is_that_of_the_distribution() -> None:
    assert tenios("--version").stdout == f"tenios, version {version('tenios-callback')}\n"


def test_python_m_runs_the_command() -> None:
    result = python(
        "import runpy, sys; sys.argv = ['', '--version']; runpy.run_module('tenios_cli', "
        "run_name='__main__')"
    )
    assert result.stdout == tenios("--version").stdout


def test_unknown_command_is_wrong_usage() -> None:
    result = tenios("cal")
    assert result.returncode == 2
    assert "No such command 'cal'" in result.stderr


def test_missing_click_is_one_sentence() -> None:
    result = python("import sys; sys.modules['click'] = None; from tenios_cli import main; main()")
    assert result.returncode == 1
    assert result.stderr == "click is not installed. Run: pip install 'tenios-callback[cli]'\n"


@pytest.mark.parametrize("arguments", [["simulate"], ["call", "1", "--simulator"]])
def test_missing_simulator_extra_is_one_sentence(arguments: list[str]) -> None:
    result = python(
        "import sys; sys.modules['jsonschema_rs'] = None; from tenios_cli import main; "
        f"main({arguments})"
    )
    assert result.returncode == 1
    assert result.stderr == (
        "jsonschema_rs is not installed. Run: pip install 'tenios-callback[simulator]'\n"
    )
