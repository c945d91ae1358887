"""Ctrl-C and other signals, before, during and after the init request."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from cli.command import NUMBER, TENIOS, environment, server_of, settings_of
from support.faults import Connection, never_respond, respond

from tenios_cli._run import Run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
FOLLOW = "Follow it with: tenios watch 10\n"


def interrupted(
    number: signal.Signals, *arguments: str, settings: dict[str, str], moment: Callable[[], object]
) -> tuple[int, str, str]:
    """
    Run the command and send a signal when *moment* returns. Return exit code, stdout and stderr.
    """
    command = [str(TENIOS), *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, env=environment(settings), stdout=pipe, stderr=pipe, text=True
    ) as process:
        moment()
        process.send_signal(number)
        output, errors = process.communicate()
    assert "Traceback" not in errors
    return process.returncode, output, errors


class Arrival(threading.Event):
    """Set when a request has arrived. There is no response."""

    def __call__(self, connection: Connection) -> None:
        """Handle a connection, as a fault."""
        self.set()
        never_respond(connection)


def test_signal_before_the_init_request_does_not_mention_phones(tmp_path: Path) -> None:
    """The signal arrives while the command reads its access key."""
    path = tmp_path / "key"
    os.mkfifo(path)
    with server_of() as server:
        settings = {
            **settings_of(server),
            "TENIOS_ACCESS_KEY": "",
            "TENIOS_ACCESS_KEY_FILE": str(path),
        }
        ends: list[int] = []
        code, _, errors = interrupted(
            signal.SIGINT,
            "call",
            NUMBER,
            settings=settings,
            moment=lambda: ends.append(os.open(path, os.O_WRONLY)),  # waits for the reader
        )
        os.close(ends[0])
        assert server.paths == []
    assert (code, errors) == (130, "Interrupted.\n")


@pytest.mark.parametrize(
    ("number", "options"),
    [(signal.SIGINT, []), (signal.SIGTERM, ["--json"]), (signal.SIGHUP, ["--no-wait"])],
)
def test_signal_during_the_init_request_says_that_phones_may_ring(
    number: signal.Signals, options: list[str]
) -> None:
    arrival = Arrival()
    with server_of(start=arrival) as server:
        code, output, errors = interrupted(
            number, "call", NUMBER, *options, settings=settings_of(server), moment=arrival.wait
        )
        assert server.paths == ["/callback/init"]
    assert (code, output) == (CODES[number], "")
    assert errors.startswith("Interrupted. Phones may be ringing")


@pytest.mark.parametrize(
    ("number", "arguments"),
    [
        (signal.SIGHUP, ["call", NUMBER]),
        (signal.SIGINT, ["call", NUMBER, "--json"]),
        (signal.SIGINT, ["watch", "10"]),  # asyncio has its own handler of SIGINT
        (signal.SIGTERM, ["watch", "10"]),
        (signal.SIGTERM, ["status", "10"]),
    ],
)
def test_signal_during_a_status_request_names_the_callback(
    number: signal.Signals, arguments: list[str]
) -> None:
    arrival = Arrival()
    start = respond("200 OK", {"id": 10}) if arguments[0] == "call" else arrival
    with server_of(arrival, start=start) as server:
        code, _, errors = interrupted(
            number, *arguments, settings=settings_of(server), moment=arrival.wait
        )
    assert (code, errors) == (CODES[number], f"Interrupted. The callback continues. {FOLLOW}")


def test_signal_just_after_the_response_says_that_phones_may_ring(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The client has returned, but its caller does not have the id yet."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    handlers = [signal.getsignal(number) for number in CODES]
    run = Run()
    run.is_calling = True
    try:
        assert run.guard(interrupt) == 130
    finally:
        for number, handler in zip(CODES, handlers, strict=True):
            signal.signal(number, handler)
    assert capsys.readouterr().err.startswith("Interrupted. Phones may be ringing")


def test_second_signal_does_not_suppress_the_message() -> None:
    """Closing a terminal sends SIGHUP, and systemd may send SIGHUP after SIGTERM."""
    arrival = Arrival()
    with server_of(arrival) as server:
        command = [str(TENIOS), "call", NUMBER]
        pipe = subprocess.PIPE
        with subprocess.Popen(
            command, env=environment(settings_of(server)), stdout=pipe, stderr=pipe, text=True
        ) as process:
            arrival.wait()
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGHUP)
            _, errors = process.communicate()
    # The second may arrive after the message.
    assert process.returncode in {129, 143, -signal.SIGHUP}
    assert errors.endswith(FOLLOW)
    assert "Traceback" not in errors


def test_sigterm_works_if_a_shell_ignores_sigint_for_background_jobs() -> None:
    arrival = Arrival()
    with server_of(arrival) as server:
        command = ["sh", "-c", "trap '' INT; exec \"$@\"", "sh", str(TENIOS), "call", NUMBER]
        with subprocess.Popen(
            command, env=environment(settings_of(server)), stderr=subprocess.PIPE, text=True
        ) as process:
            arrival.wait()
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate()
    assert process.returncode == 143
    assert errors.endswith(FOLLOW)


def test_ignored_sighup_stays_ignored() -> None:
    """`nohup tenios call ...` relies on this."""
    hung_up = threading.Event()

    def wait_and_respond(connection: Connection) -> None:
        arrived.set()
        hung_up.wait()
        respond("200 OK", {"status": "CALL_B_FAILED"})(connection)

    arrived = threading.Event()
    with server_of(wait_and_respond) as server:
        command = ["sh", "-c", "trap '' HUP; exec \"$@\"", "sh", str(TENIOS), "call", NUMBER]
        with subprocess.Popen(
            command, env=environment(settings_of(server)), stdout=subprocess.PIPE
        ) as process:
            arrived.wait()
            process.send_signal(signal.SIGHUP)
            hung_up.set()
            process.communicate()
    assert process.returncode == 4


_TERMINATED_WHILE_WRITING = """
import signal
signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGTERM))
signal.setitimer(signal.ITIMER_REAL, 1)
from tenios_cli import main
main(["numbers"])
"""


def test_signal_ends_a_command_that_waits_for_its_reader() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, b" " * 65536)
    os.set_blocking(writer, True)
    command = [sys.executable, "-c", _TERMINATED_WHILE_WRITING]
    with subprocess.Popen(
        command, env=environment(), stdout=writer, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    os.close(writer)
    os.close(reader)
    assert (process.returncode, errors) == (143, "Interrupted.\n")


def test_watch_command_in_the_message_is_quoted_for_a_shell() -> None:
    """The URL of a simulator may contain special characters of a shell."""
    arrival = Arrival()
    with server_of(arrival) as server:
        url = f"{server.url}/a;b"
        code, _, errors = interrupted(
            signal.SIGINT, "call", NUMBER, "--simulator", url, settings={}, moment=arrival.wait
        )
    assert code == 130
    assert errors.endswith(f"tenios watch 10 --simulator '{url}'\n")
