"""
Text from a server at a terminal, in pipes and as JSON: it is shown as it is, or escaped, and never
interpreted.
"""

from __future__ import annotations

import json
import re

import pytest
from cli.command import NUMBER, objects, server_of, settings_of, tenios, terminal
from support.faults import respond, respond_error

CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]")
MARKUP = [
    "[red]ON_HOLD[/red]",
    "[/]",
    "[link=http://127.0.0.1]ON_HOLD",
    "[bold",
    ":smiley:",
    "[@click=app.bell]X[/]",
]
#: What a terminal would obey, and what it cannot encode.
HOSTILE = "\x1b]0;title\x07\x1b[2J\r\x08\x9b31m\x00\u202eHOLD\u2028\x85é…😀\ud83d"
#: Each way in which a terminal or a script may have set the encoding of the command's output.
ENCODINGS = [
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "latin-1:strict"},
    {"PYTHONIOENCODING": "cp437"},
    {"PYTHONIOENCODING": "utf-8:surrogateescape"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    {"LC_ALL": "POSIX", "PYTHONUTF8": "1"},
    {"LANG": "nonsense", "LC_ALL": "nonsense", "PYTHONUTF8": "0"},
]


@pytest.mark.parametrize("status", MARKUP)
def test_markup_in_a_status_is_drawn_as_it_is(status: str) -> None:
    with server_of(status, "CALL_A_FAILED") as server:
        code, drawn = terminal("call", NUMBER, settings=settings_of(server))
    assert code == 3
    assert f"Agent     {status}: unknown to this version" in drawn


def test_markup_in_an_error_is_printed_as_it_is() -> None:
    refusal = respond(
        "400 Bad Request",
        {"error_code": "[red]X[/]", "error_message": "[/] [link=a]", "fields": []},
    )
    with server_of(start=refusal) as server:
        code, drawn = terminal("call", NUMBER, settings=settings_of(server))
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
        code, drawn = terminal("call", NUMBER, *options, settings=settings_of(server))
    assert (result.returncode, code) == (5, 5)
    assert not CONTROLS.search(result.stdout + result.stderr)
    assert not CONTROLS.search(drawn.replace("\r\n", "\n"))
    assert len(result.stdout.splitlines() + result.stderr.splitlines()) == 1


@pytest.mark.parametrize("settings", ENCODINGS, ids=str)
def test_exit_code_holds_in_every_encoding(settings: dict[str, str]) -> None:
    with server_of("WARTEN_AUF_GRÜN_😀", "CALL_B_FAILED") as server:
        result = tenios("call", NUMBER, settings={**settings_of(server), **settings})
    assert (result.returncode, result.stderr) == (4, "")
    lines = result.stdout.splitlines()
    assert lines[0] == f"Callback 10 to {NUMBER} started."
    assert " WARTEN_AUF_GR" in lines[1]
    assert lines[-1] == "The customer could not be reached."


@pytest.mark.parametrize("settings", ENCODINGS, ids=str)
def test_error_is_printed_in_every_encoding(settings: dict[str, str]) -> None:
    with server_of(start=respond_error("429 Too Many Requests", "ZÜ_VIELE_😀")) as server:
        result = tenios("call", NUMBER, settings={**settings_of(server), **settings})
    assert result.returncode == 5
    assert "VIELE" in result.stderr
    assert "Traceback" not in result.stderr


def test_json_is_ascii_and_has_each_text_as_it_was() -> None:
    status = "WARTEN_AUF_GRÜN_😀"
    with server_of(status, "CALL_A_FAILED") as server:
        result = tenios(
            "call", NUMBER, "--json", settings={**settings_of(server), "PYTHONIOENCODING": "ascii"}
        )
    assert result.returncode == 3
    assert result.stdout.isascii()
    assert [event["status"] for event in objects(result) if event["event"] == "status"] == [
        status,
        "CALL_A_FAILED",
    ]


def test_very_long_texts_make_lines_of_bounded_length() -> None:
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
        code, drawn = terminal("call", NUMBER, settings=settings_of(server))
    assert code == 0
    assert "could not be reached" not in drawn
    assert drawn.endswith("The call was connected and has ended.\r\n")
