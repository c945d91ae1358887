"""Reading customers from CSV files, as spreadsheets write them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from tenios_campaign import Customer, CustomerFile, RowProblem, read_customers

if TYPE_CHECKING:
    from pathlib import Path

NUMBER = "+492214710001"


def read(folder: Path, data: str | bytes, **options: object) -> CustomerFile:
    path = folder / "customers.csv"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return read_customers(path, **options)  # type: ignore[arg-type] # of each test


def customer_of(folder: Path, data: str | bytes, **options: object) -> Customer:
    file = read(folder, data, **options)
    assert file.problems == []
    [customer] = file.customers
    return customer


def problem_of(folder: Path, data: str | bytes, **options: object) -> RowProblem:
    [problem] = read(folder, data, **options).problems
    return problem


TEXT = 'key,number,agent_announcement\r\nä-1,+49 221 4710001,"Bestellung ""Köln""; 3,50 €"\r\n'


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(TEXT.encode(), id="Google Sheets and LibreOffice: UTF-8"),
        pytest.param(TEXT.encode("utf-8-sig"), id="Excel, CSV UTF-8: with a byte order mark"),
        pytest.param(
            (
                "key;number;agent_announcement\r\n"
                'ä-1;+49 221 4710001;"Bestellung ""Köln""; 3,50 €"\r\n'
            ).encode("cp1252"),
            id="Excel in Germany, CSV: Windows' ANSI with semicolons",
        ),
        pytest.param(
            (
                "key\tnumber\tagent_announcement\r\n"
                'ä-1\t+49 221 4710001\t"Bestellung ""Köln""; 3,50 €"\r\n'
            ).encode("utf-16"),
            id="Excel, Unicode text: UTF-16 with tabs",
        ),
        pytest.param(
            (
                '"key";"number";"agent_announcement"\n'
                '"ä-1";"+49 221 4710001";"Bestellung ""Köln""; 3,50 €"\n'
            ).encode(),
            id="LibreOffice with all cells quoted",
        ),
        pytest.param(
            (
                'key,number,agent_announcement\rä-1,+49 221 4710001,"Bestellung ""Köln""; 3,50 €"\r'
            ).encode(),
            id="Excel for Mac: lines that end in a carriage return",
        ),
    ],
)
def test_file_of_a_spreadsheet_is_read(data: bytes, tmp_path: Path) -> None:
    customer = customer_of(tmp_path, data)
    assert customer == Customer("ä-1", NUMBER, agent_announcement='Bestellung "Köln"; 3,50 €')


def test_latin_1_that_is_not_windows_is_read(tmp_path: Path) -> None:
    assert customer_of(tmp_path, b"key,number\n\xe4,+492214710001\n").key == "ä"
    assert "printable" in problem_of(tmp_path, b"key,number\n\x81,+492214710001\n").reason


def test_columns_may_be_in_any_order_and_have_any_case(tmp_path: Path) -> None:
    text = (
        "Delay ; NUMBER;name; "
        f"Callback_Config_Id;Not_Before;KEY\n60;{NUMBER};Max;C1;2026-11-25T14:00+01:00;k\n"
    )
    file = read(tmp_path, text)
    when = datetime(2026, 11, 25, 13, tzinfo=UTC)
    assert file.customers == [
        Customer("k", NUMBER, delay=60, callback_config_id="C1", not_before=when)
    ]
    assert file.unused == ["name"]


@pytest.mark.parametrize("text", ["2026-11-25 14:00", "2026-11-25T14:00", "20261125T140000"])
def test_time_without_a_zone_is_in_the_one_given(text: str, tmp_path: Path) -> None:
    data = f"key,number,not_before\nk,{NUMBER},{text}\n"
    customer = customer_of(tmp_path, data, zone=ZoneInfo("Europe/Berlin"))
    assert customer.not_before == datetime(2026, 11, 25, 13, tzinfo=UTC)
    local = customer_of(tmp_path, data).not_before
    assert local is not None
    assert local.timestamp() == datetime(2026, 11, 25, 14).timestamp()  # noqa: DTZ001 - this machine's zone


def test_empty_rows_and_cells_are_skipped(tmp_path: Path) -> None:
    data = f"key,number,delay\n\n,,\n k , {NUMBER} ,\n\nl,{NUMBER},,,\nm,{NUMBER}\n"
    assert [(each.key, each.delay) for each in read(tmp_path, data).customers] == [
        ("k", 0),
        ("l", 0),
        ("m", 0),
    ]


def test_number_without_a_country_needs_a_region(tmp_path: Path) -> None:
    data = "key,number\nk,0221 4710001\n"
    assert "has no country code" in problem_of(tmp_path, data).reason
    assert customer_of(tmp_path, data, region="DE").number == NUMBER


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (f",{NUMBER}", "The key is missing."),
        ("k,", "The number is missing."),
        ("k,4.92214710001E+11", "is not a phone number"),  # as Excel shows long numbers
        ("k,soon", "is not a phone number"),
        (f"{'k' * 191},{NUMBER}", "key must have 1 to 190 printable characters"),
        (f"k,{NUMBER},-1", "delay must be a whole number of seconds, got '-1'"),
        (f"k,{NUMBER},5m", "delay must be a whole number of seconds, got '5m'"),
        (f"k,{NUMBER},{'9' * 5000}", "delay must be a whole number"),
        (
            f"k,{NUMBER},,25.11.2026",
            "not_before must be a time such as 2026-11-25 14:00, got '25.11.2026'",
        ),
        (f"k,{NUMBER},,,too,many", "The row has 6 cells, but there are 4 columns."),
        ('k,"open', "The row is not valid CSV, so the rest was not read"),
    ],
)  # fmt: skip
def test_bad_row_is_reported_with_its_line(row: str, reason: str, tmp_path: Path) -> None:
    data = f'key,number,delay,not_before\n"a\n",{NUMBER}\ngood,{NUMBER}\n{row}\n'.replace(
        '"a\n"', '"a"'
    )
    file = read(tmp_path, data)
    assert [customer.key for customer in file.customers] == ["a", "good"]
    [problem] = file.problems
    assert problem.line == 4
    assert reason in problem.reason


def test_line_of_a_row_counts_the_lines_within_cells(tmp_path: Path) -> None:
    data = f'key,number,agent_announcement\nk,{NUMBER},"two\nlines"\nl,soon,\n'
    assert problem_of(tmp_path, data).line == 4


def test_all_bad_rows_are_reported(tmp_path: Path) -> None:
    assert [each.line for each in read(tmp_path, "key,number\nk,1\nl,2\nm,3\n").problems] == [
        2,
        3,
        4,
    ]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("", "among them key and number; it has none"),
        ("k,+492214710001\n", "among them key and number; it has k, +492214710001"),
        ("key;phone\nk;+492214710001\n", "among them number; it has key, phone"),
        ("key,number,Number\nk,+492214710001,+492214710002\n", "names the column number twice"),
    ],
)
def test_header_that_is_wrong_is_reported(data: str, reason: str, tmp_path: Path) -> None:
    problem = problem_of(tmp_path, data)
    assert problem.line == 1
    assert reason in problem.reason


def test_key_that_comes_again_must_have_the_same_values(tmp_path: Path) -> None:
    data = f"key,number\nk,{NUMBER}\nk,+49 (221) 4710001\nk,+492214710002\n"
    file = read(tmp_path, data)
    assert [customer.key for customer in file.customers] == ["k", "k"]
    assert file.problems == [RowProblem(4, "The key 'k' is in line 2, too, with other values.")]
