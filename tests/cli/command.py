"""Runs the ``tenios`` command in a process of its own."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

from support.faults import Fault, FaultServer, in_turn, respond

ROOT = Path(__file__).resolve().parents[2]
TENIOS = Path(sys.executable).with_name("tenios")
NUMBER = "+492214710123"
ACCESS_KEY = "SECRET-KEY-1234"


def environment(settings: dict[str, str] | None = None) -> dict[str, str]:
    """
    Return the environment of a command with *settings*, and with a buffered stdout unless they say
    otherwise.
    """
    return {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"} | (
        settings or {}
    )


def tenios(
    *arguments: str, settings: dict[str, str] | None = None, redirect: str = "", **streams: Any
) -> subprocess.CompletedProcess[str]:
    """
    Run the command with *settings* in its environment.

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


def python(
    code: str, settings: dict[str, str] | None = None, **streams: Any
) -> subprocess.CompletedProcess[str]:
    """Run *code* in a fresh interpreter. The other arguments are those of :func:`tenios`."""
    captured = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment(settings), text=True, check=False, **captured
    )


def objects(result: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
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
    Run the command at a terminal; return its exit code and everything it has drawn.

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
            environment({"TERM": "xterm", "COLUMNS": "120", **(settings or {})}),
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
