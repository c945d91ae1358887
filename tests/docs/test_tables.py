"""The tables in the docs match the code."""

from __future__ import annotations

import importlib
import inspect
import json
import re
import tomllib
from pathlib import Path
from typing import get_args

import pytest
from cli.command import tenios as run_tenios
from support.faults import FAILURES_AFTER_SENDING

import tenios_ext
from tenios_cli._exit_codes import ExitCode
from tenios_ext import (
    AsyncTenios,
    CallbackStatus,
    _attempt,
    _connections,
    _polling,
    _settings,
    _watch_many,
    is_final,
)
from tenios_ext.ledger import Ledger, LedgerState, _claim
from tenios_simulator import (
    MAGIC_NUMBERS,
    Scenario,
    Simulator,
    faults,
    pytest_plugin,
)

ROOT = Path(__file__).resolve().parents[2]


def table(document: str, heading: str) -> list[list[str]]:
    """Return the rows of the table whose header begins with *heading*."""
    _, found, rest = (ROOT / document).read_text().partition(f"| {heading}")
    assert found, f"{document} has no such table."
    lines = rest.partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def code(cell: str) -> str:
    """Return the first code span in a cell."""
    found = re.match(r"`([^`]+)`", cell)
    assert found, cell
    return found[1]


def test_table_of_error_kinds_has_each_tested_status() -> None:
    documented: dict[str, set[str]] = {}
    rows = table("docs/errors.md", "what happened | error | call again?")
    for what, error, _ in rows:
        documented.setdefault(code(error), set()).update(re.findall(r"\b\d{3}\b", what))
    tested: dict[str, set[str]] = {}
    for case in FAILURES_AFTER_SENDING:
        tested.setdefault(case.expected.__name__, set()).update(re.findall(r"^\d{3}", case.name))
    assert documented["RejectedError"] == tested["RejectedError"]
    assert documented["BadCredentialsError"] == tested["BadCredentialsError"]
    assert all(
        answer.startswith("Do not call again.") == (code(error) == "OutcomeUnknownError")
        for _, error, answer in rows
    )
    # The table says 5xx, and "redirects" for 301, 302, 307 and 308.
    assert documented["OutcomeUnknownError"] == {
        status for status in tested["OutcomeUnknownError"] if not status.startswith(("3", "5"))
    }


def test_tables_of_errors_name_each_public_error() -> None:
    text = (ROOT / "docs/errors.md").read_text()
    errors = [name for name in tenios_ext.__all__ if name.endswith("Error")]
    assert [name for name in errors if f"`{name}`" not in text and f"`{name}`s" not in text] == []


def test_table_of_statuses_has_each_status_and_marks_the_final_ones() -> None:
    rows = table("docs/watching.md", "status | meaning")
    assert {CallbackStatus(code(name)): bool(final) for name, _, final in rows} == {
        status: is_final(status) for status in CallbackStatus
    }


def test_table_of_settings_has_each_argument_with_its_variable() -> None:
    rows = table("docs/settings.md", "keyword | variable")
    assert {code(row[0]) for row in rows} == set(inspect.signature(AsyncTenios).parameters)
    for keyword, variable, _ in rows:
        assert (
            not variable.startswith("`TENIOS_")
            or code(variable) == f"TENIOS_{code(keyword).upper()}"
        )


def test_table_of_states_has_each_state_of_a_key() -> None:
    # The first has no entry.
    rows = table("docs/once-per-key.md", "state | how a key gets there")[1:]
    assert [code(name) for name, _, _ in rows] == list(get_args(LedgerState))


def test_limits_in_the_text_are_those_of_the_code() -> None:
    exchange = (
        f"twice `timeout` plus {_attempt.CONNECT_TIMEOUT * (_attempt.CONNECT_RETRIES + 1):g} "
        "seconds"
    )
    documented = {
        "docs/settings.md": [
            f"must succeed within {_attempt.CONNECT_TIMEOUT:g} seconds",
            exchange,
            f"more than {_connections.MAX_RESPONSE_BYTES / 2**20:g} MiB",
            f"{_settings.DEFAULT_TIMEOUT:g} seconds for a response",
        ],
        "docs/watching.md": [
            f"`answer_timeout` ({_polling.ANSWER_TIMEOUT:g} seconds)",
            f"`end_timeout` ({_polling.END_TIMEOUT / 3600:g} hours)",
            f"every {_polling._STARTING:g} seconds before a phone rings",
            f"every {_polling._RINGING:g} seconds while a phone rings",
            f"every {_polling._CONNECTED:g} seconds while agent and customer are connected",
            f"a first pause of {_polling._FIRST_RING:g} seconds",
            f"The minimum is {_polling.MIN_INTERVAL:g} seconds",
            f"at most {_watch_many.MAX_CONCURRENCY} concurrent requests",
        ],
        "docs/errors.md": [
            f"at most {_polling._MAX_RETRY_PAUSE:g} seconds",
            f"still in progress after {_claim.WAIT_SECONDS:g} seconds",
        ],
        "docs/once-per-key.md": [
            f"1 to {_claim.MAX_KEY} printable characters",
            f"waits up to {_claim.WAIT_SECONDS:g} seconds",
            (
                f"twice `timeout` plus {_attempt.longest_exchange(0) + _claim.CLAIM_SECONDS:g} "
                "seconds"
            ),
            f"at most {_claim.CLAIM_SECONDS:g} seconds before the request",
            f"the longest call, {_polling.END_TIMEOUT / 3600:g} hours",
            f"for {_polling.ANSWER_TIMEOUT / 60:g} minutes after its delay",
        ],
    }
    for document, phrases in documented.items():
        text = re.sub(r"\s+", " ", (ROOT / document).read_text())
        assert [phrase for phrase in phrases if phrase not in text] == []


