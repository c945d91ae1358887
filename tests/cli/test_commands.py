"""The `tenios` command as a program, in a process of its own."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tenios_ext.simulator import MAGIC_NUMBERS

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
TENIOS = Path(sys.executable).with_name("tenios")


@pytest.fixture
def simulator() -> Iterator[dict[str, str]]:
    """The settings of a running `tenios simulate`, ten times as fast as life."""
    command: list[str | Path] = [TENIOS, "simulate", "--port", "0", "--speed", "10"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline().strip().removeprefix("export ") for _ in range(3)]
            yield dict(line.split("=", 1) for line in lines)
        finally:
            process.terminate()


def call(*arguments: str, settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command: list[str | Path] = [TENIOS, "call", *arguments]
    return subprocess.run(command, env={**os.environ, **settings}, capture_output=True, text=True, check=False)


def tenios(*arguments: str, settings: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command: list[str | Path] = [TENIOS, *arguments]
    return subprocess.run(command, env={**os.environ, **(settings or {})}, capture_output=True, text=True, check=False)


def objects(ran: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    """What a command with --json printed."""
    return [json.loads(line) for line in ran.stdout.splitlines()]


def terminal(
    *arguments: str, typed: dict[str, str] | None = None, settings: dict[str, str] | None = None
) -> tuple[int, str]:
    """
    Run a command at a terminal of its own; give its exit code and all that it has drawn.

    Args:
        arguments: The command's.
        typed: What somebody types as soon as a text has appeared.
        settings: The environment's.
    """
    pid, screen = pty.fork()
    if pid == 0:
        os.execve(TENIOS, ["tenios", *arguments], {**os.environ, "TERM": "xterm", "COLUMNS": "120", **(settings or {})})
    drawn = ""
    waiting = dict(typed or {})
    while True:
        try:
            drawn += os.read(screen, 65536).decode()
        except OSError:  # The other end is closed.
            break
        for text, keys in list(waiting.items()):
            if text in drawn:
                os.write(screen, keys.encode())
                del waiting[text]
    os.close(screen)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), drawn


def test_call_shows_each_status_and_how_it_ended(simulator: dict[str, str]) -> None:
    """A callback on the simulator runs to its end, and the exit code says that the two talked."""
    called = call("+49 221 4710 123", settings=simulator)
    assert called.returncode == 0, called.stderr
    lines = called.stdout.splitlines()
    assert lines[0] == "Callback 10 to +492214710123 started."
    assert all(re.fullmatch(r" *[\d.]+ s  [A-Z_]+: [a-z' ,]+", line) for line in lines[1:-1])
    assert lines[-2].endswith("DISCONNECTED: they have talked")
    assert lines[-1] == "They talked."
    assert simulator["TENIOS_ACCESS_KEY"] not in called.stdout + called.stderr


@pytest.mark.parametrize(
    ("number", "code", "text"),
    [
        ("+49 30 23125 101", 3, "The agent was not reached."),
        ("+49 30 23125 201", 4, "The customer was not reached."),
        ("+49 30 23125 429", 5, "RejectedError"),
        ("+49 30 23125 601", 6, "may be ringing"),
        ("+49 30 23125 711", 7, "CallbackTimeoutError"),
        ("0221 4710 123", 5, "names no country"),
    ],
)
def test_exit_code_says_what_happened(simulator: dict[str, str], number: str, code: int, text: str) -> None:
    """A script can tell all ends apart, and a person reads a line."""
    called = call(number, "--answered-within", "8s", settings=simulator)
    assert called.returncode == code
    assert text in called.stdout + called.stderr
    assert "Traceback" not in called.stderr


def test_call_understands_a_region_and_times(simulator: dict[str, str]) -> None:
    """Numbers as people write them, times with their units, and an announcement and a key for the agent."""
    arguments = (
        "0221 4710 123",
        "--region",
        "DE",
        "--delay",
        "1m",
        "--announce",
        "Hello",
        "--key",
        "1",
        "--no-wait",
        "--json",
    )
    [started] = objects(call(*arguments, settings=simulator))
    assert (started["event"], started["number"], started["handle"]["delay"]) == ("started", "+492214710123", 60)
    wrong = call("+492214710123", "--delay", "soon", settings=simulator)
    assert wrong.returncode == 2
    assert "write 90, 90s, 5m or 1h" in wrong.stderr


def test_json_is_one_object_a_line(simulator: dict[str, str]) -> None:
    """The objects are those of the guide: started, each status, the outcome."""
    shown = objects(call("+49 30 23125 201", "--json", settings=simulator))
    assert [each["event"] for each in shown][:2] == ["started", "status"]
    assert shown[-1] == {"event": "outcome", "id": 10, "connected": False, "failed_party": "customer", "over": True}
    refused = call("+49 30 23125 429", "--json", settings=simulator)
    [error] = objects(refused)
    assert (error["event"], error["error"], error["http_status"], error["retry_after"]) == (
        "error",
        "RejectedError",
        429,
        5,
    )
    assert refused.stderr == ""


def test_status_and_watch_pick_callbacks_up(simulator: dict[str, str]) -> None:
    """One question, or several callbacks to their ends; the exit code is that of the worst."""
    for number in ("+49 30 23125 100", "+49 30 23125 201"):
        assert call(number, "--no-wait", settings=simulator).returncode == 0
    asked = tenios("status", "10", settings=simulator)
    assert asked.returncode == 0
    assert asked.stdout.partition(":")[0].isupper()
    watched = tenios("watch", "10", "11", settings=simulator)
    assert watched.returncode == 4, watched.stderr
    assert "Callback 10: They talked." in watched.stdout
    assert "Callback 11: The customer was not reached." in watched.stdout
    unknown = tenios("watch", "10", "999", "--json", settings=simulator)
    assert unknown.returncode == 8
    assert {each["id"] for each in objects(unknown) if each["event"] == "error"} == {999}
    assert tenios("status", "999", settings=simulator).returncode == 8


def test_call_with_a_wrong_key_says_what_to_compare(simulator: dict[str, str]) -> None:
    """The two possible causes are named, the key is not."""
    called = call("+492214710123", settings={**simulator, "TENIOS_ACCESS_KEY": "WRONG-KEY"})
    assert called.returncode == 5
    assert "BadCredentialsError" in called.stderr
    assert "callback config id" in called.stderr
    assert "WRONG-KEY" not in called.stderr


def test_call_without_settings_says_where_to_find_them() -> None:
    """Somebody who has set nothing learns the variable's name and where the key is found."""
    called = call("+492214710123", settings={})
    assert called.returncode == 5
    assert "TENIOS_ACCESS_KEY" in called.stderr
    assert "General Settings" in called.stderr


