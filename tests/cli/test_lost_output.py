"""Output that cannot be written must not change the exit code or hide the id of a callback."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TextIO

import pytest
from cli.command import (
    NUMBER,
    TENIOS,
    Result,
    environment,
    objects,
    process,
    server_of,
    settings_of,
    tenios,
)
from support.faults import Connection, Fault, drop, respond, respond_error

from tenios_cli._run import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

#: The sentence on stderr that scripts need.
LOST = (
    "Callback 10 was started, but the output could not be written. Follow it with: tenios watch "
    "10\n"
)
#: The responses to status requests, by the exit code that they cause.
RESULTS: dict[int, str | Fault] = {
    0: "DISCONNECTED",
    3: "CALL_A_FAILED",
    4: "CALL_B_FAILED",
    7: "CALLING_A",
    8: respond_error("401 Unauthorized"),
}
FULL = "The output could not be written: [Errno 28] No space left on device\n"
as_lines_and_as_json = pytest.mark.parametrize("options", [[], ["--json"]], ids=["lines", "json"])


@contextmanager
def full_disk() -> Iterator[int]:
    """Yield a file on a full disk."""
    file = os.open("/dev/full", os.O_WRONLY)
    yield file
    os.close(file)


@contextmanager
def closed_pipe() -> Iterator[int]:
    """Yield the end of a pipe without a reader."""
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


@contextmanager
def closed_terminal() -> Iterator[int]:
    """Yield a closed terminal."""
    window, side = os.openpty()
    os.close(window)
    yield side
    os.close(side)


@contextmanager
def full_pipe() -> Iterator[int]:
    """Yield the end of a full pipe that does not block."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, b" " * 65536)
    yield writer
    os.close(writer)
    os.close(reader)


every_broken = pytest.mark.parametrize(
    "broken", [full_disk, closed_pipe, closed_terminal, full_pipe]
)


@contextmanager
def stream(broken: Callable[[], AbstractContextManager[int]]) -> Iterator[TextIO]:
    """Yield one of these for a command in this process."""
    with broken() as file, open(file, "w", encoding="utf-8", closefd=False) as opened:
        yield opened


def call(
    *arguments: str,
    run: Callable[..., Result] = tenios,
    status: str | Fault = "DISCONNECTED",
    start: Fault | None = None,
    settings: dict[str, str] | None = None,
    **how: Any,
) -> Result:
    """
    Run ``tenios call``, which does not wait for an answer longer than for its first status request.
    """
    with server_of(status, start=start) as server:
        return run(
            "call",
            NUMBER,
            "--answer-timeout",
            "0",
            *arguments,
            settings=settings_of(server) | (settings or {}),
            **how,
        )


@as_lines_and_as_json
@pytest.mark.parametrize("code", RESULTS)
def test_exit_code_and_id_survive_lost_output(code: int, options: list[str]) -> None:
    with stream(full_disk) as stdout:
        result = call(*options, status=RESULTS[code], stdout=stdout)
    assert result.returncode == code
    assert result.stderr.count(LOST) == 1
    assert "Traceback" not in result.stderr


@every_broken
@as_lines_and_as_json
def test_exit_code_and_id_survive_every_broken_stdout(broken: Any, options: list[str]) -> None:
    with stream(broken) as stdout:
        result = call(*options, status="CALL_B_FAILED", stdout=stdout)
    assert (result.returncode, result.stderr) == (4, LOST)


@as_lines_and_as_json
def test_exit_code_and_id_survive_without_stdout(options: list[str]) -> None:
    result = call(*options, status="CALL_B_FAILED", stdout=None)
    assert (result.returncode, result.stderr) == (4, LOST)


@every_broken
def test_end_of_the_process_does_not_change_its_exit_code(broken: Any) -> None:
    with broken() as stdout:
        result = call(run=process, status="CALL_B_FAILED", stdout=stdout)
    assert (result.returncode, result.stderr) == (4, LOST)


@pytest.mark.parametrize("broken", [closed_pipe, full_pipe])
def test_exit_code_and_id_survive_an_unbuffered_stdout(broken: Any) -> None:
    settings = {"PYTHONUNBUFFERED": "1"}
    with broken() as stdout:
        result = call(run=process, status="CALL_B_FAILED", settings=settings, stdout=stdout)
    assert (result.returncode, result.stderr) == (4, LOST)


@pytest.mark.parametrize(
    ("redirect", "code", "start", "status"),
    [
        ("<&- >&- 2>&-", 3, None, "CALL_A_FAILED"),
        ("> /dev/full 2>&1", 5, respond_error("429 Too Many Requests"), "X"),
        ("2>&-", 6, drop, "X"),
        ("2> /dev/full", 8, None, RESULTS[8]),
    ],
)
def test_exit_code_is_right_without_stderr(
    redirect: str, code: int, start: Fault | None, status: str | Fault
) -> None:
    """In a process, where another file may get the number of a closed stream."""
    assert call(run=process, start=start, status=status, redirect=redirect).returncode == code
    assert call(start=start, status=status, stdout=None, stderr=None).returncode == code


