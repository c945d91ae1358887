"""What the documents show is run, and what they list is compared with what there is."""

from __future__ import annotations

import asyncio
import inspect
import re
import shlex
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.faults import AFTER_THE_REQUEST
from support.serving import serving

from tenios_ext import AsyncTenios, CallbackStatus, OutcomeUnknownError, RejectedError, is_final
from tenios_ext.cli import main, report
from tenios_ext.clock import SystemClock
from tenios_ext.simulator import ACCESS_KEY, CALLBACK_CONFIG_ID, MAGIC_NUMBERS, Journey, Simulator, faults

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "docs/guide.md"]
GUIDE = DOCUMENTS[1].read_text()
#: How many seconds pass for clients and simulator in one second.
SPEED = 100
SNIPPETS = [
    pytest.param(code, id=f"{document.name}-{number}")
    for document in DOCUMENTS
    for number, code in enumerate(re.findall(r"```python\n(.*?)```", document.read_text(), re.DOTALL), 1)
    if not code.startswith("# test_")  # a test file, which the tests of the pytest plugin run
]


@pytest.fixture
def _fast_time(monkeypatch: pytest.MonkeyPatch) -> None:
    beginning = time.monotonic()

    async def async_sleep(_: SystemClock, seconds: float) -> None:
        await asyncio.sleep(seconds / SPEED)

    monkeypatch.setattr(SystemClock, "now", lambda _: 1e9 + (time.monotonic() - beginning) * SPEED)
    monkeypatch.setattr(SystemClock, "sleep", lambda _, seconds: time.sleep(seconds / SPEED))
    monkeypatch.setattr(SystemClock, "async_sleep", async_sleep)


@pytest.fixture
def _simulator(_fast_time: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A running simulator, and the environment that it would have printed."""
    with serving(Simulator(clock=SystemClock())) as server:
        monkeypatch.setenv("TENIOS_BASE_URL", server.address)
        monkeypatch.setenv("TENIOS_ACCESS_KEY", ACCESS_KEY)
        monkeypatch.setenv("TENIOS_CALLBACK_CONFIG_ID", CALLBACK_CONFIG_ID)
        yield


@pytest.mark.usefixtures("_simulator")
@pytest.mark.parametrize("code", SNIPPETS)
def test_snippet_runs(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each Python block does what it shows, on the simulator; test functions in it are called."""
    names: dict[str, Any] = {"__name__": "snippet"}
    exec(compile(code, "snippet", "exec"), names)
    for name, function in names.items():
        if name.startswith("test_"):
            function()
    printed = capsys.readouterr().out
    assert "may be ringing" not in printed
    assert "No telephone rings" not in printed


@pytest.mark.skipif(shutil.which("curl") is None, reason="There is no curl on this machine.")
@pytest.mark.parametrize("document", ["guide.md", "other-languages.md"])
def test_curl_commands_work(document: str) -> None:
    """Each of them is taken by the simulator; a callback is just ringing there, as the documents suppose."""
    simulator = Simulator(journey=Journey.by_hand())
    blocks = re.findall(r"```console\n(.*?)```", (ROOT / "docs" / document).read_text(), re.DOTALL)
    commands = re.findall(r"^\$ (curl (?:.*\\\n)*.*)", "\n".join(blocks), re.MULTILINE)
    assert commands
    with serving(simulator) as server, simulator.client() as tenios:
        tenios.start_callback("+49 221 4710123")
        simulator.clock.sleep(3)
        for command in commands:
            arguments = shlex.split(command.replace("http://127.0.0.1:8311", server.address).replace("\\\n", ""))
            ran = subprocess.run(
                [*arguments, "--fail", "--silent", "--show-error"], capture_output=True, text=True, check=False
            )
            assert ran.returncode == 0, (command, ran.stderr)


def table(heading: str) -> list[list[str]]:
    """The rows of the table in the guide whose head begins with *heading*."""
    _, _, rest = GUIDE.partition(f"| {heading}")
    lines = rest.partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_table_of_errors_is_what_is_tested() -> None:
    """Each row after the first two is a case of the single-dial test, with the error that it expects, and each case is a row."""
    rows = table("what happens to the request")
    assert [(row[0], row[1].strip("`")) for row in rows[2:]] == [
        (c.name, c.expected.__name__) for c in AFTER_THE_REQUEST
    ]
    for (_, _, again), case in zip(rows[2:], AFTER_THE_REQUEST, strict=True):
        assert again.startswith("yes" if issubclass(case.expected, RejectedError) else "not blindly")
        assert issubclass(case.expected, (RejectedError, OutcomeUnknownError))


def test_table_of_statuses_is_complete() -> None:
    """Each status is in the table, and the final ones are marked."""
    rows = table("status | means")
    assert {CallbackStatus(name.strip("`")): bool(final) for name, _, final in rows} == {
        s: is_final(s) for s in CallbackStatus
    }


def test_table_of_settings_is_complete() -> None:
    """Each keyword of the client is in the table."""
    rows = table("keyword | variable")
    assert {row[0].strip("`") for row in rows} == set(inspect.signature(AsyncTenios).parameters)
    for keyword, variable, _ in rows:
        assert not variable.startswith("`TENIOS_") or variable.strip("`") == f"TENIOS_{keyword.strip('`').upper()}"


def test_table_of_faults_is_complete() -> None:
    """Each fault is in the table, in order."""
    rows = table("fault | what happens")
    assert [name.strip("`").partition("(")[0] for name, _ in rows] == [kind.__name__ for kind in faults.KINDS.values()]


def test_table_of_magic_numbers_is_complete() -> None:
    """Each magic number is in the table, with its meaning."""
    rows = table("number | what happens")
    assert rows == [[f"`{magic.shown}`", magic.meaning] for magic in MAGIC_NUMBERS.values()]


def test_command_is_documented_whole() -> None:
    """Each command is in the table, and each of its options in the guide."""
    assert {row[0].strip("`").split()[1] for row in table("command | what it does")} == set(main.commands)
    options = {name for command in main.commands.values() for option in command.params for name in option.opts}
    missing = {name for name in options if name.startswith("--") and name not in GUIDE}
    assert missing == {"--access-key"}  # which only exists to be refused


def test_table_of_exit_codes_is_complete() -> None:
    """Each code is in the table, and in the help."""
    codes = [int(code) for code, _ in table("exit code | means")]
    assert codes == [*range(report.UNAVAILABLE + 1), 130]
    assert all(f"{code} " in (main.epilog or "").replace("\n", " ") for code in codes)


def test_links_lead_somewhere() -> None:
    """Each relative link in a document is a file."""
    for document in [*ROOT.glob("*.md"), *ROOT.glob("[cd]o*/*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text()):
            assert (document.parent / target).exists(), (document.name, target)
