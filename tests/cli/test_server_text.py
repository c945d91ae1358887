"""Text from a server is printed unchanged or escaped, and never interpreted."""

from __future__ import annotations

import io
import json
import re

import pytest
from cli.command import (
    NUMBER,
    objects,
    process,
    screen,
    server_of,
    settings_of,
    tenios,
    written,
)
from support.faults import respond

CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]")
MARKUP = "[red]HOLD[/red] [link=a]X :smiley: [@click=a.b]X[/] [bold"
#: Text that would control a terminal, or that it cannot encode.
HOSTILE = "\x1b]0;title\x07\x1b[2J\r\x08\x9b31m\x00\u202eHOLD\u2028\x85é…😀\ud83d"
STATUS = "WARTEN_AUF_GRÜN_😀"


def test_markup_in_a_status_is_drawn_as_it_is() -> None:
    with server_of(MARKUP) as server:
        code, drawn = screen("call", NUMBER, settings={**settings_of(server), "COLUMNS": "200"})
    assert code == 7
    assert f"Agent     {MARKUP}: unknown to this version" in drawn


def test_markup_in_an_error_is_printed_as_it_is() -> None:
    refusal = respond(
        "400 Bad Request",
        {"error_code": "[red]X[/]", "error_message": "[/] [link=a]", "fields": []},
    )
    with server_of(start=refusal) as server:
        code, drawn = screen("call", NUMBER, settings=settings_of(server))
    assert code == 5
    assert "[red]X[/]: [/] [link=a]" in drawn


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["lines", "json"])
def test_controls_in_an_error_reach_no_stream(options: list[str]) -> None:
    refusal = respond(
        "400 Bad Request", {"error_code": HOSTILE, "error_message": HOSTILE, "fields": [HOSTILE]}
    )
    with server_of(start=refusal) as server:
        result = tenios("call", NUMBER, *options, settings=settings_of(server))
    with server_of(start=refusal) as server:
        code, drawn = screen("call", NUMBER, *options, settings=settings_of(server))
    assert (result.returncode, code) == (5, 5)
    assert not CONTROLS.search(result.stdout + result.stderr)
    assert not CONTROLS.search(drawn)
    assert len(result.stdout.splitlines() + result.stderr.splitlines()) == 1


def check_call(code: int, output: str, errors: str) -> None:
    """Check a call with an unknown status and an error."""
    first, status = output.splitlines()
    assert code == 7
    assert first == f"Callback 10 to {NUMBER} started."
    assert " WARTEN_AUF_GR" in status
    assert errors.startswith("CallbackTimeoutError: ")
    assert " WARTEN_AUF_GR" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("encoding", "on_error"),
    [("ascii", "strict"), ("latin-1", "strict"), ("cp437", "strict"), ("utf-8", "surrogateescape")],
)
def test_call_is_printed_in_every_encoding(encoding: str, on_error: str) -> None:
    stdout, stderr = (
        io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors=on_error) for _ in range(2)
    )
    with server_of(STATUS) as server:
        result = tenios("call", NUMBER, settings=settings_of(server), stdout=stdout, stderr=stderr)
    check_call(result.returncode, written(stdout), written(stderr))


@pytest.mark.parametrize(
    "settings",
    [
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"LC_ALL": "POSIX", "PYTHONUTF8": "1"},
        {"LANG": "nonsense", "LC_ALL": "nonsense", "PYTHONUTF8": "0"},
    ],
    ids=str,
)
def test_call_is_printed_in_every_locale(settings: dict[str, str]) -> None:
    with server_of(STATUS) as server:
        result = process(
            "call", NUMBER, "--answer-timeout", "0", settings=settings_of(server) | settings
        )
    check_call(result.returncode, result.stdout, result.stderr)


def test_json_is_ascii_and_has_each_text_as_it_was() -> None:
    with server_of(STATUS, "CALL_A_FAILED") as server:
        result = tenios("call", NUMBER, "--json", settings=settings_of(server))
    assert result.returncode == 3
    assert result.stdout.isascii()
    assert [event["status"] for event in objects(result) if event["event"] == "status"] == [
        STATUS,
        "CALL_A_FAILED",
    ]


def test_long_texts_are_cut() -> None:
    refusal = respond(
        "400 Bad Request",
        {"error_code": "X" * 100_000, "error_message": "Y" * 100_000, "fields": []},
    )
    with server_of(start=refusal) as server:
        result = tenios("call", NUMBER, settings=settings_of(server))
    assert result.returncode == 5
    assert len(result.stderr) < 2000


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["lines", "json"])
def test_call_that_was_connected_and_then_reported_failed_is_connected(options: list[str]) -> None:
    with server_of("CONNECTED", "CALL_B_FAILED") as server:
        result = tenios("call", NUMBER, *options, settings=settings_of(server))
    assert result.returncode == 0
    *_, status, outcome = result.stdout.splitlines()
    if options:
        assert json.loads(status)["status"] == "CALL_B_FAILED"
        assert json.loads(outcome) == {
            "event": "outcome",
            "id": 10,
            "connected": True,
            "failed_party": None,
            "ended": True,
        }
    else:
        assert status.endswith("CALL_B_FAILED: the call has ended")
        assert outcome == "The call was connected and has ended."


def test_call_that_was_connected_and_then_reported_failed_is_drawn_as_ended() -> None:
    with server_of("CONNECTED", "CALL_A_FAILED") as server:
        code, drawn = screen("call", NUMBER, settings=settings_of(server))
    assert code == 0
    assert "could not be reached" not in drawn
    assert drawn.endswith("The call was connected and has ended.\n")
