"""
Every function reads numbers alike, so that the right person is called at the expected price.

``tests/ext/numbers.csv`` contains numbers as spreadsheets, exports, forms and people write them,
with the number or a part of the reason for the refusal.
"""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from cli.command import objects, tenios
from support.faults import FaultServer, respond_error
from support.serving import serving

from tenios_campaign import Customer, CustomerFile, RowProblem, read_customers
from tenios_cli._main import main
from tenios_ext import ConfigurationError, InvalidArgumentError, Tenios, to_e164
from tenios_simulator import ACCESS_KEY, CALLBACK_CONFIG_ID, Simulator


class Row(NamedTuple):
    input: str
    region: str | None
    expected: str

    @property
    def is_refused(self) -> bool:
        """Return whether *expected* is a reason."""
        return not self.expected.startswith("+")


def _rows() -> list[Row]:
    path = Path(__file__).parents[1] / "ext/numbers.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return [
            Row(each["input"], each["region"] or None, each["expected"])
            for each in csv.DictReader(file)
        ]


ROWS = _rows()
REGIONS = sorted({row.region for row in ROWS}, key=str)


def check(row: Row, found: str, failures: list[str]) -> None:
    """Record the row if *found*, a number or an error message, is not as expected."""
    is_right = row.expected in found if row.is_refused else row.expected == found
    if not is_right:
        failures.append(f"{row.input!r} ({row.region}): expected {row.expected}, got {found}")


def client(server: Any, **settings: Any) -> Tenios:
    return Tenios(ACCESS_KEY, CALLBACK_CONFIG_ID, transport=httpx.MockTransport(server), **settings)


def test_table_is_long_enough() -> None:
    assert len(ROWS) > 300
    assert len({row.region for row in ROWS}) > 20


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.input[:30]!a}-{row.region}")
def test_number_is_read_or_refused(row: Row) -> None:
    if row.is_refused:
        with pytest.raises(ValueError) as raised:  # noqa: PT011 - the message is checked below
            to_e164(row.input, region=row.region)
        assert row.expected in str(raised.value)
    else:
        assert to_e164(row.input, region=row.region) == row.expected
        assert to_e164(row.expected) == row.expected


@pytest.mark.parametrize("row", [row for row in ROWS if row.is_refused], ids=str)
def test_proposed_number_is_accepted(row: Row) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - only the proposals matter
        to_e164(row.input, region=row.region)
    for number in re.findall(r"(?:rite|or) '([+0-9][^']*)'", str(raised.value)):
        assert to_e164(number, region=row.region, allow_special_numbers=True)


def test_start_callback_reads_numbers_alike() -> None:
    sent: list[str] = []
    failures: list[str] = []

    def server(request: httpx.Request) -> httpx.Response:
        sent.append(json.loads(request.content)["callback_number"])
        return httpx.Response(200, json={"id": 10})

    for region in REGIONS:
        with client(server, region=region) as tenios:
            for row in (each for each in ROWS if each.region == region):
                sent.clear()
                try:
                    tenios.start_callback(row.input)
                except InvalidArgumentError as error:
                    check(row, str(error), failures)
                    assert not sent
                else:
                    check(row, ", ".join(sent), failures)
    assert not failures


def test_allowed_numbers_are_read_alike() -> None:
    failures: list[str] = []
    for row in ROWS[::7]:  # Creating a client is slower than reading a number.
        try:
            with client(httpx.Response, region=row.region, allowed_numbers=[row.input]) as tenios:
                found = ", ".join(tenios.settings.allowed_numbers or ())
        except ConfigurationError as error:
            found = str(error)
        check(row, found, failures)
    assert not failures


def divided(file: CustomerFile) -> tuple[list[Customer], list[RowProblem]]:
    rows = list(file)
    return (
        [each for each in rows if isinstance(each, Customer)],
        [each for each in rows if isinstance(each, RowProblem)],
    )


