from __future__ import annotations

import pytest
from cli.command import objects, tenios


@pytest.fixture
def callbacks(simulator: dict[str, str]) -> dict[str, str]:
    """The settings for a simulator with callbacks 10 (the customer is busy) and 11 (connected)."""
    for number in ("+49 30 23125 201", "+49 30 23125 100"):
        assert tenios("call", number, "--no-wait", settings=simulator).returncode == 0
    return simulator


def test_status_prints_the_current_status(callbacks: dict[str, str]) -> None:
    result = tenios("status", "10", settings=callbacks)
    assert result.returncode == 0
    assert result.stdout.partition(": ")[0].isupper()
    [status] = objects(tenios("status", "10", "--json", settings=callbacks))
    assert (status["event"], status["id"]) == ("status", 10)
    assert status["status"].isupper()


def test_status_of_an_unknown_id_exits_with_8(simulator: dict[str, str]) -> None:
    result = tenios("status", "999", settings=simulator)
    assert result.returncode == 8
    assert result.stderr.startswith("Callback 999: StatusUnavailableError: ")


def test_watch_follows_several_callbacks_and_exits_with_the_highest_code(
    callbacks: dict[str, str],
) -> None:
    result = tenios("watch", "10", "11", settings=callbacks)
    assert result.returncode == 4, result.stderr
    lines = result.stdout.splitlines()
    assert "Callback 10: The customer could not be reached." in lines
    assert "Callback 11: The call was connected and has ended." in lines
    assert any(line.endswith(" s  callback 11  DISCONNECTED: the call has ended") for line in lines)


def test_watch_reports_an_unknown_id_and_continues_with_the_others(
    callbacks: dict[str, str],
) -> None:
    result = tenios("watch", "10", "999", "--json", settings=callbacks)
    assert result.returncode == 8
    events = objects(result)
    assert [event["id"] for event in events if event["event"] == "error"] == [999]
    assert [event["id"] for event in events if event["event"] == "outcome"] == [10]


def test_watch_exits_with_7_after_a_timeout(simulator: dict[str, str]) -> None:
    assert tenios("call", "+49 30 23125 300", "--no-wait", settings=simulator).returncode == 0
    result = tenios("watch", "10", "--answer-timeout", "1s", settings=simulator)
    assert result.returncode == 7
    assert result.stderr.startswith("Callback 10: CallbackTimeoutError: ")


def test_watch_without_an_access_key_exits_with_5() -> None:
    result = tenios("watch", "10")
    assert result.returncode == 5
    assert result.stderr.startswith("ConfigurationError: ")
