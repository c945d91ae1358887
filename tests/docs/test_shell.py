"""
Every shell command in the docs is run, or checked if it would install something or not end.
Commands run in this process with virtual time, unless another process shares their time.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import time
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cli.command import TENIOS, tenios
from support.postgresql import postgresql
from support.serving import serving

from tenios_campaign import Campaign
from tenios_ext.ledger import Ledger
from tenios_simulator import Scenario, Simulator
from tenios_simulator._clocks import ScaledClock

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")), ROOT / ".github/CONTRIBUTING.md"]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
TARGETS = {
    target
    for line in re.findall(r"^[a-z -]+(?=:)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for target in line.split()
}
CONNECTED_OR_CUSTOMER_FAILED = {0, 4}


class Command(NamedTuple):
    """
    A command in a document, without its prompt, and the output that the document shows, if any.
    """

    line: str
    output: str


def commands(document: Path) -> list[Command]:
    blocks = re.findall(r"^```console\n(.*?)^```", document.read_text(), re.DOTALL | re.MULTILINE)
    found = re.findall(r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)", "".join(blocks), re.MULTILINE)
    return [Command(line.replace("\\\n", " "), output) for line, output in found]


# Each command once, with its output if a document shows it. Those for curl and campaigns are run
# in order, below.
COMMANDS = dict(
    sorted(
        command
        for document in DOCUMENTS
        for command in commands(document)
        if not re.match(r"curl |id=\$\(curl |tenios campaign ", command.line)
    )
)


@pytest.mark.parametrize(("line", "shown"), COMMANDS.items(), ids=COMMANDS)
def test_command_works_and_prints_what_is_shown(line: str, shown: str) -> None:
    match shlex.split(line):
        case ["make", target]:
            assert target in TARGETS
        case ["pip", "install", package, *_]:
            name, _, extras = package.rstrip("]").partition("[")
            assert name in {"tenios-callback", "."}
            assert {extra for extra in extras.split(",") if extra} <= set(EXTRAS)
        case (
            ["python", "-m", "venv", ".venv"]
            | [".", ".venv/bin/activate"]
            | ["pytest"]
            | ["uvicorn", "app:app"]
        ):
            # test_snippets.py runs the quick start's files in this environment.
            pass
        case ["export", variable]:
            assert variable.startswith("TENIOS_LEDGER=postgresql://")
        case ["python", script]:  # tests/examples/test_workers.py runs them
            assert script.startswith("examples/")
            assert (ROOT / script).is_file()
        case ["tenios", "simulate"]:
            assert served_lines() == shown
        case ["tenios", "doctor"]:
            assert tenios("doctor", "--simulator").returncode == 0
        case ["tenios", "call", *arguments]:
            result = tenios("call", *arguments)
            assert result.returncode in CONNECTED_OR_CUSTOMER_FAILED, result.stderr
            assert not shown or without_times(result.stdout) == without_times(shown)
        case _:
            pytest.fail(f"No test runs this command: {line}")


def without_times(output: str) -> str:
    return re.sub(r"^ *\d+\.\d s ", "", output, flags=re.MULTILINE)


def served_lines() -> str:
    """Return the output of ``tenios simulate`` with the default port instead of a free one."""
    command: list[Any] = [TENIOS, "simulate", "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as server:
        assert server.stdout is not None
        lines = [server.stdout.readline() for _ in range(4)]
        server.terminate()
    return re.sub(
        r"127\.0\.0\.1:\d+",
        "127.0.0.1:8311",
        "".join(sorted(lines, key=lambda line: line[0] != "e")),
    )


def campaign_commands(document: str) -> list[Command]:
    return [
        command
        for command in commands(ROOT / document)
        if command.line.startswith("tenios campaign ")
    ]


def customers_file(folder: Path) -> None:
    [file] = re.findall(
        r"^```text\n(key,.*?)^```",
        (ROOT / "docs/campaigns.md").read_text(),
        re.DOTALL | re.MULTILINE,
    )
    (folder / "customers.csv").write_text(file)


def test_commands_for_campaigns_work_and_print_what_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    customers_file(tmp_path)
    monkeypatch.chdir(tmp_path)
    found = campaign_commands("docs/campaigns.md")
    assert len(found) == 5
    for line, shown in found:
        result = tenios(*shlex.split(line)[1:])
        assert (result.returncode, result.stderr) == (0, "")
        assert result.stdout == shown or not shown
    assert (tmp_path / "results.csv").read_text(encoding="utf-8-sig").count("talked") == 2


def test_commands_for_many_machines_share_the_campaign(tmp_path: Path) -> None:
    """The opening hours in the docs are omitted, because it may be night."""
    customers_file(tmp_path)
    document = "docs/campaign-deployment.md"
    add, work = (shlex.split(command.line)[1:] for command in campaign_commands(document))
    [service] = re.findall(
        r"^ExecStart=.*/bin/tenios (.*)$", (ROOT / document).read_text(), re.MULTILINE
    )
    assert shlex.split(service) == work
    between = work.index("--between")
    del work[between : between + 4]
    with postgresql() as url, serving(Simulator(clock=ScaledClock(200))) as server:
        environment = os.environ | {"TENIOS_LEDGER": url}
        subprocess.run([TENIOS, *add], check=True, cwd=tmp_path, env=environment)
        command: list[Any] = [TENIOS, *work, "--simulator", server.address]
        workers = [
            subprocess.Popen(
                command,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for _ in range(2)
        ]
        try:
            with Ledger(url) as ledger:
                while (summary := Campaign(ledger).summary()).talked < 2:
                    assert [worker.poll() for worker in workers] == [None, None]
                    time.sleep(0.1)
            assert summary.total == 4
        finally:
            for worker in workers:
                worker.terminate()
            printed = [worker.communicate()[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0]
    assert "talked" in "".join(printed)


needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


def curl(command: Command, address: str) -> str:
    arguments = shlex.split(command.line.replace("http://127.0.0.1:8311", address))
    options = ["--fail", "--silent", "--show-error"]
    result = subprocess.run([*arguments, *options], capture_output=True, text=True, check=False)
    assert result.returncode == 0, (command, result.stderr)
    return result.stdout


@needs_curl
def test_curl_commands_for_the_control_api_succeed_while_a_phone_rings() -> None:
    found = [
        command
        for command in commands(ROOT / "docs/testing.md")
        if command.line.startswith("curl ")
    ]
    assert found
    simulator = Simulator(scenario=Scenario.manual())
    with serving(simulator) as server, simulator.client() as client:
        client.start_callback("+49 221 4710123")
        simulator.clock.sleep(3)
        for command in found:
            curl(command, server.address)


@needs_curl
def test_curl_commands_for_other_languages_get_the_responses_shown() -> None:
    found = [
        command for command in commands(ROOT / "docs/other-languages.md") if "curl " in command.line
    ]
    simulator = Simulator(first_id=4711)
    with serving(simulator) as server:
        init, status = (
            each.line.replace("http://127.0.0.1:8311", server.address) for each in found
        )
        callback_id = subprocess.check_output(["sh", "-ec", f"{init}; echo $id"], text=True)
        simulator.clock.sleep(1.5)
        environment = os.environ | {"id": callback_id.strip()}
        printed = subprocess.check_output(
            ["sh", "-ec", f"{status} --silent"], env=environment, text=True
        )
    assert printed == found[1].output.rstrip("\n")


def test_make_targets_in_the_text_exist() -> None:
    named = {
        name
        for document in DOCUMENTS
        for name in re.findall(r"`make ([a-z][a-z-]*)", document.read_text())
    }
    assert named <= TARGETS