def test_table_of_faults_has_each_fault_in_order() -> None:
    rows = table("docs/testing.md", "fault | what happens")
    assert [code(name).partition("(")[0] for name, _ in rows] == [
        kind.__name__ for kind in faults.KINDS.values()
    ]


def test_table_of_scenarios_has_each_constructor() -> None:
    rows = table("docs/testing.md", "scenario | what happens")
    constructors = {
        name
        for name, _ in inspect.getmembers(Scenario, inspect.ismethod)
        if not name.startswith("_")
    }
    assert {re.sub(r"Scenario\.(\w+)\(.*", r"\1", code(name)) for name, _ in rows} == constructors


def test_table_of_fixtures_has_each_fixture_of_the_plugin() -> None:
    rows = table("docs/testing.md", "fixture | what it is")
    fixtures = {
        name
        for name, value in vars(pytest_plugin).items()
        if type(value).__name__ == "FixtureFunctionDefinition"
    }
    assert {code(name) for name, _ in rows} == fixtures


def test_table_of_numbers_has_the_descriptions_of_the_command() -> None:
    rows = table("docs/testing.md", "number | what happens")
    described = {number.display: number.description for number in MAGIC_NUMBERS.values()}
    assert rows == [[f"`{code(name)}`", described[code(name)]] for name, _ in rows]


def test_table_of_exit_codes_is_complete() -> None:
    rows = table("docs/command-line.md", "code | meaning")
    assert [int(number) for number, *_ in rows] == [*ExitCode]


def test_table_of_json_events_has_the_fields_of_each_event(tmp_path: Path) -> None:
    documented = {
        code(event): set(re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", fields)))
        for event, fields in table("docs/command-line.md", "`event` | fields")
    }
    url = f"sqlite:///{tmp_path}/callbacks.db"
    with Ledger(url) as ledger, Simulator().client(ledger=ledger) as tenios:
        tenios.start_callback("+49 30 23125 101", key="order-4711")
    commands = [
        ["call", "+49 30 23125 101", "--simulator"],
        ["call", "+49 30 23125 500", "--simulator"],
        ["ledger", "list", "--ledger", url],
        ["ledger", "forget", "--older-than", "90d", "--ledger", url],
        ["ledger", "block", "+49 30 23125 101", "--ledger", url],
        ["ledger", "unblock", "+49 30 23125 101", "--ledger", url],
    ]
    lines = [
        line for command in commands for line in run_tenios(*command, "--json").stdout.splitlines()
    ]
    printed = {event["event"]: event.keys() - {"event"} for event in map(json.loads, lines)}
    assert printed == documented


@pytest.mark.parametrize(
    "document",
    ["README.md", "docs/quickstart.md", "docs/other-languages.md"],
    ids=lambda document: Path(document).name,
)
def test_oldest_python_named_is_the_oldest_supported(document: str) -> None:
    oldest = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "requires-python"
    ].removeprefix(">=")
    text = re.sub(r"\s+", " ", (ROOT / document).read_text())
    assert re.findall(r"(?:Python |\()(\d\.\d+) or later", text) == [oldest]


def test_table_of_extras_has_each_extra_and_those_that_it_includes() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    included = {
        name: re.findall(r"\w+", " ".join(re.findall(r"callback\[(.*?)\]", " ".join(packages))))
        for name, packages in extras.items()
    }
    rows = table("README.md", "extra | what it adds")
    assert included == {
        code(name): re.findall(r"`(\w+)`", text.partition("includes")[2]) for name, text in rows
    }


def test_readme_names_each_python_that_the_package_declares() -> None:
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    declared = re.findall(r"Python :: (\d\.\d+)", "\n".join(classifiers))
    assert (
        f"Python {', '.join(declared[:-1])} and {declared[-1]} are supported"
        in (ROOT / "README.md").read_text()
    )


def test_layout_in_contributing_names_existing_paths() -> None:
    rows = table(".github/CONTRIBUTING.md", "path | content")
    paths = [path for row in rows for path in re.findall(r"`([^`]+)`", row[0])]
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_readme_of_the_survey_has_what_the_survey_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(ROOT / "tools/survey")
    survey = importlib.import_module("survey")
    readme = "tools/survey/README.md"
    names = [trial["name"] for trial in survey.load("readers")]
    assert [row[0] for row in table(readme, "tool | version")] == names
    generators = survey.load("generators")
    assert [row[:3] for row in table(readme, "generator | version")] == [
        [trial["name"], trial["version"], f"`{trial['file']}`"] for trial in generators
    ]
    libraries = {trial["name"]: survey.settings(trial) for trial in survey.load("libraries")}
    rows = table(readme, "library | version")
    assert {row[0]: code(row[3]) for row in rows} == libraries