def test_key_as_an_argument_is_refused() -> None:
    """The error says why, and names the two other ways; it does not repeat the key."""
    called = call("+492214710123", "--access-key", "SECRET-KEY-1234", settings={})
    assert called.returncode == 2
    assert "TENIOS_ACCESS_KEY_FILE" in called.stderr
    assert "SECRET-KEY-1234" not in called.stdout + called.stderr


def test_key_comes_from_a_file_that_nobody_else_can_read(simulator: dict[str, str], tmp_path: Path) -> None:
    """A file for everybody is refused, and the error says how to mend that."""
    path = tmp_path / "key"
    path.write_text(simulator.pop("TENIOS_ACCESS_KEY") + "\n")
    settings = {**simulator, "TENIOS_ACCESS_KEY_FILE": str(path)}
    path.chmod(0o644)
    refused = call("+492214710123", "--no-wait", settings=settings)
    assert refused.returncode == 5
    assert f"chmod 600 {path}" in refused.stderr
    path.chmod(0o600)
    assert call("+492214710123", "--no-wait", settings=settings).returncode == 0
    path.unlink()
    missing = call("+492214710123", settings=settings)
    assert "TENIOS_ACCESS_KEY_FILE" in missing.stderr
    assert "Traceback" not in missing.stderr


def test_doctor_looks_without_touching(simulator: dict[str, str]) -> None:
    """What is set and who answers is said; the key is not, and no callback is started."""
    well = tenios("doctor", settings=simulator)
    assert well.returncode == 0, well.stdout
    assert simulator["TENIOS_ACCESS_KEY"] not in well.stdout
    assert simulator["TENIOS_BASE_URL"] in well.stdout
    assert httpx.get(f"{simulator['TENIOS_BASE_URL']}/_simulator/requests").json() == []
    ill = tenios(
        "doctor",
        "--json",
        settings={**simulator, "TENIOS_BASE_URL": "http://127.0.0.1:9", "TENIOS_CALLBACK_CONFIG_ID": ""},
    )
    assert ill.returncode == 1
    assert {each["check"] for each in objects(ill) if not each["ok"]} == {"callback config id", "base URL"}
    assert tenios("doctor").returncode == 1


def test_numbers_and_contract_are_printed() -> None:
    """The magic numbers, and the contract in each of its forms."""
    listed = objects(tenios("numbers", "--json"))
    assert {each["number"] for each in listed} == set(MAGIC_NUMBERS)
    assert tenios("numbers").stdout.count("\n") == len(MAGIC_NUMBERS)
    assert tenios("contract").stdout == (ROOT / "openapi.yaml").read_text()


