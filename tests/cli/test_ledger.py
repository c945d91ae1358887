"""``tenios ledger``, and ``tenios call --key``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import pytest
from cli.command import NUMBER, objects, python, server_of, settings_of, tenios
from support.faults import FaultServer, drop, respond, respond_error
from support.ledgers import expire

from tenios_cli._options import days
from tenios_ext import OutcomeUnknownError, Tenios
from tenios_ext.ledger import Ledger

if TYPE_CHECKING:
    from pathlib import Path

UNKNOWN, PLACED = "order-4711", "order-4712"


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/callbacks.db"


@pytest.fixture
def settings(url: str) -> dict[str, str]:
    """
    The settings for a ledger with an unknown outcome and a callback that did not reach its agent.
    """
    with (
        Ledger(url) as ledger,
        FaultServer(drop) as server,
        Tenios("KEY", "CONFIG", base_url=server.url, ledger=ledger) as client,
    ):
        with pytest.raises(OutcomeUnknownError):
            client.start_callback(NUMBER, key=UNKNOWN)
        server.fault = respond("200 OK", {"id": 10})
        callback = client.start_callback(NUMBER, key=PLACED)
        server.fault = respond("200 OK", {"status": "CALL_A_FAILED"})
        callback.wait()
    return {"TENIOS_LEDGER": url}


def run(*arguments: str, **options: Any) -> Any:
    return tenios("ledger", *arguments, **options)


# Calls.


def test_call_with_a_key_starts_one_callback_however_often_it_is_repeated(url: str) -> None:
    with server_of("CALL_A_FAILED") as server:
        for _ in range(3):
            result = tenios(
                "call", NUMBER, "--key", PLACED, "--ledger", url, settings=settings_of(server)
            )
            assert result.returncode == 3, result.stderr
            assert result.stdout.startswith(f"Callback 10 to {NUMBER} started.\n")
        assert server.received["/callback/init"] == 1


def test_call_with_a_key_whose_outcome_is_unknown_sends_nothing(url: str) -> None:
    with server_of(start=drop) as server:
        settings = {**settings_of(server), "TENIOS_LEDGER": url}
        first, second = [
            tenios("call", NUMBER, "--key", UNKNOWN, settings=settings) for _ in range(2)
        ]
        assert (first.returncode, second.returncode) == (6, 6)
        assert "with `tenios ledger resolve`" in second.stderr
        assert server.paths == ["/callback/init"]


def test_call_with_a_key_and_no_ledger_says_how_to_set_one() -> None:
    with server_of() as server:
        result = tenios("call", NUMBER, "--key", PLACED, settings=settings_of(server))
        assert server.paths == []
    assert result.returncode == 5
    assert "TENIOS_LEDGER" in result.stderr


def test_simulator_does_not_use_the_ledger_of_real_callbacks(settings: dict[str, str]) -> None:
    """Its ids also begin at 10, so it would change the status of another callback."""
    before = objects(run("list", "--json", settings=settings))
    assert tenios("call", "+49 30 23125 201", "--simulator", settings=settings).returncode == 4
    refused = tenios("call", NUMBER, "--key", "new", "--simulator", settings=settings)
    assert (refused.returncode, "A key needs a ledger" in refused.stderr) == (5, True)
    assert objects(run("list", "--json", settings=settings)) == before
    named = tenios(
        "call", "+49 30 23125 201", "--simulator", "--key", "new",
        "--ledger", settings["TENIOS_LEDGER"], settings=settings,
    )  # fmt: skip
    assert named.returncode == 4, named.stderr
    assert run("show", "new", settings=settings).returncode == 0


# List and show.


def test_list_prints_a_line_for_each_key(settings: dict[str, str]) -> None:
    result = run("list", settings=settings)
    assert result.returncode == 0, result.stderr
    unknown, placed = result.stdout.splitlines()
    assert unknown.endswith(f" UTC  unknown     {UNKNOWN}  {NUMBER}")
    assert placed.endswith(f" UTC  placed      {PLACED}  {NUMBER}  callback 10  CALL_A_FAILED")


def test_list_of_a_state_has_only_keys_in_it(settings: dict[str, str]) -> None:
    for state, keys in {
        "unknown": [UNKNOWN],
        "placed": [PLACED],
        "dialling": [],
        "not_placed": [],
    }.items():
        listed = objects(run("list", "--state", state, "--json", settings=settings))
        assert [entry["key"] for entry in listed] == keys
    assert run("list", "--state", "lost", settings=settings).returncode == 2


def test_list_as_json_has_all_fields_of_the_entry(settings: dict[str, str]) -> None:
    with Ledger(settings["TENIOS_LEDGER"]) as ledger:
        entry = ledger.get(PLACED)
    assert entry is not None
    assert entry.handle is not None
    printed = objects(run("list", "--json", settings=settings))[1]
    assert printed == {
        "event": "entry", "id": 10, "key": PLACED, "state": "placed", "number": NUMBER,
        "attempts": 1, "handle": {"id": 10, "delay": 0, "started_at": entry.handle.started_at},
        "status": "CALL_A_FAILED", "created_at": entry.created_at, "dialled_at": entry.dialled_at,
        "updated_at": entry.updated_at, "last_error": None,
    }  # fmt: skip
    assert objects(run("show", PLACED, "--json", settings=settings)) == [printed]


def test_show_prints_the_entry(settings: dict[str, str]) -> None:
    placed = run("show", PLACED, settings=settings).stdout
    assert "state       placed: the callback was started, and the key returns it\n" in placed
    assert "callback    10\n" in placed
    assert "status      CALL_A_FAILED: the agent could not be reached\n" in placed
    assert "last error" not in placed
    unknown = run("show", UNKNOWN, settings=settings).stdout
    assert "state       unknown: phones may have rung" in unknown
    assert f"number      {NUMBER}\n" in unknown
    assert "last error  The request may have reached http:" in unknown
    assert "callback  " not in unknown


def test_show_of_a_key_that_was_never_used_exits_with_1(settings: dict[str, str]) -> None:
    result = run("show", "missing", settings=settings)
    assert (result.returncode, result.stderr) == (
        1, "The ledger has no key 'missing'. `tenios ledger list` lists its keys.\n",
    )  # fmt: skip


# Resolve and forget.


def test_key_resolved_as_not_placed_can_be_used_again(settings: dict[str, str]) -> None:
    result = run("resolve", UNKNOWN, "--not-placed", settings=settings)
    assert result.returncode == 0, result.stderr
    assert "state       not_placed: " in result.stdout
    assert "Phones may be ringing" not in result.stdout
    with server_of("CALL_A_FAILED") as server:
        assert (
            tenios(
                "call", NUMBER, "--key", UNKNOWN, settings=settings | settings_of(server)
            ).returncode
            == 3
        )


def test_key_resolved_as_placed_returns_the_callback_with_this_id(settings: dict[str, str]) -> None:
    [entry] = objects(
        run("resolve", UNKNOWN, "--placed", "--id", "77", "--json", settings=settings)
    )
    assert (entry["state"], entry["id"]) == ("placed", 77)
    with server_of("CALL_A_FAILED") as server:
        again = tenios("call", NUMBER, "--key", UNKNOWN, settings=settings | settings_of(server))
        assert "/callback/init" not in server.paths
    assert again.stdout.startswith("Callback 77 ")


@pytest.mark.parametrize(
    "arguments", [[], ["--placed", "--not-placed"], ["--not-placed", "--id", "77"]]
)
def test_resolve_without_one_answer_changes_nothing(
    settings: dict[str, str], arguments: list[str]
) -> None:
    result = run("resolve", UNKNOWN, *arguments, settings=settings)
    assert result.returncode == 2
    assert "--placed" in result.stderr
    assert objects(run("show", UNKNOWN, "--json", settings=settings))[0]["state"] == "unknown"


def test_resolve_of_another_key_exits_with_1(settings: dict[str, str]) -> None:
    for key, text in {
        PLACED: "is not unknown: its state is placed. Nothing was changed.",
        "missing": "no key",
    }.items():
        result = run("resolve", key, "--not-placed", settings=settings)
        assert result.returncode == 1
        assert text in result.stderr


def test_forget_erases_the_number_and_keeps_the_key(settings: dict[str, str]) -> None:
    with Ledger(settings["TENIOS_LEDGER"]) as ledger:
        expire(ledger)
    assert (
        run("forget", "--older-than", "90d", settings=settings).stdout
        == "Erased the data of 0 keys.\n"
    )
    assert objects(run("forget", "--older-than", "0d", "--json", settings=settings)) == [
        {"event": "forgotten", "entries": 2}
    ]
    for arguments in (["list"], ["list", "--json"], ["show", UNKNOWN], ["show", PLACED, "--json"]):
        result = run(*arguments, settings=settings)
        assert NUMBER not in result.stdout
        assert ("(erased)" in result.stdout) == ("--json" not in arguments)
    with server_of() as server:
        assert (
            tenios(
                "call", NUMBER, "--key", UNKNOWN, settings=settings | settings_of(server)
            ).returncode
            == 6
        )
        assert server.paths == []


@pytest.mark.parametrize("age", ["90", "90s", "-1d", "d", "\N{SUPERSCRIPT TWO}d", "1000000d"])
def test_forget_takes_only_whole_days(age: str) -> None:
    """Without its unit, a number may mean days or seconds."""
    with pytest.raises(click.BadParameter, match=r"is not a number of days\. Write it like 90d\."):
        days(age)


def test_forget_needs_an_age(settings: dict[str, str]) -> None:
    for arguments in ([], ["--older-than", "90"]):
        result = run("forget", *arguments, settings=settings)
        assert result.returncode == 2
        assert "--older-than" in result.stderr


# Blocked numbers, and one call per number.


def test_blocked_number_is_not_called_until_it_is_unblocked(url: str) -> None:
    with Ledger(url), server_of("CALL_A_FAILED") as server:
        settings = settings_of(server) | {"TENIOS_LEDGER": url, "TENIOS_REGION": "DE"}
        arguments = ("0221 4710 123", "--reason", "asked by phone")
        assert run("block", *arguments, settings=settings).stdout == f"{NUMBER} is blocked.\n"
        refused = tenios("call", NUMBER, "--key", PLACED, settings=settings)
        assert refused.returncode == 5
        assert refused.stderr.startswith(f"BlockedNumberError: {NUMBER} is blocked")
        assert server.paths == []
        listed = run("blocked", settings=settings).stdout
        assert listed.endswith(f" UTC  {NUMBER}  asked by phone\n")
        unblocked = run("unblock", "0221 4710 123", settings=settings)
        assert unblocked.stdout == f"{NUMBER} can be called again.\n"
        assert run("blocked", settings=settings).stdout == ""
        assert tenios("call", NUMBER, "--key", PLACED, settings=settings).returncode == 3


def test_blocked_as_json_has_what_block_prints(settings: dict[str, str]) -> None:
    block = objects(run("block", NUMBER, "--json", settings=settings))
    assert [each["number"] for each in block] == [NUMBER]
    assert objects(run("blocked", "--json", settings=settings)) == block
    assert objects(run("unblock", NUMBER, "--json", settings=settings)) == [
        {"event": "unblocked", "number": NUMBER}
    ]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["block", "0221 4710123"], "or set its country: --region DE"),
        (["block", NUMBER, "--reason", "a\nb"], "reason must be one line"),
        (["unblock", "0221 4710123"], "has no country code"),
        (["unblock", NUMBER], f"{NUMBER} is not blocked."),
    ],
    ids=str,
)
def test_invalid_change_of_blocked_numbers_exits_with_1(
    arguments: list[str], text: str, settings: dict[str, str]
) -> None:
    result = run(*arguments, settings=settings)
    assert result.returncode == 1
    assert text in result.stderr
    assert "Traceback" not in result.stderr


def test_number_in_use_is_not_called_for_another_key(url: str) -> None:
    with server_of("CALL_A_FAILED") as server:
        settings = settings_of(server) | {"TENIOS_LEDGER": url}
        first = tenios("call", NUMBER, "--key", PLACED, "--no-wait", settings=settings)
        assert first.returncode == 0, first.stderr
        again = ("call", NUMBER, "--key", "new", "--json")
        [error] = objects(tenios(*again, "--one-call-per-number", settings=settings))
        assert error["error"] == "NumberInUseError"
        assert 4 * 3600 < error["retry_after"] <= 4 * 3600 + 85
        settings |= {"TENIOS_ONE_CALL_PER_NUMBER": "1"}
        assert tenios(*again, settings=settings).returncode == 5
        assert server.received["/callback/init"] == 1
        assert tenios("watch", "10", settings=settings).returncode == 3
        tenios(*again, settings=settings)
        assert server.received["/callback/init"] == 2


def test_one_call_per_number_needs_a_key() -> None:
    result = tenios("call", NUMBER, "--one-call-per-number", "--simulator")
    assert result.returncode == 2
    assert "--one-call-per-number needs --key." in result.stderr


# The ledger.


@pytest.mark.parametrize(
    "arguments",
    [
        ["list"],
        ["show", UNKNOWN],
        ["resolve", UNKNOWN, "--placed"],
        ["block", NUMBER],
        ["forget", "--older-than", "90d"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_ledger_that_does_not_exist_is_not_created(arguments: list[str], tmp_path: Path) -> None:
    """Otherwise, a wrong path would look like a ledger without unknown outcomes."""
    [error] = objects(run(*arguments, "--ledger", f"sqlite:///{tmp_path}/missing.db", "--json"))
    assert (error["event"], error["error"]) == ("error", "ConfigurationError")
    assert (
        error["message"]
        == f"The ledger {tmp_path}/missing.db does not exist. Check --ledger or TENIOS_LEDGER."
    )
    assert list(tmp_path.iterdir()) == []


def test_ledger_in_a_home_that_does_not_exist_is_reported() -> None:
    result = run("list", "--ledger", "sqlite:///~nobody-knows/callbacks.db")
    assert result.returncode == 5
    assert "The ledger's file cannot be used" in result.stderr


def test_url_of_a_ledger_may_have_a_query(settings: dict[str, str]) -> None:
    result = run("list", "--ledger", f"{settings['TENIOS_LEDGER']}?locks=reliable")
    assert (result.returncode, result.stderr) == (0, "")


def test_ledger_must_be_named() -> None:
    result = run("list")
    assert result.returncode == 5
    assert result.stderr.startswith(
        "ConfigurationError: No ledger is set. Use --ledger, such as sqlite:///callbacks.db"
    )


def test_variable_must_name_an_absolute_path() -> None:
    result = run("list", settings={"TENIOS_LEDGER": "sqlite:///callbacks.db"})
    assert result.returncode == 2
    assert "TENIOS_LEDGER must name an absolute path, such as sqlite:////" in result.stderr


def test_option_wins_over_the_variable(settings: dict[str, str]) -> None:
    named = run(
        "list", "--ledger", settings["TENIOS_LEDGER"], settings={"TENIOS_LEDGER": "nonsense"}
    )
    assert named.returncode == 0, named.stderr
    wrong = run("list", "--ledger", "nonsense", settings=settings)
    assert wrong.returncode == 5
    assert "must look like" in wrong.stderr


def test_database_that_fails_exits_with_1(settings: dict[str, str]) -> None:
    with Ledger(settings["TENIOS_LEDGER"]) as ledger, ledger.database._begin() as connection:
        connection.exec_driver_sql("ALTER TABLE tenios_ledger DROP COLUMN last_error")
    result = run("list", settings=settings)
    assert result.returncode == 1
    assert result.stderr.startswith("LedgerUnavailableError: The ledger cannot be used (")
    assert "unexpected" not in result.stderr


def test_missing_extra_is_one_sentence(settings: dict[str, str]) -> None:
    result = python(
        "import sys; sys.modules['sqlalchemy'] = None; from tenios_cli import main; "
        "main(['ledger', 'list'])",
        settings,
    )
    assert result.returncode == 5
    assert result.stderr == (
        "ConfigurationError: sqlalchemy is not installed. Run: pip install "
        "'tenios-callback[ledger]'\n"
    )


def test_refused_call_may_be_repeated_with_its_key(settings: dict[str, str]) -> None:
    with server_of(start=respond_error("429 Too Many Requests")) as server:
        assert (
            tenios(
                "call", NUMBER, "--key", "new", settings=settings | settings_of(server)
            ).returncode
            == 5
        )
    assert "not_placed  new" in run("list", settings=settings).stdout
    with server_of("CALL_A_FAILED") as server:
        assert (
            tenios(
                "call", NUMBER, "--key", "new", settings=settings | settings_of(server)
            ).returncode
            == 3
        )
