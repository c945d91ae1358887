"""
Runs the ``tenios`` command.

:func:`tenios`, and :func:`screen` for a terminal, run it in this process, with virtual time.
:func:`process`, and :func:`terminal` for a terminal, start a separate process, which is a hundred
times slower. Use them only for signals, encodings, imports and the like.
"""

from __future__ import annotations

import io
import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, TextIO

import pytest
from support.faults import Fault, FaultServer, in_turn, respond

from tenios_cli import main
from tenios_ext.shared import SystemClock
from tenios_simulator import ScaledClock, VirtualClock

ROOT = Path(__file__).resolve().parents[2]
TENIOS = Path(sys.executable).with_name("tenios")
NUMBER = "+492214710123"
ACCESS_KEY = "SECRET-KEY-1234"
#: The clock of all commands in this process, and of their simulators.
CLOCK = VirtualClock()
CLOCK.advance_to(time.time())
_TERMINAL = {"TERM": "xterm", "COLUMNS": "120", "LINES": "25"}

Result = subprocess.CompletedProcess[str]


def tenios(
    *arguments: str, settings: dict[str, str] | None = None, **streams: TextIO | None
) -> Result:
    """
    Run the command in this process.

    Args:
        arguments: The command's arguments.
        settings: Variables for its environment.
        streams: Its stdin, stdout and stderr; None for a closed one. Others are captured.
    """
    captured = {
        name: io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for name in ("stdout", "stderr")
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (settings or {}).items():
            patch.setenv(name, value)
        for name, stream in (captured | streams).items():
            patch.setattr(sys, name, stream)
        for name in ("now", "monotonic", "sleep", "async_sleep"):
            for clock in (SystemClock, ScaledClock):
                patch.setattr(clock, name, staticmethod(getattr(CLOCK, name)))
        if arguments[:1] == ("campaign",):  # By default, the clock of the database counts.
            patch.setattr("tenios_campaign._store.Store.now", lambda *_: CLOCK.now())
        with pytest.raises(SystemExit) as end:
            main(arguments, prog_name="tenios")
        # An interruption leaves that of the system, which would kill the tests.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    code = end.value.code
    assert isinstance(code, int)
    return Result(arguments, code, *map(written, captured.values()))


def written(stream: io.TextIOWrapper) -> str:
    """Return what was written to a stream in memory."""
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue().decode(stream.encoding)


class _Screen(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


def screen(
    *arguments: str, typed: str = "", settings: dict[str, str] | None = None
) -> tuple[int, str]:
    """
    Run the command in this process at a terminal. Return its exit code and everything it has drawn.

    Args:
        arguments: The command's arguments.
        typed: What the user types.
        settings: Variables for its environment.
    """
    keyboard, drawn = (_Screen(io.BytesIO(text.encode()), encoding="utf-8") for text in (typed, ""))
    result = tenios(
        *arguments,
        settings={**_TERMINAL, **(settings or {})},
        stdin=keyboard,
        stdout=drawn,
        stderr=drawn,
    )
    return result.returncode, written(drawn)


def environment(settings: dict[str, str] | None = None) -> dict[str, str]:
    """
    Return the environment of a command with *settings*, by default with a buffered stdout.
    """
    return {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"} | (
        settings or {}
    )


def process(
    *arguments: str, settings: dict[str, str] | None = None, redirect: str = "", **streams: Any
) -> Result:
    """
    Run the command in a separate process.

    Args:
        arguments: The command's arguments.
        settings: Variables for its environment.
        redirect: Where a shell sends its output, such as ``> /dev/full``.
        streams: Arguments of ``subprocess.run`` for streams. Others are captured.
    """
    command: list[str | Path] = [TENIOS, *arguments]
    if redirect:
        command = ["sh", "-c", f'exec "$@" {redirect}', "sh", *command]
    captured = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
    return subprocess.run(
        command,
        env=environment(settings),
        text=True,
        errors="backslashreplace",
        check=False,
        **captured,
    )


def python(code: str, settings: dict[str, str] | None = None, **streams: Any) -> Result:
    """Run *code* in a new interpreter. For other arguments, see :func:`process`."""
    captured = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment(settings), text=True, check=False, **captured
    )


def objects(result: Result) -> list[dict[str, Any]]:
    """Return the objects that a command with ``--json`` has printed."""
    return [json.loads(line) for line in result.stdout.splitlines()]


def server_of(*statuses: str | Fault, start: Fault | None = None) -> FaultServer:
    """
    Return a server that starts callback 10 and returns these statuses, the last one repeatedly.

    Args:
        statuses: Statuses, or faults of status requests.
        start: A fault of the init request.
    """
    faults = [
        respond("200 OK", {"status": status}) if isinstance(status, str) else status
        for status in statuses or ("X",)
    ]
    return FaultServer(in_turn(start or respond("200 OK", {"id": 10}), *faults, others=faults[-1]))


def settings_of(server: FaultServer) -> dict[str, str]:
    """Return the settings of a command that uses *server*."""
    return {
        "TENIOS_BASE_URL": server.url,
        "TENIOS_ACCESS_KEY": ACCESS_KEY,
        "TENIOS_CALLBACK_CONFIG_ID": "CONFIG",
    }


def terminal(
    *arguments: str, typed: dict[str, str] | None = None, settings: dict[str, str] | None = None
) -> tuple[int, str]:
    """
    Run the command in a separate process at a terminal. Return its exit code and everything it has
    drawn.

    Args:
        arguments: The command's arguments.
        typed: What the user types, by the text after which they do.
        settings: Variables for its environment.
    """
    pid, screen = pty.fork()
    if pid == 0:
        os.execve(
            TENIOS,
            ["tenios", *arguments],
            environment({**_TERMINAL, **(settings or {})}),
        )
    drawn = ""
    waiting = dict(typed or {})
    while True:
        try:
            drawn += os.read(screen, 65536).decode(errors="backslashreplace")
        except OSError:  # the other end is closed
            break
        for text, keys in list(waiting.items()):
            if text in drawn:
                os.write(screen, keys.encode())
                del waiting[text]
    os.close(screen)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), drawn
