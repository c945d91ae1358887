"""Exporting the results of a campaign for a spreadsheet."""

from __future__ import annotations

import csv
import io
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.ledgers import ledger_in_memory

from tenios_campaign import Campaign, CampaignEntry, Customer, OpeningHours, read_customers
from tenios_campaign._csv import RESULTS
from tenios_campaign._results import harmless, write_results
from tenios_ext import CallbackStatus

if TYPE_CHECKING:
    from tenios_ext.ledger import Ledger

START = datetime(2026, 11, 29, 13, tzinfo=UTC).timestamp()


def entry(**values: object) -> CampaignEntry:
    known = {
        "key": "k",
        "number": "+492214710001",
        "state": "talked",
        "attempts": 1,
        "due_at": None,
        "attempt_key": "default/k/1",
        "callback_id": 10,
        "status": CallbackStatus.DISCONNECTED,
        "error": None,
    }
    return CampaignEntry(**known | values)  # type: ignore[arg-type] # of each test


def written(each: CampaignEntry, *headers: str, **columns: str) -> dict[str, str]:
    """Return the row of an entry."""
    file = io.StringIO(newline="")
    write_results(
        file, [each], zone="Europe/Berlin", delimiter=";", headers=headers, columns=columns
    )
    [row] = csv.DictReader(io.StringIO(file.getvalue(), newline=""), delimiter=";")
    return row


def test_results_have_times_in_the_zone_and_seconds_talked() -> None:
    row = written(
        entry(started_at=START, answered_at=START + 30, ended_at=START + 95.4, due_at=START + 600)
    )
    assert row == {
        "key": "k",
        "number": "'+492214710001",
        "call_state": "talked",
        "call_attempts": "1",
        "call_started": "2026-11-29 14:00:00",
        "call_answered": "2026-11-29 14:00:30",
        "call_ended": "2026-11-29 14:01:35",
        "call_zone": "Europe/Berlin",
        "call_seconds": "65",
        "call_next": "2026-11-29 14:10:00",
        "call_id": "10",
        "call_status": "DISCONNECTED",
        "call_error": "",
    }


def test_columns_of_all_files_and_customers_are_exported(sqlite: Ledger, tmp_path: Path) -> None:
    campaign = Campaign(sqlite)
    campaign.export(empty := io.StringIO(newline=""))
    assert empty.getvalue().startswith("key,number,call_state")
    for number, data in enumerate(
        [
            "key,number,city\na,+49 221 4710001,Bonn\n",
            "Auftrag,Telefon,Ort\nb,+49 221 4710002,Ulm\n",
        ]
    ):
        path = tmp_path / f"{number}.csv"
        path.write_text(data)
        campaign.add(read_customers(path))
    campaign.add([Customer("c", "+492214710003", cells={"name": "C"})])
    file = io.StringIO(newline="")
    campaign.export(file)
    rows = list(csv.DictReader(io.StringIO(file.getvalue(), newline="")))
    assert [row["Auftrag"] for row in rows] == ["a", "b", "c"]
    assert [row["Telefon"][-1] for row in rows] == ["1", "2", "3"]
    assert [row["city"] + row["Ort"] + row["name"] for row in rows] == ["Bonn", "Ulm", "C"]


def test_columns_of_the_file_are_kept_and_erased_cells_are_empty() -> None:
    cells = {"Auftrag": "k", "Telefon": "0221 4710001", "Name": "=1+1"}
    row = written(entry(cells=cells), "Auftrag", "Telefon", "Name", key="Auftrag", number="Telefon")
    assert [*row][:3] == ["Auftrag", "Telefon", "Name"]
    assert [*row.values()][:3] == ["k", "0221 4710001", "'=1+1"]
    assert [*row][3:] == [*RESULTS]
    row = written(entry(number=None), "Auftrag", "Telefon", key="Auftrag", number="Telefon")
    assert [*row.values()][:2] == ["k", ""]


@pytest.mark.parametrize("cell", ["=1", "+49", "-1", "@a", "\t=1"])
def test_cells_that_a_spreadsheet_would_evaluate_are_quoted(cell: str) -> None:
    assert harmless(cell) == f"'{cell}"
    assert harmless(f" {cell}") == f" {cell}"


def test_exported_file_can_be_added_again(sqlite: Ledger, tmp_path: Path) -> None:
    path = tmp_path / "customers.csv"
    path.write_text("Auftrag;Telefon;Ansage\n+1;+49 221 4710001;-10 %\n")
    campaign = Campaign(sqlite)
    campaign.add(read_customers(path))
    campaign.add([Customer("two", "+492214710002")])
    campaign.set(hours=OpeningHours("09:00-18:00", "America/New_York"))
    with path.open("w", newline="") as file:
        campaign.export(file)
    text = path.read_text()
    assert text.startswith("Auftrag;Telefon;Ansage;call_state;")
    assert "America/New_York" in text
    assert campaign.add(read_customers(path)).known == 2
    other = Campaign(sqlite, "other")
    other.add(read_customers(path))
    assert [each.key for each in other.entries()] == ["+1", "two"]


_CELL = st.text(st.sampled_from("a1 =+-@',;|\t\"\r\n\xa0\uff1d"), max_size=6)


@settings(max_examples=50, deadline=None)
@given(
    rows=st.lists(st.tuples(_CELL, _CELL), min_size=1, max_size=3),
    key=st.sampled_from(["k{}", "=k{}", "-{}", '="{}"', 'a";,{}']),
    number=st.sampled_from(["+49 221 47{:05}", '="+49 221 47{:05}"', "'+49 221 47{:05}"]),
    header=_CELL,
    delimiter=st.sampled_from(",;\t|"),
)
def test_exported_file_has_the_same_bytes_when_it_is_added_and_exported(
    rows: list[tuple[str, str]], key: str, number: str, header: str, delimiter: str
) -> None:
    results = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "customers.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            file.write("sep=|\n" if delimiter == "|" else "")
            writer = csv.writer(file, delimiter=delimiter)
            writer.writerow([f"x{header}", "key", "note", "number"])
            for index, (first, note) in enumerate(rows):
                writer.writerow([first, key.format(index), note, number.format(index)])
        for _ in range(2):
            with ledger_in_memory() as ledger:
                campaign = Campaign(ledger)
                campaign.add(read_customers(path))
                with path.open("w", encoding="utf-8-sig", newline="") as file:
                    campaign.export(file)
                keys = [(each.key, each.number) for each in campaign.entries()]
                results.append((path.read_bytes(), keys))
    assert results[0] == results[1]


def test_line_break_in_a_cell_does_not_begin_a_row() -> None:
    row = written(entry(cells={"note": "a\r=1+2"}), "note")
    assert row["note"] == "a\r=1+2"