@as_lines_and_as_json
@pytest.mark.parametrize(
    ("code", "start", "error"),
    [
        (5, respond_error("429 Too Many Requests"), "RejectedError: "),
        (6, drop, "OutcomeUnknownError: "),
    ],
)
def test_exit_code_and_error_are_right_without_a_callback(
    code: int, start: Fault, error: str, options: list[str]
) -> None:
    with stream(full_disk) as stdout:
        result = call(*options, start=start, stdout=stdout)
    assert result.returncode == code
    assert error in result.stderr
    assert "Traceback" not in result.stderr


def test_no_wait_exits_with_1_if_the_id_could_not_be_printed() -> None:
    with stream(full_disk) as stdout:
        result = call("--no-wait", stdout=stdout)
    assert (result.returncode, result.stderr) == (1, LOST)


def test_call_without_stdin_is_not_affected() -> None:
    result = call(run=process, redirect="<&-")
    assert (result.returncode, result.stderr) == (0, "")
    # With the URL of TENIOS, the command checks whether it is at a terminal.
    settings = {
        "TENIOS_ACCESS_KEY": "KEY",
        "TENIOS_CALLBACK_CONFIG_ID": "CONFIG",
        "TENIOS_BASE_URL": "https://tenios.invalid",
    }
    result = tenios("call", NUMBER, settings=settings, stdin=None)
    assert result.returncode == 5
    assert result.stderr.startswith("NotSentError: ")


def test_output_that_was_lost_before_the_start_is_reported_after_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with stream(full_disk) as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        run = Run()
        run.stdout.write("Continue?")
        run.started(10)
    assert capsys.readouterr().err == FULL + LOST


def call_until_first_line(
    stdout: int, reader: int, gone: threading.Event, *options: str
) -> tuple[int, str, bytes]:
    """
    Run ``tenios call`` with *stdout*, close *reader* after the first line, and only then let its
    status request succeed.

    Return the exit code, stderr and what was read.
    """

    def wait_and_respond(connection: Connection) -> None:
        gone.wait()
        respond("200 OK", {"status": "CALL_A_FAILED"})(connection)

    with server_of(wait_and_respond) as server:
        command = [str(TENIOS), "call", NUMBER, *options]
        settings = environment({**settings_of(server), "TERM": "xterm"})
        with subprocess.Popen(
            command, env=settings, stdout=stdout, stderr=subprocess.PIPE, text=True
        ) as process:
            os.close(stdout)
            received = b""
            while b"\n" not in received:
                received += os.read(reader, 1)
            os.close(reader)
            gone.set()
            _, errors = process.communicate()
    return process.returncode, errors, received


def test_call_continues_if_the_reader_leaves_after_the_first_line() -> None:
    """As `tenios call ... | head -1` does."""
    reader, writer = os.pipe()
    code, errors, received = call_until_first_line(writer, reader, threading.Event())
    assert (code, errors) == (3, LOST)
    assert b"10" in received


def test_call_continues_if_its_terminal_is_closed_while_it_draws() -> None:
    window, side = os.openpty()
    code, errors, received = call_until_first_line(side, window, threading.Event())
    assert (code, errors) == (3, LOST)
    assert received.startswith(b"Callback 10 to ")


def test_watch_keeps_its_exit_code_without_output() -> None:
    with (
        server_of("CALL_B_FAILED", start=respond("200 OK", {"status": "CALL_A_FAILED"})) as server,
        stream(full_disk) as stdout,
    ):
        result = tenios("watch", "10", "11", settings=settings_of(server), stdout=stdout)
    assert (result.returncode, result.stderr) == (4, FULL)


def test_watch_command_after_lost_output_names_the_simulator() -> None:
    with server_of("DISCONNECTED") as server, stream(full_disk) as stdout:
        result = tenios("call", NUMBER, "--simulator", f"{server.url}/a b", stdout=stdout)
        assert result.returncode == 5  # The client rejects this URL, ...
        result = tenios("call", NUMBER, "--simulator", server.url, stdout=stdout)
    assert result.stderr == LOST.replace("watch 10", f"watch 10 --simulator {server.url}")


@pytest.mark.parametrize(
    "arguments", [["numbers"], ["contract"], ["doctor", "--simulator"], ["--help"], ["call", "-h"]]
)
def test_commands_that_only_print_exit_with_1(arguments: list[str]) -> None:
    with stream(full_disk) as stdout:
        full = tenios(*arguments, stdout=stdout)
    assert (full.returncode, full.stderr) == (1, FULL)
    with stream(closed_pipe) as stdout:
        gone = tenios(*arguments, stdout=stdout)
    assert (gone.returncode, gone.stderr) == (1, "")


def test_process_that_only_prints_exits_with_1() -> None:
    full = process("contract", redirect="> /dev/full")
    assert (full.returncode, full.stderr) == (1, FULL)
    with closed_pipe() as stdout:
        gone = process("contract", stdout=stdout)
    assert (gone.returncode, gone.stderr) == (1, "")


def test_status_without_output_exits_with_1() -> None:
    with server_of(start=respond("200 OK", {"status": "CALLING_A"})) as server:
        assert tenios("status", "10", settings=settings_of(server), stdout=None).returncode == 1


def test_broken_stderr_does_not_affect_stdout() -> None:
    with stream(full_disk) as stderr:
        started, status, outcome = objects(call("--json", status="CALL_B_FAILED", stderr=stderr))
    assert (started["id"], status["status"], outcome["failed_party"]) == (
        10,
        "CALL_B_FAILED",
        "customer",
    )
