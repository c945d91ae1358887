"""An access key in a wrong place is not printed, not even in part."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from cli.command import ACCESS_KEY, NUMBER, objects, screen, server_of, settings_of, tenios

if TYPE_CHECKING:
    from pathlib import Path

WRONG_PLACES = [
    ("call", ACCESS_KEY),
    ("call", f"49221-{ACCESS_KEY}"),
    ("call", NUMBER, ACCESS_KEY),
    ("call", NUMBER, "--dtmf-key", ACCESS_KEY),
    ("call", NUMBER, "--region", ACCESS_KEY),
    ("call", NUMBER, "--delay", ACCESS_KEY),
    ("call", NUMBER, "--answer-timeout", ACCESS_KEY),
    ("call", NUMBER, "--simulator", ACCESS_KEY),
    ("call", NUMBER, f"--{ACCESS_KEY}"),
    ("call", NUMBER, f"--yes={ACCESS_KEY}"),
    ("status", ACCESS_KEY),
    ("watch", "10", ACCESS_KEY),
    ("contract", "--format", ACCESS_KEY),
    ("simulate", "--port", ACCESS_KEY),
    ("simulate", "--host", f"{ACCESS_KEY}.invalid"),
    ("simulate", "--port", "0", "--allow-host", f"{ACCESS_KEY}/"),
    (ACCESS_KEY,),
    ("--access-key", ACCESS_KEY),
]
#: An error may quote this end, which is long enough to be useful.
PART = ACCESS_KEY[-8:]


@pytest.mark.parametrize("arguments", WRONG_PLACES, ids=" ".join)
def test_key_in_the_wrong_argument_is_masked(arguments: tuple[str, ...]) -> None:
    with server_of() as server:
        result = tenios(*arguments, settings=settings_of(server))
        assert server.paths == []
    assert result.returncode in {1, 2, 5}
    assert PART not in result.stdout + result.stderr
    assert "Traceback" not in result.stderr


def test_key_in_a_file_is_masked_in_a_wrong_argument(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(f"\ufeff{ACCESS_KEY}\n", encoding="utf-8")
    settings = {"TENIOS_ACCESS_KEY_FILE": str(path), "TENIOS_CALLBACK_CONFIG_ID": "CONFIG"}
    result = tenios("call", ACCESS_KEY, settings=settings)
    assert result.returncode == 5
    assert "'***' is not a phone number" in result.stderr


@pytest.mark.parametrize(
    "name",
    [
        "TENIOS_REGION",
        "TENIOS_ALLOWED_NUMBERS",
        "TENIOS_BASE_URL",
        "TENIOS_INSECURE_HOSTS",
        "HTTPS_PROXY",
    ],
)
def test_key_in_the_wrong_variable_is_masked(name: str) -> None:
    settings = {
        "TENIOS_ACCESS_KEY": ACCESS_KEY,
        "TENIOS_CALLBACK_CONFIG_ID": "CONFIG",
        name: ACCESS_KEY,
    }
    if name == "TENIOS_INSECURE_HOSTS":
        settings["TENIOS_BASE_URL"] = "http://simulator.invalid"
    else:
        settings.setdefault("TENIOS_BASE_URL", "https://tenios.invalid")
    for command in (["doctor"], ["call", NUMBER], ["doctor", "--json"], ["call", NUMBER, "--json"]):
        result = tenios(*command, settings=settings)
        assert result.returncode in {1, 5}
        assert PART not in result.stdout + result.stderr


def test_key_as_the_name_of_its_file_is_not_shown() -> None:
    for command in (["doctor"], ["call", NUMBER]):
        result = tenios(*command, settings={"TENIOS_ACCESS_KEY_FILE": ACCESS_KEY})
        assert result.returncode in {1, 5}
        assert PART not in result.stdout + result.stderr


def test_key_as_the_callback_config_id_is_masked_by_doctor() -> None:
    settings = {
        "TENIOS_ACCESS_KEY": ACCESS_KEY,
        "TENIOS_CALLBACK_CONFIG_ID": ACCESS_KEY,
        "TENIOS_OFFLINE": "1",
    }
    assert "ok   callback config id: ***\n" in tenios("doctor", settings=settings).stdout


@pytest.mark.parametrize("key", ['QUOTE"AND\\BACKSLASH', "SCHLÜSSEL-ÄÖÜ-1234", "it's-a-'key'"])
@pytest.mark.parametrize("options", [[], ["--json"]], ids=["lines", "json"])
def test_key_with_special_characters_is_masked(key: str, options: list[str]) -> None:
    settings = {"TENIOS_ACCESS_KEY": key, "TENIOS_CALLBACK_CONFIG_ID": "CONFIG"}
    result = tenios("call", key, *options, settings=settings)
    output = result.stdout + result.stderr
    assert result.returncode == 5
    for shown in (key, repr(key)[1:-1], json.dumps(key)[1:-1], json.dumps(repr(key))[2:-2]):
        assert shown[-8:] not in output


def test_short_keys_are_masked_as_words() -> None:
    settings = {"TENIOS_ACCESS_KEY": "KEY", "TENIOS_CALLBACK_CONFIG_ID": "CONFIG"}
    refused = tenios("call", "KEY", settings=settings)
    assert "'***' is not a phone number" in refused.stderr
    assert (
        "set by TENIOS_ACCESS_KEY\n"
        in tenios("doctor", settings={**settings, "TENIOS_OFFLINE": "1"}).stdout
    )


def test_key_of_digits_does_not_hide_an_id() -> None:
    with server_of("CALL_A_FAILED") as server:
        result = tenios(
            "call", NUMBER, "--json", settings={**settings_of(server), "TENIOS_ACCESS_KEY": "10"}
        )
    assert [event["id"] for event in objects(result)] == [10, 10, 10]


def test_key_that_a_server_sends_back_is_masked_in_the_picture() -> None:
    with server_of(f"HOLD_{ACCESS_KEY}") as server:
        code, drawn = screen("call", NUMBER, settings=settings_of(server))
    assert code == 7
    assert PART not in drawn
