"""`tenios campaign`: from a CSV file to the results, on a simulator that is served."""

from __future__ import annotations

import csv
import signal
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest
from cli.command import TENIOS, environment, objects, terminal
from cli.command import process as tenios

from tenios_campaign import Campaign
from tenios_ext.ledger import Ledger

if TYPE_CHECKING:
    from pathlib import Path

# Both talk; the customer declines; the agent is busy; TENIOS responds with 500; phones ring without
# end.
TALK, DECLINE, BUSY, UNKNOWN, RING = (
    f"+49 30 23125 {number}" for number in (100, 202, 101, 500, 300)
)


class Folder:
    """
    A folder with a customers' file and a campaign.

    Attributes:
        settings: Variables for the command's environment, which make it use the simulator and the
            campaign.
    """

    def __init__(self, path: Path, simulator: dict[str, str]) -> None:
        self.path = path
        self.url = f"sqlite:///{path}/campaign.db"
        self.settings = {**simulator, "TENIOS_LEDGER": self.url}

    def file(self, *numbers: str) -> str:
        """Return the name of a new file, with the keys a, b and so on."""
        rows = [f"{chr(ord('a') + index)};{number}\n" for index, number in enumerate(numbers)]
        (self.path / "customers.csv").write_text("key;number\n" + "".join(rows))
        return str(self.path / "customers.csv")

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command."""
        return tenios("campaign", *arguments, settings=self.settings)

    def states(self) -> dict[str, str]:
        """Return the state of each key."""
        with Ledger(self.url) as ledger:
            return {entry.key: entry.state for entry in Campaign(ledger).entries()}


@pytest.fixture
def folder(tmp_path: Path, fast_simulator: dict[str, str]) -> Folder:
    return Folder(tmp_path, fast_simulator)


@pytest.fixture
def offline(tmp_path: Path) -> Folder:
    return Folder(tmp_path, {})


def test_add_tells_what_was_added_and_what_was_known(offline: Folder) -> None:
    file = offline.file(TALK, DECLINE, TALK)
    dry = offline("add", file, "--dry-run")
    assert (dry.returncode, dry.stderr) == (0, "")
    assert dry.stdout == (
        "a and c have the same number, which is called for each.\nWould add 3 customers; 0 were "
        "known already.\n"
    )
    assert offline.states() == {}
    assert offline("add", file).stdout.endswith("\nAdded 3 customers; 0 were known already.\n")
    assert offline("add", file).stdout == "Added 0 customers; 3 were known already.\n"
    assert offline.states() == {"a": "waiting", "b": "waiting", "c": "waiting"}


def test_add_reports_each_wrong_row_and_adds_nothing(offline: Folder) -> None:
    file = offline.file(TALK, "soon", "030 23125 100")
    result = offline("add", file)
    assert result.returncode == 1
    first, second, last = result.stdout.splitlines()
    assert first.startswith("line 3: 'soon' is not a phone number")
    assert second.startswith("line 4: '030 23125 100' has no country code")
    assert last == f"Nothing was added: {file} has 2 wrong rows."
    assert offline.states() == {}
    assert offline("add", file, "--region", "DE").stdout.count("line ") == 1


def test_add_as_json(offline: Folder) -> None:
    result = offline("add", offline.file(TALK, "soon"), "--json")
    assert result.returncode == 1
    [problem] = objects(result)
    assert (problem["event"], problem["line"]) == ("problem", 3)
    assert objects(offline("add", offline.file(TALK, TALK), "--json")) == [
        {"event": "same_number", "keys": ["a", "b"]},
        {"event": "added", "new": 2, "known": 0, "dry_run": False},
    ]


def test_add_refuses_a_key_with_another_number(offline: Folder) -> None:
    offline("add", offline.file(TALK))
    result = offline("add", offline.file(DECLINE))
    assert result.returncode == 1
    assert (
        result.stderr
        == "The key 'a' is in the campaign already, with another number. Nothing was added.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["add", "missing.csv"], 2, "'missing.csv' does not exist"),
        (
            ["add", __file__, "--timezone", "Europe/Atlantis"],
            2,
            "There is no time zone 'Europe/Atlantis'",
        ),
        (["add", __file__, "--attempts", "0"], 2, "--attempts"),
        (["run"], 2, "Missing option '--max-active'"),
        (["run", "--max-active", "1", "--rate", "10"], 2, "Write it like 1/s, 10/m or 300/h"),
        (["run", "--max-active", "1", "--rate", "0/m"], 2, "Write it like 1/s, 10/m or 300/h"),
        (
            ["run", "--max-active", "1", "--between", "9-18"],
            2,
            "Write the hours like 09:00-18:00, got '9-18'",
        ),
        (["cancel", "other"], 1, "The campaign has no key 'other'."),
        (["status", "--ledger", "redis://host"], 5, "must look like sqlite:///"),
        (["export", "/missing/results.csv"], 1, "/missing/results.csv cannot be written"),
    ],
)
def test_wrong_usage_is_told(
    arguments: list[str], code: int, message: str, offline: Folder
) -> None:
    result = offline(*arguments)
    assert result.returncode == code
    assert message in " ".join(result.stderr.split())


def test_ledger_must_be_named() -> None:
    result = tenios("campaign", "status")
    assert result.returncode == 2
    assert "Missing option '--ledger'" in result.stderr


def test_missing_extra_is_one_sentence(offline: Folder) -> None:
    code = "import sys; sys.modules['sqlalchemy'] = None; sys.modules['tenios_campaign'] = None\n"
    result = subprocess.run(
        [
            str(TENIOS.with_name("python")), "-c",
            code + "from tenios_cli import main; main(['campaign', 'status'])",
        ],
        env=environment(offline.settings), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 1
    assert result.stderr == (
        "tenios_campaign is missing, which is in an extra: pip install "
        "'tenios-callback[campaign]'\n"
    )


def test_run_prints_each_change_and_the_counts(folder: Folder) -> None:
    folder(
        "add",
        folder.file(TALK, DECLINE, BUSY),
        "--attempts",
        "2",
        "--retry-after",
        "1",
        "--agent-retry-after",
        "1",
    )
    result = folder("run", "--max-active", "2")
    assert (result.returncode, result.stderr) == (0, "")
    lines = [line[10:] for line in result.stdout.splitlines()]
    assert "a  attempt 1  talked" in lines
    assert "b  attempt 2  is started" in lines
    assert any(
        line.startswith(
            "b  attempt 1  CALL_B_FAILED: the customer could not be reached; waiting, next attempt "
            "at"
        )
        for line in lines
    )
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
    assert changes[-1] == {
        "event": "entry", "key": "a", "number": "+493023125202", "state": "customer_failed",
        "attempts": 1, "due_at": None,
        "attempt_key": "a/1", "callback_id": 10, "status": "CALL_B_FAILED", "error": None,
    }  # fmt: skip
    assert summary["event"] == "summary"
    assert {name for name, count in summary.items() if count} == {"event", "customer_failed"}
    assert objects(folder("status", "--json")) == [summary]


def test_run_exits_with_6_if_an_outcome_is_unknown(folder: Folder) -> None:
    folder("add", folder.file(UNKNOWN))
    result = folder("run", "--max-active", "1")
    assert result.returncode == 6
    assert (
        "outcome unknown: TENIOS's response does not say whether the callback was started"
        in result.stdout
    )


def test_run_with_wrong_credentials_exits_with_5_and_loses_nothing(folder: Folder) -> None:
    folder("add", folder.file(TALK, TALK))
    right = folder.settings
    folder.settings = {**right, "TENIOS_ACCESS_KEY": "WRONG-ACCESS-KEY"}
    result = folder("run", "--max-active", "2")
    assert result.returncode == 5
    assert "BadCredentialsError" in result.stderr
    assert "WRONG-ACCESS-KEY" not in result.stdout + result.stderr
    assert folder.states() == {"a": "waiting", "b": "waiting"}
    folder.settings = right
    assert folder("run", "--max-active", "2").returncode == 0
    assert folder.states() == {"a": "talked", "b": "talked"}


def test_run_waits_for_the_opening_hours(folder: Folder) -> None:
    """No minute of the day is in both of these, so that one of the two runs has nothing to do."""
    folder("add", folder.file(BUSY))
    processes = [
        subprocess.Popen(
            [
                TENIOS, "campaign", "run", "--max-active", "1", "--between", hours,
                "--timezone", "Europe/Berlin",
            ],
            env=environment(folder.settings), stdout=subprocess.PIPE,
        )
        for hours in ("00:00-12:00", "12:00-00:00")
    ]  # fmt: skip
    output = [process.communicate()[0].decode() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sum("is started" in each for each in output) == 1
    assert folder.states() == {"a": "agent_failed"}


def test_results_are_exported(folder: Folder) -> None:
    folder("add", folder.file(TALK, UNKNOWN))
    folder("run", "--max-active", "2")
    path = folder.path / "results.csv"
    assert folder("export", str(path)).returncode == 0
    assert path.read_bytes().startswith(b"\xef\xbb\xbfkey,number,state")
    with path.open(encoding="utf-8-sig", newline="") as file:
        first, second = csv.DictReader(file)
    assert (first["key"], first["number"], first["state"], first["status"]) == (
        "a", "+493023125100", "talked", "DISCONNECTED",
    )  # fmt: skip
    assert (second["state"], second["attempts"]) == ("unknown", "1")
    assert "Phones may be ringing" in second["error"]
    assert folder("export", "-").stdout == path.read_text(encoding="utf-8-sig")


def test_paused_resumed_and_cancelled(offline: Folder) -> None:
    offline("add", offline.file(TALK, TALK))
    assert offline("pause").stdout == "Paused. Callbacks that are running go on.\n"
    assert offline("status").stdout.endswith("Paused: run `tenios campaign resume` to go on.\n")
    assert offline("resume").stdout == "Resumed.\n"
    assert "Paused" not in offline("status").stdout
    assert offline("cancel", "a").stdout == "a will not be called.\n"
    assert offline.states() == {"a": "cancelled", "b": "waiting"}
    again = offline("cancel", "a")
    assert (again.returncode, again.stderr) == (
        1, "'a' is not waiting: its state is cancelled. Nothing was changed.\n",
    )  # fmt: skip


# At a terminal.


def test_run_draws_the_counts_and_a_bar(folder: Folder) -> None:
    folder("add", folder.file(TALK, DECLINE))
    code, drawn = terminal(
        "campaign", "run", "--max-active", "2", settings={**folder.settings, "LINES": "40"}
    )
    assert code == 0
    assert "\x1b[33mringing" in drawn
    assert "0 of 2 done" in drawn
    assert "━" in drawn
    assert drawn.endswith("cancelled                  0\r\n")
    assert "attempt 1" not in drawn


def test_run_asks_before_real_phones_ring(folder: Folder) -> None:
    folder("add", folder.file(TALK, DECLINE))
    real = {**folder.settings, "TENIOS_BASE_URL": "https://tenios.invalid"}
    code, drawn = terminal(
        "campaign", "run", "--max-active", "1", typed={"Continue?": "n\n"}, settings=real
    )
    assert code == 1
    assert "This will ring real phones: your agents', then those of 2 customers. Continue?" in drawn
    assert folder.states() == {"a": "waiting", "b": "waiting"}


def test_ctrl_c_starts_no_more_and_follows_the_running_ones(folder: Folder) -> None:
    folder("add", folder.file(TALK, TALK, TALK))
    typed = {"\x1b[33mringing             \x1b[0m       1": "\x03"}
    code, drawn = terminal(
        "campaign",
        "run",
        "--max-active",
        "1",
        typed=typed,
        settings={**folder.settings, "LINES": "40"},
    )
    assert code == 130
    assert "1 call is running; press Ctrl-C again to leave them; run the command again" in drawn
    assert "Interrupted. Run the command again to go on." in drawn
    assert sorted(folder.states().values()) == ["talked", "waiting", "waiting"]


def interrupted(folder: Folder, *numbers: signal.Signals) -> tuple[int, str]:
    """Run the campaign, send it signals once a phone rings, and return its exit code and stderr."""
    command = [str(TENIOS), "campaign", "run", "--max-active", "1", "--json"]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, env=environment(folder.settings), stdout=pipe, stderr=pipe, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stdout:
            if "CALLING_A" in line:
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
    [([signal.SIGINT, signal.SIGINT], 130), ([signal.SIGTERM], 143), ([signal.SIGHUP], 129)],
    ids=["twice Ctrl-C", "SIGTERM", "SIGHUP"],
)
def test_other_signals_leave_the_running_ones(
    signals: list[signal.Signals], code: int, folder: Folder
) -> None:
    folder("add", folder.file(RING, TALK))
    ended, errors = interrupted(folder, *signals)
    assert ended == code
    assert errors.endswith("Interrupted. 1 callbacks go on. Run the command again to go on.\n")
    assert "Traceback" not in errors
    assert folder.states() == {"a": "active", "b": "waiting"}
