"""Reading customers from CSV files."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tenios_campaign import Customer, CustomerFile, RowProblem, read_customers

if TYPE_CHECKING:
    from pathlib import Path

NUMBER = "+492214710001"


def read(
    folder: Path, data: str | bytes, **options: Any
) -> tuple[CustomerFile, list[Customer | RowProblem]]:
    path = folder / "customers.csv"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    file = read_customers(path, **{"zone": "Europe/Berlin", **options})
    return file, list(file)


def customer_of(folder: Path, data: str | bytes, **options: Any) -> Customer:
    [customer] = read(folder, data, **options)[1]
    assert isinstance(customer, Customer), customer
    return customer


def problem_of(folder: Path, data: str | bytes, **options: Any) -> RowProblem:
    problems = read(folder, data, **options)[1]
    [problem] = [each for each in problems if isinstance(each, RowProblem)]
    return problem


QUOTED = '"Bestellung ""Köln""; 3,50 €"'
TEXT = 'key,number,agent_announcement\r\nä-1,+49 221 4710001,"Bestellung ""Köln""; 3,50 €"\r\n'


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(TEXT.encode(), id="Google Sheets and LibreOffice: UTF-8"),
        pytest.param(TEXT.encode("utf-8-sig"), id="Excel, CSV UTF-8: with a byte order mark"),
        pytest.param(
            f"key;number;agent_announcement\r\nä-1;+49 221 4710001;{QUOTED}\r\n".encode("cp1252"),
            id="Excel in Germany, CSV: Windows' ANSI with semicolons",
        ),
        pytest.param(
            f"key\tnumber\tagent_announcement\r\nä-1\t+49 221 4710001\t{QUOTED}\r\n".encode(
                "utf-16"
            ),
            id="Excel, Unicode text: UTF-16 with tabs",
        ),
        pytest.param(
            f"key\tnumber\tagent_announcement\r\nä-1\t+49 221 4710001\t{QUOTED}\r\n".encode(
                "utf-16-le"
            ),
            id="UTF-16 without a byte order mark",
        ),
        pytest.param(
            f'"key";"number";"agent_announcement"\n"ä-1";"+49 221 4710001";{QUOTED}\n'.encode(),
            id="LibreOffice with all cells quoted",
        ),
        pytest.param(
            f"key,number,agent_announcement\rä-1,+49 221 4710001,{QUOTED}\r".encode(),
            id="Excel for Mac: lines that end in a carriage return",
        ),
    ],
)
def test_file_of_a_spreadsheet_is_read(data: bytes, tmp_path: Path) -> None:
    customer = customer_of(tmp_path, data)
    assert customer == Customer("ä-1", NUMBER, agent_announcement='Bestellung "Köln"; 3,50 €')


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ("key,number\nä,+492214710001\n".encode() + b"\xe4,+492214710002\n", 3),
        (b"\xef\xbb\xbfkey,number\n\xe4,+492214710001\n", 2),
        (b"key,number\na,+492214710001\n\x81,+492214710001\n", 3),
    ],
    ids=["one wrong byte", "after a byte order mark", "neither"],
)
def test_invalid_byte_is_reported_with_its_line(data: bytes, line: int, tmp_path: Path) -> None:
    problem = problem_of(tmp_path, data)
    assert (problem.line, "not valid UTF-8" in problem.reason) == (line, True)


def test_columns_may_be_in_any_order_and_have_any_case(tmp_path: Path) -> None:
    text = (
        "Delay ; NUMBER;name; "
        f"Callback_Config_Id;Not_Before;KEY\n60;{NUMBER};Max;C1;2026-11-25T14:00+01:00;k\n"
    )
    file, [customer] = read(tmp_path, text)
    when = datetime(2026, 11, 25, 13, tzinfo=UTC)
    assert customer == Customer("k", NUMBER, delay=60, callback_config_id="C1", not_before=when)
    assert file.unused == ["name"]
    assert isinstance(customer, Customer)
    assert customer.cells is not None
    assert (customer.cells["name"], customer.line) == ("Max", 2)


@pytest.mark.parametrize(
    ("header", "columns", "found"),
    [
        ("Auftrag;Telefon", {}, ("Auftrag", "Telefon")),
        ("Bestell-Nr.;Tel.", {}, ("Bestell-Nr.", "Tel.")),
        ("Order number;Phone", {}, ("Order number", "Phone")),
        ("Vorgang;Handy-Nr.", {}, ("Vorgang", "Handy-Nr.")),
        ("ID;Mobil;Telefon", {"number": "Mobil"}, ("ID", "Mobil")),
        ("key;Auftrag;number", {}, ("key", "number")),
        ("Kd-Nr.;Festnetz", {}, ("Kd-Nr.", "Festnetz")),
        ("A;B", {"key": "A", "number": "B"}, ("A", "B")),
        ("number;key", {"key": "number", "number": "key"}, ("number", "key")),
    ],
)
def test_common_headers_are_recognized_and_others_can_be_chosen(
    header: str, columns: dict[str, str], found: tuple[str, str], tmp_path: Path
) -> None:
    file, _ = read(tmp_path, f"{header}\n", columns=columns)
    assert file.problem is None
    assert (file.columns["key"], file.columns["number"]) == found


def test_line_with_the_delimiter_is_read(tmp_path: Path) -> None:
    customer = customer_of(tmp_path, f'sep=|\r\nkey|number\r\n"a,;b"|{NUMBER}\r\n')
    assert (customer.key, customer.line) == ("a,;b", 3)


@pytest.mark.parametrize(
    ("header", "options", "delimiter"),
    [
        ("Auftrag;Telefon;Adresse (Straße, PLZ, Ort)", {}, ";"),
        ("Auftrag;Tel 1;Adresse (Straße, PLZ, Ort)", {"columns": {"number": "Tel 1"}}, ";"),
        ("Auftrag;Telefon;Mobil;Adresse (Straße, PLZ, Ort, Land)", {}, ";"),
        ('"Auftrag\r\n(alle, auch alte)";Telefon;id', {}, ";"),
    ],
)
def test_delimiter_is_the_one_with_which_the_columns_are_found(
    header: str, options: dict[str, Any], delimiter: str, tmp_path: Path
) -> None:
    file, _ = read(tmp_path, f"{header}\r\na;{NUMBER};{NUMBER};b\r\n", **options)
    assert file.delimiter == delimiter


@pytest.mark.parametrize(
    "text",
    ["2026-11-25 14:00", "2026-11-25T14:00", "20261125T140000", "25.11.2026 14:00"],
)
def test_time_without_a_zone_is_in_the_given_zone(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = f"key,number,not_before\nk,{NUMBER},{text}\n"
    assert customer_of(tmp_path, data).not_before == datetime(2026, 11, 25, 13, tzinfo=UTC)
    monkeypatch.setenv("TZ", "UTC")
    assert "has no time zone" in problem_of(tmp_path, data, zone=None).reason


def test_empty_rows_and_cells_are_skipped(tmp_path: Path) -> None:
    data = f"key,number,delay\n\n,,\n k , {NUMBER} ,\n\nl,{NUMBER},,,\nm,{NUMBER}\n"
    found = [each for each in read(tmp_path, data)[1] if isinstance(each, Customer)]
    assert [(each.key, each.delay, each.line) for each in found] == [
        ("k", 0, 4),
        ("l", 0, 6),
        ("m", 0, 7),
    ]


@pytest.mark.parametrize("cell", ["'+492214710001", '"=""+492214710001"""'])
def test_number_marked_as_text_is_read(cell: str, tmp_path: Path) -> None:
    assert customer_of(tmp_path, f"key,number\nk,{cell}\n").number == NUMBER