def test_simulator_in_process_and_running(simulator: dict[str, str]) -> None:
    """Any command can be tried without an account; with a URL on a simulator that runs."""
    shown = objects(tenios("call", "+49 30 23125 601", "--simulator", "--json"))
    assert shown[0]["error"] == "OutcomeUnknownError"
    url = simulator["TENIOS_BASE_URL"]
    assert tenios("call", "+49 30 23125 100", "--no-wait", "--simulator", url).returncode == 0
    assert tenios("status", "10", "--simulator", url).returncode == 0
    assert tenios("doctor", "--simulator").returncode == 0


def test_live_picture_at_a_terminal(simulator: dict[str, str]) -> None:
    """Who is ringing is drawn in place, in colour, and the end is a sentence; NO_COLOR is honoured."""
    code, drawn = terminal("call", "+49 30 23125 203", "--yes", settings=simulator)
    assert code == 4
    for text in ("telephone rings", "answered", "not reached", "The customer was not reached."):
        assert text in drawn
    assert "\x1b[33m" in drawn
    _, plain = terminal("call", "+49 30 23125 101", "--yes", settings={**simulator, "NO_COLOR": "1"})
    assert "\x1b[33m" not in plain
    assert "The agent was not reached." in plain


def test_person_at_a_terminal_is_asked_first(simulator: dict[str, str]) -> None:
    """The number is shown as it was understood, and nothing is sent without a yes; on this machine no real telephone rings."""
    # A name that can never exist: where somebody says yes, nobody is reached.
    elsewhere = {**simulator, "TENIOS_BASE_URL": "https://tenios.invalid"}
    arguments = ("call", "030 23125 100", "--region", "DE")
    code, drawn = terminal(*arguments, typed={"Go on?": "n\n"}, settings=elsewhere)
    assert code == 1
    assert "+49 30 23125100 (Germany)" in drawn
    code, drawn = terminal(*arguments, typed={"Go on?": "y\n"}, settings=elsewhere)
    assert code == 5
    assert "NotSentError" in drawn
    assert "Go on?" not in terminal(*arguments, "--yes", settings=elsewhere)[1]
    code, drawn = terminal("call", "+49 30 23125 101", settings=simulator)
    assert code == 3
    assert "Go on?" not in drawn


def test_ctrl_c_leaves_the_callback_running(simulator: dict[str, str]) -> None:
    """It says how to watch it again, and does so without a traceback."""
    code, drawn = terminal("call", "+49 30 23125 300", "--yes", typed={"telephone rings": "\x03"}, settings=simulator)
    assert code == 130
    assert "tenios watch 10" in drawn
    assert "Traceback" not in drawn
    code, drawn = terminal("watch", "10", typed={"CALLING_A": "\x03"}, settings=simulator)
    assert code == 130
    assert "tenios watch 10" in drawn
    assert "Traceback" not in drawn


def test_hint_at_the_end_leads_to_the_same_simulator(simulator: dict[str, str]) -> None:
    """Whoever takes it does not ask TENIOS about somebody else's callback."""
    url = simulator["TENIOS_BASE_URL"]
    code, drawn = terminal("call", "+493023125300", "--yes", "--simulator", url, typed={"telephone rings": "\x03"})
    assert code == 130
    assert f"tenios watch 10 --simulator {url}" in drawn


@pytest.mark.parametrize(
    "arguments",
    [("call", "--simulator", "+493023125100"), ("watch", "--simulator", "10", "11"), ("status", "--simulator", "10")],
)
def test_simulator_that_is_no_url_is_said(arguments: tuple[str, ...]) -> None:
    """Whoever writes the option before the number learns where it belongs."""
    ran = tenios(*arguments)
    assert ran.returncode == 2
    assert "--simulator takes a URL such as http://127.0.0.1:8311" in ran.stderr


def test_host_that_is_none_is_said_as_such() -> None:
    """Another port would not help."""
    ran = tenios("simulate", "--host", "192.0.2.1", "--port", "0")
    assert ran.returncode == 1
    assert "Cannot listen on 192.0.2.1" in ran.stderr
    assert "--port 0 for" not in ran.stderr


def test_help_of_each_command_names_its_exit_codes_and_options() -> None:
    """Somebody who reads only the help can use all of it."""
    overview = tenios("--help").stdout
    for name in ("call", "status", "watch", "numbers", "contract", "doctor", "simulate"):
        assert name in overview
        assert tenios(name, "--help").stdout.count("\n") > 5
    assert "Exit codes: 0 they talked" in overview
    assert "Exit codes: 0 they talked" in tenios("call", "--help").stdout


def test_demo_runs_a_whole_callback() -> None:
    """`make demo` goes from REQUESTED to DISCONNECTED."""
    ran = subprocess.run([sys.executable, ROOT / "scripts/demo.py"], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.index("REQUESTED") < ran.stdout.index("CONNECTED") < ran.stdout.index("DISCONNECTED")
    assert ran.stdout.endswith("They talked.\n")
