from __future__ import annotations

import re
from typing import TYPE_CHECKING

import httpx
import pytest
from cli.command import objects, tenios

if TYPE_CHECKING:
    from pathlib import Path

NUMBER = "+49 221 4710 123"
ORDER = ["REQUESTED", "ACCEPTED", "CALLING_A", "CALLING_B", "CONNECTED", "DISCONNECTED"]


def requests(simulator: dict[str, str]) -> list[dict[str, object]]:
    received: list[dict[str, object]] = httpx.get(
        f"{simulator['TENIOS_BASE_URL']}/_simulator/requests"
    ).json()
    return received


def test_call_prints_each_status_and_the_outcome(simulator: dict[str, str]) -> None:
    result = tenios("call", NUMBER, settings=simulator)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == "Callback 10 to +492214710123 started."
    assert all(re.fullmatch(r" *[\d.]+ s  [A-Z_]+: [a-z' ,]+", line) for line in lines[1:-1])
    statuses = [line.split()[2].rstrip(":") for line in lines[1:-1]]
    assert statuses == [status for status in ORDER if status in statuses]
    assert len(statuses) > 1
    assert lines[-2].endswith("DISCONNECTED: the call has ended")
    assert lines[-1] == "The call was connected and has ended."
    assert simulator["TENIOS_ACCESS_KEY"] not in result.stdout + result.stderr


@pytest.mark.parametrize(
    ("number", "code", "text"),
    [
        ("+49 30 23125 101", 3, "The agent could not be reached."),
        ("+49 30 23125 201", 4, "The customer could not be reached."),
        ("+49 30 23125 429", 5, "RejectedError"),
        ("+49 30 23125 601", 6, "OutcomeUnknownError"),
        ("+49 30 23125 711", 7, "CallbackTimeoutError"),
    ],
)
def test_call_exits_with_the_code_of_the_outcome(
    simulator: dict[str, str], number: str, code: int, text: str
) -> None:
    result = tenios("call", number, "--answer-timeout", "8s", settings=simulator)
    assert result.returncode == code
    assert text in result.stdout + result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["0221 4710 123"], "has no country code"),
        (["customer"], "is not a phone number"),
        (["112", "--region", "DE"], "is an emergency number"),
        ([NUMBER, "--dtmf-key", "x"], ": --dtmf-key must be one phone key"),
        ([NUMBER, "--agent-announcement", " "], ": --agent-announcement is empty"),
        (
            [NUMBER, "--delay", "999999h"],
            ": --delay must be a whole number of seconds from 0 to 2147483647, got",
        ),
        (["0900 1234567", "--region", "DE"], "use --allow-special-numbers (or TENIOS"),
        ([NUMBER, "--key", "a"], "Use --ledger sqlite:///callbacks.db, or set TENIOS_LEDGER."),
    ],
)
def test_call_with_an_invalid_argument_sends_nothing(
    simulator: dict[str, str], arguments: list[str], text: str
) -> None:
    result = tenios("call", *arguments, settings=simulator)
    assert result.returncode == 5
    assert result.stderr.startswith(("InvalidArgumentError: ", "InvalidNumberError: "))
    assert text in result.stderr
    assert requests(simulator) == []


def test_call_sends_its_options(simulator: dict[str, str]) -> None:
    options = {
        "--region": "DE",
        "--delay": "1m",
        "--agent-announcement": "Hello",
        "--dtmf-key": "1",
    }
    arguments = [word for option in options.items() for word in option]
    [started] = objects(
        tenios("call", "0221 4710 123", *arguments, "--no-wait", "--json", settings=simulator)
    )
    assert (started["event"], started["number"], started["handle"]["delay"]) == (
        "started",
        "+492214710123",
        60,
    )
    [callback] = httpx.get(f"{simulator['TENIOS_BASE_URL']}/_simulator/callbacks").json()
    fields = ("number", "delay", "agent_announcement", "dtmf_key")
    assert [callback[field] for field in fields] == ["+492214710123", 60, "Hello", "1"]