@pytest.mark.parametrize(
    ("cell", "text"),
    [("'-- VIP --", "-- VIP --"), ("'90s hits", "'90s hits"), ('=""', None), ('"=""VIP"""', "VIP")],
)
def test_marks_of_text_in_other_columns_are_removed(
    cell: str, text: str | None, tmp_path: Path
) -> None:
    data = f"key,number,agent_announcement\nk,{NUMBER},{cell}\n"
    assert customer_of(tmp_path, data).agent_announcement == text


def test_invisible_characters_around_a_cell_are_ignored(tmp_path: Path) -> None:
    row = f"\u200bk\xa0,\u202d{NUMBER}\u202c"
    assert customer_of(tmp_path, f"key\u200b,number\n{row}\n") == Customer("k", NUMBER)


def test_number_without_a_country_needs_a_region(tmp_path: Path) -> None:
    data = "key,number\nk,0221 4710001\n"
    assert "has no country code" in problem_of(tmp_path, data).reason
    assert customer_of(tmp_path, data, region="DE").number == NUMBER


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (f",{NUMBER}", "The key is missing in column 'key'."),
        ("k,", "The number is missing in column 'number'."),
        ("k,4.92214710001E+11", "is not a phone number"),  # a long number in Excel
        ("k,soon", "is not a phone number"),
        (f"{'k' * 161},{NUMBER}", "The key in column 'key' must have 1 to 160 printable"),
        (f"k\u200bl,{NUMBER}", "The key in column 'key' must have 1 to 160 printable"),
        (f'"4,71E+11",{NUMBER}', "'4,71E+11' in column 'key' looks as if a spreadsheet has"),
        *(
            (f"{key},{NUMBER}", "looks as if a spreadsheet has changed it")
            for keys in ("4.71e+11 1E+05 471.0", "#N/A #NV #NAME? #DIV/0! #BEZUG! #### Err:502")
            for key in keys.split()
        ),
        (f"{'k' * 131073},{NUMBER}", "A cell has more than 131072 characters."),
        (f"k\0,{NUMBER}", "contains a NUL character"),
        (f"k,{NUMBER},60.0", "delay must be a whole number of seconds, got '60.0'"),
        (f"k,{NUMBER},,30.12.1899", "not_before must be between 1970 and 9998"),
        (f"k,{NUMBER},-1", "delay must be a whole number of seconds, got '-1'"),
        (f"k,{NUMBER},5m", "delay must be a whole number of seconds, got '5m'"),
        (f"k,{NUMBER},{'9' * 5000}", "delay must be a whole number"),
        (f"k,{NUMBER},,11/25/2026", "not_before must be a time such as 2026-11-25 14:00 or"),
        (f"k,{NUMBER},,,too,many", "The row has 6 cells, but the first row has 4 columns."),
        ('k,"open', "The rest of the file was not read."),
    ],
)  # fmt: skip
def test_invalid_row_is_reported_with_its_line(row: str, reason: str, tmp_path: Path) -> None:
    data = f'key,number,delay,not_before\n"a\n",{NUMBER}\ngood,{NUMBER}\n{row}\n'.replace(
        '"a\n"', '"a"'
    )
    *good, problem = read(tmp_path, data)[1]
    assert [each.key for each in good if isinstance(each, Customer)] == ["a", "good"]
    assert isinstance(problem, RowProblem)
    assert problem.line == 4
    assert reason in problem.reason


