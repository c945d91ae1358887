"""`tenios campaign`, from a CSV file to the results."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cli.command import TENIOS, Result, environment, objects, screen, tenios

from tenios_campaign import Campaign
from tenios_ext.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator

# Talking; the customer declines; the agent is busy; TENIOS responds with 500; ringing forever.
TALK, DECLINE, BUSY, UNKNOWN, RING = (
    f"+49 30 23125 {number}" for number in (100, 202, 101, 500, 300)
)


class Folder:
    """
    A folder with a customers' file and a campaign.

    Attributes:
        settings: Environment variables for the command.
    """

    def __init__(self, path: Path, simulator: dict[str, str]) -> None:
        self.path = path
        self.url = f"sqlite:///{path}/campaign.db"
        self.settings = {**simulator, "TENIOS_LEDGER": self.url}

    def file(self, *numbers: str) -> str:
        """Return the name of a new file with the keys a, b and so on."""
        rows = [f"{chr(ord('a') + index)};{number}\n" for index, number in enumerate(numbers)]
        (self.path / "customers.csv").write_text("key;number\n" + "".join(rows))
        return str(self.path / "customers.csv")

    def __call__(self, *arguments: str) -> Result:
        """Run a command."""
        return tenios("campaign", *arguments, settings=self.settings)

    def states(self) -> dict[str, str]:
        """Return the state of each key."""
        with Ledger(self.url) as ledger:
            return {entry.key: entry.state for entry in Campaign(ledger).entries()}


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in memory if possible, because commits to a disk are slow."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.exists() else None) as folder:
        yield Path(folder)


@pytest.fixture
def folder(memory: Path, simulator: dict[str, str]) -> Folder:
    return Folder(memory, simulator)


@pytest.fixture
def fast(memory: Path, fast_simulator: dict[str, str]) -> Folder:
    return Folder(memory, fast_simulator)


@pytest.fixture
def offline(memory: Path) -> Folder:
    return Folder(memory, {})


def test_add_reports_new_and_known_customers(offline: Folder) -> None:
    file = offline.file(TALK, DECLINE, TALK)
    dry = offline("add", file, "--dry-run")
    assert (dry.returncode, dry.stderr) == (0, "")
    assert dry.stdout == (
        f"There is no campaign yet in {offline.url}.\n"
        "a and c share a number. It will be called twice.\n"
        "Would add 3 customers.\n"
    )
    assert not (offline.path / "campaign.db").exists()
    assert offline("add", file).stdout.endswith("\nAdded 3 customers.\n")
    repeated = offline("add", offline.file(TALK, DECLINE))
    assert repeated.stdout == "Added 0 customers. Already in the campaign: 2.\n"
    Path(file).write_text(f"key,number,delay\na,{TALK},60\nb,{DECLINE},\n")
    assert offline("add", file).stdout == (
        "Added 0 customers. Already in the campaign: 2. Unchanged despite other data: 1.\n"
    )
    assert offline.states() == {"a": "waiting", "b": "waiting", "c": "waiting"}
    other = offline("add", file, "--campaign", "spring")
    assert other.stdout == "Added 2 customers.\n"


def test_add_reports_each_invalid_row_and_adds_nothing(offline: Folder) -> None:
    file = offline.file(TALK, "soon", "030 23125 100")
    result = offline("add", file)
    assert result.returncode == 1
    first, second = result.stdout.splitlines()
    assert first.startswith("line 3: 'soon' is not a phone number")
    assert second.startswith("line 4: '030 23125 100' has no country code")
    assert result.stderr == f"Nothing was added, because 2 rows of {file} are invalid.\n"
    assert not (offline.path / "campaign.db").exists()
    assert offline("add", file, "--region", "DE").stdout.count("line ") == 1
    many = offline("add", offline.file(*["soon"] * 60))
    assert many.stdout.count("line ") == 50
    assert "60 rows of" in many.stderr
    assert "(the first 50 are shown)" in many.stderr


def test_add_as_json(offline: Folder) -> None:
    result = offline("add", offline.file(TALK, "soon"), "--json")
    assert result.returncode == 1
    [problem] = objects(result)
    assert (problem["event"], problem["line"]) == ("problem", 3)
    assert objects(offline("add", offline.file(TALK, TALK), "--json")) == [
        {"event": "same_number", "keys": ["a", "b"]},
        {"event": "added", "new": 2, "known": 0, "changed": 0, "repeated": 0, "dry_run": False},
    ]


def test_reason_as_json_is_in_terms_of_the_command(offline: Folder) -> None:
    problem, *_ = objects(offline("add", offline.file("030 23125100"), "--json"))
    assert "--region DE" in problem["reason"]
    file = offline.path / "customers.csv"
    file.write_text(f"key,number,delay\na,{TALK},soon\n")
    [problem] = objects(offline("add", str(file), "--json"))
    assert problem["reason"].startswith("delay must be"), "add has no option --delay"


def test_add_refuses_known_keys_with_other_numbers_and_known_numbers_with_new_keys(
    offline: Folder,
) -> None:
    offline("add", offline.file(TALK))
    result = offline("add", offline.file(DECLINE))
    assert result.returncode == 1
    assert result.stdout.startswith("line 2: The key 'a' is already in the campaign with another ")
    again = offline.file(TALK, TALK)
    result = offline("add", again)
    assert (result.returncode, result.stdout) == (
        1, "b has the same number as a, which is already in the campaign.\n",
    )  # fmt: skip
    assert "use --allow-same-number." in result.stderr
    assert offline.states() == {"a": "waiting"}
    assert offline("add", again, "--allow-same-number").returncode == 0
    assert offline.states() == {"a": "waiting", "b": "waiting"}


def test_columns_are_detected_or_chosen(offline: Folder) -> None:
    file = offline.path / "kunden.csv"
    file.write_text(f"Auftrag;Telefon;Telefon 2;Name\nä1;{TALK};;Müller\n", encoding="cp1252")
    added = offline("add", str(file))
    assert added.stdout == (
        "Columns: key is Auftrag, number is Telefon. Not used: Telefon 2, Name.\n"
        "Added 1 customer.\n"
    )
    wrong = offline("add", str(file), "--column", "number=Telefon 2", "--dry-run")
    assert "The number is missing in column 'Telefon 2'." in wrong.stdout
    file.write_text("Telefon;Mobil;Auftrag\n")
    assert offline("add", str(file)).stdout == (
        "line 1: Several columns may be the number: Telefon, Mobil. Choose one, such as --column "
        "number='Telefon'.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["add", "missing.csv"], 2, "'missing.csv' does not exist"),
        (["add", __file__, "--timezone", "Europe/Atlantis"], 1, "no time zone 'Europe/Atlantis'"),
        (["add", __file__, "--attempts", "0"], 2, "--attempts"),
        (["add", __file__, "--column", "number"], 2, "'number' is not NAME=HEADER"),
        (["add", __file__, "--column", "name=x"], 1, "There is no column 'name'"),
        (["run", "--max-active", "1", "--rate", "10"], 2, "Write it like 1/s, 10/m or 300/h"),
        (["run", "--max-active", "1", "--rate", "0/m"], 2, "Write it like 1/s, 10/m or 300/h"),
        (["run", "--between", "9-18", "--timezone", "UTC"], 2, "'9-18' is not a valid time range."),
        (["run", "--between", "09:00-18:00"], 2, "need a time zone"),
        (["run", "--timezone", "Europe/Berlin"], 2, "need --between"),
        (["run"], 5, "needs a limit for callbacks in progress"),
        (["cancel", "other"], 1, "The campaign 'default' has no key 'other'."),
        (["cancel", "x\udcff"], 1, r"'x\udcff' is not valid UTF-8."),
        (["retry"], 2, "Pass KEYS or --state."),
        (["status", "--ledger", "redis://host"], 5, "must look like sqlite:///"),
        (["status", "--ledger", "sqlite:///mistyped.db"], 1, "mistyped.db does not exist"),
        (["status", "--campaign", "other"], 1, "The ledger has no campaign 'other'."),
        (["export", "/missing/results.csv"], 1, "/missing/results.csv cannot be written"),
    ],
)
def test_wrong_usage_is_explained(
    arguments: list[str], code: int, message: str, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "UTC")
    folder("add", folder.file(TALK))
    result = folder(*arguments)
    assert result.returncode == code
    assert message in " ".join(result.stderr.replace("│", "").split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["run", "--between", "", "--timezone", "Europe/Berlin"],
            "The argument after --between is empty.",
        ),
        (["set", "--holidays="], "The value of --holidays is empty."),
        (["add", __file__, "--column", ""], "The argument after --column is empty."),
        (["cancel", ""], "An argument is empty."),
        (["cancel", "--", ""], "The argument after -- is empty."),
        (["run", "--yes", ""], "The argument after --yes is empty."),
    ],
)
def test_empty_argument_is_wrong_usage(arguments: list[str], message: str, offline: Folder) -> None:
    """It is probably a variable of the shell that is not set."""
    result = offline(*arguments)
    assert result.returncode == 2
    assert message in result.stderr


def test_ledger_is_required_and_the_variable_must_be_absolute(offline: Folder) -> None:
    result = tenios("campaign", "status")
    assert result.returncode == 2
    assert "Missing option '--ledger'" in result.stderr
    offline.settings["TENIOS_LEDGER"] = "sqlite:///campaign.db"
    result = offline("status")
    assert result.returncode == 2
    assert "TENIOS_LEDGER must name an absolute path, such as sqlite:////" in result.stderr


def test_missing_extra_is_one_sentence(offline: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    offline("add", offline.file(TALK))
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    result = offline("status")
    assert result.returncode == 1
    assert (
        result.stderr
        == "sqlalchemy is not installed. Run: pip install 'tenios-callback[campaign]'\n"
    )


def test_run_prints_each_change_and_the_counts(folder: Folder) -> None:
    retries = ["--retry-after", "0", "--agent-retry-after", "0"]
    folder("add", folder.file(TALK, DECLINE, BUSY), "--attempts", "2", *retries)
    result = folder("run", "--max-active", "2")
    assert (result.returncode, result.stderr) == (0, "")
    lines = [line.partition("  ")[2] for line in result.stdout.splitlines()]
    assert "a  attempt 1  talked" in lines
    begin = "b  attempt 1  CALL_B_FAILED: the customer could not be reached; waiting, next attempt"
    [waiting] = [line for line in lines if line.startswith(begin)]
    assert re.search(r" at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d [A-Z]{3,}$", waiting)
    assert "b  attempt 2  customer not reached" in lines
    assert "c  attempt 2  agent not reached" in lines
    counted = {
        "talked": 1,
        "agent not reached": 1,
        "customer not reached": 1,
        "waiting": 0,
        "outcome unknown": 0,
    }
    for name, count in counted.items():
        assert f"{name:20}  {count:6}" in result.stdout.splitlines()


def test_run_as_json_prints_each_change_and_the_counts(folder: Folder) -> None:
    folder("add", folder.file(DECLINE))
    *changes, summary = objects(folder("run", "--max-active", "1", "--json"))
    assert {change["event"] for change in changes} == {"entry"}
    last = changes[-1]
    expected = {
        "event": "entry", "key": "a", "number": "+493023125202", "state": "customer_failed",
        "attempts": 1, "due_at": None, "attempt_key": "default/a/1", "callback_id": 10,
        "status": "CALL_B_FAILED", "error": None, "answered_at": None,
        "cells": {"key": "a", "number": DECLINE},
    }  # fmt: skip
    assert last == expected | {name: last[name] for name in ("started_at", "ended_at")}
    assert summary["event"] == "summary"
    assert {name for name, count in summary.items() if count} == {
        "event", "customer_failed", "max_active",
    }  # fmt: skip
    assert objects(folder("status", "--json")) == [summary]


def test_exit_code_reports_unknown_outcomes_and_rejected_customers(folder: Folder) -> None:
    folder("add", folder.file(UNKNOWN))
    result = folder("run", "--max-active", "1")
    assert result.returncode == 6
    assert "does not say whether the callback" in result.stdout
    folder("add", folder.file(TALK), "--campaign", "other")
    folder.settings["TENIOS_ALLOWED_NUMBERS"] = "+4930231259"
    assert folder("run", "--max-active", "1", "--campaign", "other").returncode == 5
    del folder.settings["TENIOS_ALLOWED_NUMBERS"]
    put_back = folder("retry", "--state", "rejected", "--campaign", "other")
    assert put_back.stdout == "1 customer will be called again.\n"
    assert folder("run", "--campaign", "other").returncode == 0


def test_run_with_wrong_credentials_exits_with_5_and_rejects_nobody(folder: Folder) -> None:
    folder("add", folder.file(TALK, TALK))
    right = folder.settings
    folder.settings = {**right, "TENIOS_ACCESS_KEY": "WRONG-ACCESS-KEY"}
    result = folder("run", "--max-active", "2")
    assert result.returncode == 5
    assert "BadCredentialsError" in result.stderr
    assert "WRONG-ACCESS-KEY" not in result.stdout + result.stderr
    assert folder.states() == {"a": "waiting", "b": "waiting"}
    folder.settings = right
    assert folder("run").returncode == 0
    assert folder.states() == {"a": "talked", "b": "talked"}


def test_first_run_sets_the_limits_and_set_changes_them(folder: Folder) -> None:
    folder("add", folder.file(BUSY))
    hours = ["--between", "Mon-Sun 00:00-00:00", "--timezone", "Europe/Berlin"]
    assert folder("run", "--max-active", "1", *hours).returncode == 0
    again = folder("run", "--max-active", "2")
    assert again.returncode == 1
    assert "already has another limit: --max-active is 1." in again.stderr
    again = folder("run", "--between", "09:00-18:00", "--timezone", "Europe/Berlin")
    assert "limit: --between is Mon-Sun 00:00-00:00 (Europe/Berlin)." in again.stderr
    changed = folder("set", "--max-active", "2", "--rate", "1/s")
    assert "another limit: --rate is 60/m." in folder("run", "--rate", "300/h").stderr
    limits = "Limits: at most 2 at a time, 60 per minute, Mon-Sun 00:00-00:00"
    assert changed.stdout == f"{limits} (Europe/Berlin).\n"
    assert folder("status").stdout.endswith(changed.stdout)
    assert folder("run", "--max-active", "2").returncode == 0


def test_set_keeps_hours_that_are_not_given(offline: Folder) -> None:
    offline("add", offline.file(TALK))
    berlin = ["--timezone", "Europe/Berlin", "--holidays", "DE-NW"]
    assert "need --between" in offline("set", *berlin).stderr
    offline("set", "--between", "09:00-18:00", *berlin)
    for change, limits in {
        ("--between", "10:00-16:00"): "10:00-16:00 (Europe/Berlin), not on holidays in DE-NW",
        ("--timezone", "Europe/Vienna"): "10:00-16:00 (Europe/Vienna), not on holidays in DE-NW",
        ("--holidays", "AT"): "10:00-16:00 (Europe/Vienna), not on holidays in AT",
        ("--holidays", "none"): "10:00-16:00 (Europe/Vienna)",
    }.items():
        assert offline("set", *change).stdout == f"Limits: {limits}.\n"


def test_results_are_exported(folder: Folder) -> None:
    folder("add", folder.file(TALK, UNKNOWN))
    folder("run", "--max-active", "2")
    path = folder.path / "results.csv"
    zone = ["--timezone", "Europe/Berlin"]
    assert folder("export", str(path), *zone).returncode == 0
    assert path.read_bytes().startswith(b"\xef\xbb\xbfkey;number;call_state")
    with path.open(encoding="utf-8-sig", newline="") as file:
        first, second = csv.DictReader(file, delimiter=";")
    assert (first["key"], first["number"], first["call_state"]) == ("a", f"'{TALK}", "talked")
    assert (second["call_state"], second["call_attempts"]) == ("unknown", "1")
    assert "Phones may be ringing" in second["call_error"]
    assert folder("export", "-", *zone).stdout.encode("utf-8-sig") == path.read_bytes()
    again = folder("export", str(path), *zone)
    assert (again.returncode, again.stderr) == (
        1, f"{path} exists. Use --force to replace it.\n",
    )  # fmt: skip
    assert folder("export", str(path), "--force", "--json").returncode == 0
    states = [json.loads(line)["state"] for line in path.read_text().splitlines()]
    assert states == ["talked", "unknown"]


def test_results_are_exported_unchanged_except_to_a_terminal(offline: Folder) -> None:
    file = offline.path / "customers.csv"
    file.write_bytes(f'key\tnumber\tnote\nä-1\t{TALK}\t"a\xad\rb\x1b[31m"\n'.encode())
    offline("add", str(file))
    offline("export", str(offline.path / "results.csv"))
    expected = (offline.path / "results.csv").read_bytes().removeprefix(b"\xef\xbb\xbf")
    assert '"a\xad\rb\x1b[31m"'.encode() in expected
    stdout = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    tenios("campaign", "export", "-", settings=offline.settings, stdout=stdout)
    assert stdout.buffer.getvalue() == expected
    shown = screen("campaign", "export", "-", settings=offline.settings)[1]
    assert rf"ä-1\t'{TALK}\t" in shown
    assert r'"a\xad\rb\x1b[31m"' in shown
    assert "\\r\n" not in shown


def test_failed_export_keeps_the_file(offline: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    offline("add", offline.file(TALK))
    path, link = offline.path / "results.csv", offline.path / "link.csv"
    link.symlink_to(path)
    assert offline("export", str(link)).returncode == 0
    path.chmod(0o640)
    before = path.read_bytes()
    offline("add", offline.file(TALK, DECLINE))
    names = sorted(offline.path.iterdir())
    with monkeypatch.context() as patch:
        patch.setattr("tenios_campaign._results.harmless", lambda _: signal.raise_signal(2))
        assert offline("export", str(link), "--force").returncode == 130
    assert (path.read_bytes(), sorted(offline.path.iterdir())) == (before, names)
    assert offline("export", str(link), "--force").returncode == 0
    assert (len(path.read_bytes()) > len(before), link.is_symlink()) == (True, True)
    assert path.stat().st_mode & 0o777 == 0o640


def test_results_are_exported_to_a_named_pipe(offline: Folder) -> None:
    offline("add", offline.file(TALK))
    pipe = offline.path / "pipe"
    os.mkfifo(pipe)
    with os.fdopen(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)) as reader:
        assert offline("export", str(pipe), "--force").returncode == 0
        assert "key;number" in reader.read()


def test_results_are_exported_to_a_pipe_of_the_shell(offline: Folder) -> None:
    """Its path, such as /dev/stdout, is a link to a name that does not exist."""
    offline("add", offline.file(TALK))
    reader, writer = os.pipe()
    with os.fdopen(reader) as results:
        result = offline("export", f"/dev/fd/{writer}", "--force")
        os.close(writer)
        assert (result.returncode, result.stderr) == (0, "")
        assert "key;number" in results.read()


def test_export_keeps_a_file_that_was_created_meanwhile(
    offline: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    offline("add", offline.file(TALK))
    path = offline.path / "results.csv"
    monkeypatch.setattr(
        "tenios_campaign._results.harmless", lambda text: path.write_text("other") and text
    )
    assert "Use --force to replace it." in offline("export", str(path)).stderr
    assert path.read_text() == "other"


def test_others_cannot_read_results_that_replace_a_private_file(
    offline: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    offline("add", offline.file(TALK))
    new, private = offline.path / "new.csv", offline.path / "private.csv"
    private.touch(0o600)
    modes: list[int] = []

    def harmless(text: str) -> str:
        modes.extend(each.stat().st_mode & 0o077 for each in offline.path.glob(".*"))
        return text

    monkeypatch.setattr("tenios_campaign._results.harmless", harmless)
    umask = os.umask(0o022)
    try:
        assert [offline("export", str(each), "--force").returncode for each in (new, private)] == [
            0, 0,
        ]  # fmt: skip
    finally:
        os.umask(umask)
    assert set(modes) == {0}
    assert [each.stat().st_mode & 0o777 for each in (new, private)] == [0o644, 0o600]


def test_pause_resume_cancel_and_forget(offline: Folder) -> None:
    offline("add", offline.file(TALK, DECLINE))
    assert offline("pause").stdout == "Paused. Callbacks in progress continue.\n"
    assert "Paused. Run `tenios campaign resume` to continue.\n" in offline("status").stdout
    assert offline("resume").stdout == "Resumed.\n"
    assert "Paused" not in offline("status").stdout
    assert offline("cancel", "a").stdout == "Cancelled a.\n"
    assert offline.states() == {"a": "cancelled", "b": "waiting"}
    again = offline("cancel", "a")
    assert (again.returncode, again.stderr) == (
        1, "Nothing was changed, because the state of 'a' is cancelled (expected: waiting).\n",
    )  # fmt: skip
    assert offline("forget", "--older-than", "0d").stdout == "Erased the data of 2 customers.\n"
    assert offline.states() == {"a": "cancelled", "b": "cancelled"}


def test_worker_waits_for_an_unreachable_database(
    offline: Folder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", sleep)
    result = offline("worker", "--ledger", "postgresql://user:password@127.0.0.1:9/database")
    assert result.returncode == 130
    assert pauses == [5.0] * 3
    assert "cannot be used" in caplog.text
    assert "password" not in caplog.text


# At a terminal.


def test_run_draws_the_counts_and_a_bar(folder: Folder) -> None:
    folder("add", folder.file(TALK, DECLINE))
    settings = {**folder.settings, "LINES": "40"}
    code, drawn = screen("campaign", "run", "--max-active", "2", settings=settings)
    assert code == 0
    assert "0 of 2 done" in drawn
    assert "━" in drawn
    assert drawn.endswith("cancelled                  0\n")
    assert "attempt 1" not in drawn


def test_run_asks_before_real_phones_ring(folder: Folder) -> None:
    folder("add", folder.file(TALK, DECLINE))
    real = {**folder.settings, "TENIOS_BASE_URL": "https://tenios.invalid"}
    code, drawn = screen("campaign", "run", "--max-active", "1", typed="n\n", settings=real)
    assert code == 1
    assert "This will ring real phones: your agents', then those of 2 customers. Continue?" in drawn
    assert folder.states() == {"a": "waiting", "b": "waiting"}


def test_ctrl_c_stops_starts_and_follows_callbacks_in_progress(fast: Folder) -> None:
    fast("add", fast.file(TALK, DECLINE, BUSY))
    code, errors = interrupted(fast, signal.SIGINT)
    assert code == 130, errors
    assert errors == (
        "1 call is still running. Press Ctrl-C again to exit at once. Run the command again to "
        "resume.\nInterrupted. Run the command again to resume.\n"
    )
    assert sorted(fast.states().values()) == ["talked", "waiting", "waiting"]


def interrupted(folder: Folder, *numbers: signal.Signals) -> tuple[int, str]:
    """Run the campaign, send signals once a phone rings, and return its exit code and stderr."""
    command = [str(TENIOS), "campaign", "run", "--max-active", "1", "--json"]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, env=environment(folder.settings), stdout=pipe, stderr=pipe, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stdout:
            if "ringing" in line:
                break
        threading.Thread(target=process.stdout.read).start()
        errors = ""
        for number in numbers:
            process.send_signal(number)
            if number == signal.SIGINT and not errors:
                errors = process.stderr.readline()
        errors += process.stderr.read()
    return process.returncode, errors


@pytest.mark.parametrize(
    ("signals", "code"),
    [([signal.SIGINT, signal.SIGINT], 130), ([signal.SIGTERM], 143)],
    ids=["twice Ctrl-C", "SIGTERM"],
)
def test_other_signals_exit_at_once(signals: list[signal.Signals], code: int, fast: Folder) -> None:
    fast("add", fast.file(RING, TALK))
    ended, errors = interrupted(fast, *signals)
    assert ended == code
    assert errors.endswith(
        "Interrupted. 1 call is still running. Run the command again to resume.\n"
    )
    assert "Traceback" not in errors
    assert fast.states() == {"a": "ringing", "b": "waiting"}