def test_call_with_an_invalid_time_is_wrong_usage() -> None:
    result = tenios("call", NUMBER, "--delay", "soon")
    assert result.returncode == 2
    assert (
        "'--delay': 'soon' is not a valid time. Write it like 90, 90s, 5m or 1h." in result.stderr
    )


def test_call_as_json_prints_one_object_per_line(simulator: dict[str, str]) -> None:
    started, *statuses, outcome = objects(
        tenios("call", "+49 30 23125 201", "--json", settings=simulator)
    )
    assert (started["event"], started["id"], started["handle"]["id"]) == ("started", 10, 10)
    assert {status["event"] for status in statuses} == {"status"}
    assert statuses[-1]["status"] == "CALL_B_FAILED"
    assert [status["seconds"] for status in statuses] == sorted(
        status["seconds"] for status in statuses
    )
    assert outcome == {
        "event": "outcome",
        "id": 10,
        "connected": False,
        "failed_party": "customer",
        "ended": True,
    }


def test_call_as_json_prints_errors_to_stdout(simulator: dict[str, str]) -> None:
    result = tenios("call", "+49 30 23125 429", "--json", settings=simulator)
    [error] = objects(result)
    assert error["event"] == "error"
    assert error["error"] == "RejectedError"
    assert error["http_status"] == 429
    assert error["retry_after"] == 5
    assert result.stderr == ""


def test_call_as_json_names_the_callback_after_a_timeout(simulator: dict[str, str]) -> None:
    """A program needs the id to follow the callback later."""
    error = objects(
        tenios("call", "+49 30 23125 300", "--answer-timeout", "1s", "--json", settings=simulator)
    )[-1]
    assert (error["event"], error["error"], error["id"]) == ("error", "CallbackTimeoutError", 10)


def test_call_after_a_timeout_names_the_simulator_to_follow_it(simulator: dict[str, str]) -> None:
    url = simulator["TENIOS_BASE_URL"]
    options = ("--answer-timeout", "1s", "--simulator", url)
    errors = tenios("call", "+49 30 23125 300", *options).stderr
    assert errors.endswith(f"Follow it with: tenios watch 10 --simulator {url}\n")
    assert errors.count("tenios") == 1  # no other advice


def test_call_with_a_wrong_access_key_names_both_causes_and_no_key(
    simulator: dict[str, str],
) -> None:
    result = tenios("call", NUMBER, settings={**simulator, "TENIOS_ACCESS_KEY": "WRONG-KEY"})
    assert result.returncode == 5
    assert "BadCredentialsError" in result.stderr
    assert "access key" in result.stderr
    assert "callback config id" in result.stderr
    assert "WRONG-KEY" not in result.stdout + result.stderr


def test_call_without_an_access_key_says_where_to_find_it() -> None:
    result = tenios("call", NUMBER)
    assert result.returncode == 5
    assert result.stderr.startswith("ConfigurationError: ")
    assert "TENIOS_ACCESS_KEY" in result.stderr
    assert "General Settings" in result.stderr


def test_access_key_as_an_argument_is_refused_and_not_repeated() -> None:
    result = tenios("call", NUMBER, "--access-key", "SECRET-KEY-1234")
    assert result.returncode == 2
    assert "TENIOS_ACCESS_KEY_FILE" in result.stderr
    assert "SECRET-KEY-1234" not in result.stdout + result.stderr


def test_access_key_file_may_be_readable_by_others(
    simulator: dict[str, str], tmp_path: Path
) -> None:
    """Docker and Kubernetes mount secrets with these modes."""
    path = tmp_path / "key"
    path.write_text(simulator.pop("TENIOS_ACCESS_KEY") + "\n")
    path.chmod(0o444)
    settings = {**simulator, "TENIOS_ACCESS_KEY_FILE": str(path)}
    assert tenios("call", NUMBER, "--no-wait", settings=settings).returncode == 0
    path.unlink()
    missing = tenios("call", NUMBER, settings=settings)
    assert missing.returncode == 5
    assert "TENIOS_ACCESS_KEY_FILE" in missing.stderr
    assert "Traceback" not in missing.stderr
