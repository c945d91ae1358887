"""The exit code and the output with all settings of the terminal, of Python and of the shell."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from cli.command import (
    NUMBER,
    TENIOS,
    environment,
    objects,
    screen,
    server_of,
    settings_of,
    tenios,
    terminal,
)
from support.faults import drop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TERMINALS = [
    {"COLUMNS": "0"},
    {"COLUMNS": "1", "LINES": "1"},
    {"COLUMNS": "\N{SUPERSCRIPT TWO}"},  # a digit, but not for int()
    {"COLUMNS": "9" * 5000},
    {"TERM": "dumb"},
    {"TERM": "nonsense"},
    {"TTY_COMPATIBLE": "0"},
    {"FORCE_COLOR": "1", "COLORTERM": "truecolor"},
]
PYTHONS = [{"PYTHONUNBUFFERED": "1"}, {"PYTHONWARNINGS": "error", "PYTHONDEVMODE": "1"}]


@pytest.mark.parametrize("settings", TERMINALS, ids=lambda each: str(each)[:40])
def test_exit_code_and_id_are_right_at_every_terminal(settings: dict[str, str]) -> None:
    with server_of("CALL_B_FAILED") as server:
        code, drawn = screen("call", NUMBER, settings=settings_of(server) | settings)
    assert code == 4
    assert "Traceback" not in drawn
    assert f"Callback 10 to {NUMBER} started.\n" in drawn
    assert drawn.endswith("The customer could not be reached.\n")


@pytest.mark.parametrize("settings", PYTHONS, ids=str)
def test_exit_code_and_id_are_right_in_every_python(settings: dict[str, str]) -> None:
    with server_of("CALL_B_FAILED") as server:
        code, drawn = terminal("call", NUMBER, settings=settings_of(server) | settings)
    assert code == 4
    assert "Traceback" not in drawn
    assert f"Callback 10 to {NUMBER} started.\r\n" in drawn
    assert drawn.endswith("The customer could not be reached.\r\n")


def test_small_or_dumb_terminals_get_lines() -> None:
    for settings in ({"COLUMNS": "20"}, {"LINES": "1"}, {"TERM": "dumb"}, {"TTY_INTERACTIVE": "0"}):
        with server_of("CALL_B_FAILED") as server:
            _, drawn = screen("call", NUMBER, settings=settings_of(server) | settings)
        assert "\x1b" not in drawn
        assert "CALL_B_FAILED: the customer could not be reached\n" in drawn


def fail(*_: object, **__: object) -> None:
    raise RuntimeError


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rich.live.Live.start", fail),
        ("rich.live.Live.start", None),
        ("rich.console.Console.__init__", fail),
    ],
)
def test_picture_that_fails_is_replaced_by_lines(
    name: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error in rich, such as in another version, must not hide the callback."""
    monkeypatch.setattr(name, value)
    with server_of("CALL_B_FAILED") as server:
        code, drawn = screen("call", NUMBER, settings=settings_of(server))
    assert code == 4
    assert "CALL_B_FAILED: the customer could not be reached\n" in drawn


def test_call_without_rich_prints_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich.live", None)
    monkeypatch.delitem(sys.modules, "tenios_cli._live", raising=False)
    with server_of("CALL_B_FAILED") as server:
        code, drawn = screen("call", NUMBER, settings=settings_of(server))
    assert code == 4
    assert "\x1b" not in drawn
    assert "CALL_B_FAILED: the customer could not be reached\n" in drawn


def test_call_works_in_a_deleted_folder(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    with server_of("CALL_A_FAILED") as server:
        command = ["sh", "-c", 'rmdir "$PWD" && exec "$@"', "sh", str(TENIOS), "call", NUMBER]
        result = subprocess.run(
            command, env=environment(settings_of(server)), cwd=gone, check=False
        )
    assert not gone.exists()
    assert result.returncode == 3


@pytest.mark.parametrize(
    "name",
    [
        "TENIOS_ACCESS_KEY",
        "TENIOS_ACCESS_KEY_FILE",
        "TENIOS_CALLBACK_CONFIG_ID",
        "TENIOS_BASE_URL",
        "TENIOS_REGION",
        "TENIOS_ALLOWED_NUMBERS",
    ],
)
def test_variables_that_are_not_text_are_reported(name: str) -> None:
    with server_of("DISCONNECTED") as server:
        settings = settings_of(server)
        if name == "TENIOS_ACCESS_KEY_FILE":
            del settings["TENIOS_ACCESS_KEY"]
        settings[name] = os.fsdecode(b"\xff\xfe")
        result = tenios("call", NUMBER, settings=settings)
        checked = tenios("doctor", settings=settings)
        assert server.paths == []
    assert (result.returncode, checked.returncode) == (5, 1)
    assert result.stderr.startswith("ConfigurationError: ")
    assert "FAIL settings: " in checked.stdout
    assert checked.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["call", "\udcff"], 5),
        (["call", NUMBER, "--agent-announcement", "\udcff"], 5),
        (["call", NUMBER, "--region", "\udcff"], 5),
        (["call", NUMBER, "--simulator", "http://\udcff"], 5),
        (["call", NUMBER, "--delay", "\udcff"], 2),
        (["call", NUMBER, "--\udcff"], 2),
        (["status", "\udcff"], 2),
        (["status", "9" * 100], 2),
        (["\udcff"], 2),
    ],
)
def test_arguments_that_are_not_text_are_reported(arguments: list[str], code: int) -> None:
    with server_of("DISCONNECTED") as server:
        result = tenios(*arguments, settings=settings_of(server))
        assert server.paths == []
    assert result.returncode == code
    assert "Traceback" not in result.stderr


class FailingHandler(logging.Handler):
    """
    One way in which an unexpected exception leaves the client.

    Args:
        text: In the message that fails.
    """

    def __init__(self, text: str) -> None:
        super().__init__(logging.INFO)
        self._text = text

    def emit(self, record: logging.LogRecord) -> None:
        """Raise an error."""
        if self._text in record.getMessage():
            raise ZeroDivisionError("division by zero [red]")


@pytest.fixture
def failing_log(request: pytest.FixtureRequest) -> Iterator[None]:
    logger, handler = logging.getLogger("tenios_ext"), FailingHandler(request.param)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


@pytest.mark.parametrize("failing_log", ["callback 10 is"], indirect=True)
@pytest.mark.parametrize("options", [[], ["--json"]], ids=["lines", "json"])
@pytest.mark.usefixtures("failing_log")
def test_unexpected_error_after_the_start_names_the_callback(options: list[str]) -> None:
    with server_of("CALLING_A") as server:
        result = tenios("call", NUMBER, *options, settings=settings_of(server))
    assert result.returncode == 1
    assert result.stderr.endswith("Callback 10 was started. Follow it with: tenios watch 10\n")
    assert "Traceback" not in result.stderr
    if options:
        error = objects(result)[-1]
        assert (error["event"], error["id"], error["error"]) == ("error", 10, "ZeroDivisionError")
    else:
        assert (
            "ZeroDivisionError: division by zero [red] This error is unexpected. Please report it"
            in result.stderr
        )


@pytest.mark.parametrize("failing_log", ["not confirmed"], indirect=True)
@pytest.mark.usefixtures("failing_log")
def test_unexpected_error_during_the_init_request_is_an_unknown_outcome() -> None:
    with server_of(start=drop) as server:
        result = tenios("call", NUMBER, settings=settings_of(server))
        assert server.paths == ["/callback/init"]
    assert result.returncode == 6
    assert "ZeroDivisionError" in result.stderr
