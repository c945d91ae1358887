"""
Runs the ``tenios`` command.

In this process, where time passes at once: :func:`tenios`, and :func:`screen` at a terminal. In a
process of its own, which takes a hundred times as long, and only where the process is the subject,
as with signals, encodings and imports: :func:`process`, and :func:`terminal` at a terminal.
"""

from __future__ import annotations

import io
import json
import os
import pty
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
#: The time of all commands in this process, and of the simulators that they use.
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
        streams: Its stdin, stdout and stderr; None for one that is closed. What it writes is
            captured otherwise.
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
        with pytest.raises(SystemExit) as end:
            main(arguments, prog_name="tenios")
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
    Run the command in this process at a terminal; return its exit code and everything it has drawn.

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
    Return the environment of a command with *settings*, and with a buffered stdout unless they say
    otherwise.
    """
    return {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"} | (
        settings or {}
    )


def process(
    *arguments: str, settings: dict[str, str] | None = None, redirect: str = "", **streams: Any
) -> Result:
    """
    Run the command in a process of its own.

    Args:
        arguments: The command's arguments.
        settings: Variables for its environment.
        redirect: Where a shell sends its output, such as ``> /dev/full``.
        streams: Arguments of ``subprocess.run`` for its streams, which are captured otherwise.
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
    """Run *code* in a fresh interpreter. The other arguments are those of :func:`process`."""
    captured = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment(settings), text=True, check=False, **captured
    )


def objects(result: Result) -> list[dict[str, Any]]:
    """Return what a command with ``--json`` has printed."""
    return [json.loads(line) for line in result.stdout.splitlines()]


def server_of(*statuses: str | Fault, start: Fault | None = None) -> FaultServer:
    """
    Return a server that starts callback 10 and then returns these statuses, the last one
    repeatedly.

    Args:
        statuses: Each is a status, or what else happens to a status request.
        start: What happens to the init request.
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
    Run the command in a process of its own at a terminal; return its exit code and everything it
    has drawn.

    Args:
        arguments: The command's arguments.
        typed: What the user types as soon as a text has appeared.
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
        except OSError:  # The other end is closed.
            break
        for text, keys in list(waiting.items()):
            if text in drawn:
                os.write(screen, keys.encode())
                del waiting[text]
    os.close(screen)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), drawn
