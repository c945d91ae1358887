from __future__ import annotations

import pytest
from cli.command import objects, tenios


def test_bare_simulator_runs_in_the_process_of_the_command() -> None:
    [error] = objects(tenios("call", "+49 30 23125 601", "--simulator", "--json"))
    assert error["error"] == "OutcomeUnknownError"
    result = tenios("doctor", "--simulator")
    assert result.returncode == 0
    assert "ok   access key: the simulator's\n" in result.stdout


def test_simulator_url_needs_no_settings(simulator: dict[str, str]) -> None:
    url = simulator["TENIOS_BASE_URL"]
    assert tenios("call", "+49 30 23125 100", "--no-wait", "--simulator", url).returncode == 0
    assert tenios("status", "10", "--simulator", url).returncode == 0
    assert f"{url} responds" in tenios("doctor", "--simulator", url).stdout


@pytest.mark.parametrize("command", ["status", "watch"])
def test_new_simulator_has_no_callback_to_follow(command: str) -> None:
    result = tenios(command, "10", "--simulator")
    assert result.returncode == 2
    assert "has no callbacks yet" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("call", "--simulator", "+493023125100"),
        ("watch", "--simulator", "10", "11"),
        ("status", "--simulator", "10"),
    ],
)
def test_simulator_before_an_argument_is_explained(arguments: tuple[str, ...]) -> None:
    result = tenios(*arguments)
    assert result.returncode == 2
    assert (
        "--simulator takes a URL that begins with http:// or https://, got "
        f"'{arguments[2]}'. To use it without a URL, put it last." in result.stderr
    )