def test_campaign_files_are_read_alike(tmp_path: Path) -> None:
    failures: list[str] = []
    # A spreadsheet's quotation marks are not part of a cell, and an empty cell is a missing number.
    rows = [row for row in ROWS if row.input.strip() and row.input[0] not in "'="]
    for region in REGIONS:
        path = tmp_path / f"{region}.csv"
        mine = {str(i): row for i, row in enumerate(rows) if row.region == region}
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(
                [("key", "number"), *((key, row.input) for key, row in mine.items())]
            )
        customers, problems = divided(read_customers(path, region=region))
        read = {each.key: each.number for each in customers}
        reasons = iter(each.reason for each in problems)
        for key, row in mine.items():
            check(row, read.get(key) or next(reasons), failures)
    assert not failures


@pytest.mark.parametrize(
    "row",
    [row for row in ROWS if row.region in {"DE", None}][::9],
    ids=lambda row: f"{row.input[:30]!a}-{row.region}",
)
def test_command_reads_numbers_alike(row: Row) -> None:
    region = ["--region", row.region] if row.region else []
    with FaultServer(respond_error("400 Bad Request", "INVALID_VALUE")) as server:
        arguments = ["call", "--simulator", server.url, "--json", *region, "--", row.input]
        [event] = objects(tenios(*arguments))
    if row.is_refused:
        assert event["error"] == "InvalidNumberError"
        assert row.expected in event["message"]
        assert not server.bodies
    else:
        assert [json.loads(body)["callback_number"] for body in server.bodies] == [row.expected]


def test_form_of_the_simulator_reads_numbers_alike() -> None:
    failures: list[str] = []
    simulator = Simulator()
    with serving(simulator) as server, httpx.Client(base_url=server.address) as http:
        for row in (row for row in ROWS if row.region is None):
            document = {"number": row.input}
            responses = [
                http.post("/_simulator/callbacks", json=document),
                http.post("/_simulator/scenarios", json={"name": "manual", **document}),
            ]
            for response in responses:
                if row.is_refused:
                    assert response.status_code == 400
                    check(row, response.json()["error_message"], failures)
            if not row.is_refused:
                check(row, simulator.callbacks[-1].number, failures)
    assert not failures


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["0221 4710123"], "set its country: --region DE .or"),
        (["+49 900 1234567"], "is a premium-rate number. Special .* use --allow-special-numbers"),
        (["+44 20 7946 0018", "--allowed-regions", "DE,AT"], "in GB. The allowed regions are: AT,"),
        (["+49 900 1234567", "--allow-special-numbers"], "NotSentError"),
    ],
)
def test_command_names_its_own_options(
    arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["call", "--simulator", "http://127.0.0.1:9", *arguments])
    assert re.search(text, capsys.readouterr().err)


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        ("'+492214710123", "+492214710123"),
        ("'0221 4710123", "+492214710123"),
        ('="+492214710123"', "+492214710123"),
        ('="0221 4710123"', "+492214710123"),
        ("''0221 4710123", None),
        ("'Max", None),
        ('="0221"&"4710123"', None),
        ("=+492214710123", None),
    ],
)
def test_quoting_of_spreadsheets_is_removed_in_campaign_files(
    cell: str, number: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "customers.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("key", "number"), ("order-1", cell)])
    customers, problems = divided(read_customers(path, region="DE"))
    assert [each.number for each in customers] == ([number] if number else [])
    assert len(problems) == (0 if number else 1)


def test_campaign_file_is_checked_for_price_and_place(tmp_path: Path) -> None:
    path = tmp_path / "customers.csv"
    path.write_text("key,number\n1,+49 900 1234567\n2,+44 20 7946 0018\n", encoding="utf-8")
    assert [each.line for each in divided(read_customers(path))[1]] == [2]
    found = read_customers(path, allowed_regions=["DE"], allow_special_numbers=True)
    assert [each.line for each in divided(found)[1]] == [3]