@pytest.mark.parametrize(
    "key", ["#4711", "12E4", "12E-3", "1.5", "N/A", "A#", "#1!", "#VIP?", "##"]
)
def test_unusual_key_is_read(key: str, tmp_path: Path) -> None:
    assert customer_of(tmp_path, f"key,number\n{key},{NUMBER}\n").key == key


def test_line_of_a_row_counts_line_breaks_in_cells(tmp_path: Path) -> None:
    data = f'key,number,agent_announcement\nk,{NUMBER},"two\nlines"\nl,soon,\n'
    assert problem_of(tmp_path, data).line == 4


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("", "There is no key column in the first row (empty). Choose one, such as"),
        ("k,+492214710001\n", "There is no key column in the first row (k, +492214710001)."),
        ('"Name\n(alle, auch alte)";Tel\n', "There is no key column in the first row (Name"),
        ("key;Name\n", "There is no number column in the first row (key, Name)."),
        ("key,number,number\n", "Several columns are named 'number'. Rename all but one."),
        ("key,number,Note,Note\n", "Several columns are named 'Note'. Rename all but one."),
        ("key,number,call_state\n", "Rename or delete the column 'call_state'."),
        (b"PK\3\4\x14\0\6\0", "This is an Excel workbook. Save it as CSV UTF-8."),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "This is an Excel workbook. Save it as CSV UTF-8."),
        (b"\xff\xfek\0e", "The row is not valid CSV ("),
        ("Order,Number,Phone\n", "Several columns may be the number: Number, Phone. Choose"),
        ("key,number,mobile\n", "Several columns may be the number: number, mobile. Choose"),
        ("key;Telefon;Mobil\n", "Mobil. Choose one, such as columns={'number': 'Telefon'}"),
        ('key,"number\n', "The row is not valid CSV"),
    ],
)  # fmt: skip
def test_invalid_header_is_reported(data: str, reason: str, tmp_path: Path) -> None:
    problem = problem_of(tmp_path, data)
    assert problem.line == 1
    assert reason in problem.reason


def test_pipe_is_refused_because_files_are_read_twice(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="It is a pipe, but the file is read twice"):
        read_customers(pipe)
