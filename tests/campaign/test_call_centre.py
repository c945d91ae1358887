"""A call centre's spreadsheet, from the file to the results, with interruptions."""

from __future__ import annotations

import asyncio
import csv
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from support.campaigns import client, counts

from tenios_campaign import (
    Campaign,
    CampaignEntry,
    CampaignSummary,
    InvalidRowsError,
    OpeningHours,
    read_customers,
)
from tenios_simulator import Scenario, Simulator, VirtualClock

if TYPE_CHECKING:
    from pathlib import Path

    from tenios_ext.ledger import Ledger

pytestmark = pytest.mark.usefixtures("exact_time")

#: As written by a German Excel, with a rounded number, a word and two numbers in one cell.
FILE = """sep=;
Auftragsnr.;Rufnummer;Name;Ansage;Bemerkung
Ä-001;0221 4710001;Müller;Für Müller;"ruft zurück; nachmittags"
Ä-002;+49 (0) 221 4710002;Groß;;=HYPERLINK(1)
Ä-003;0049 221 4710003;Jäger;;-
{wrong}Ä-007;0221 4710007;Öztürk;;
Ä-008;0221 4710008;Weiß;;
"""
WRONG = """Ä-004;4,92E+11;Schmidt;;
Ä-005;soon;Schäfer;;
Ä-006;0221 4710006 / 0221 4710016;Böhm;;
"""
HOURS = OpeningHours("Mon-Fri 09:00-10:00", "Europe/Berlin")


def write(path: Path, wrong: str = "") -> Path:
    path.write_bytes(FILE.format(wrong=wrong).replace("\n", "\r\n").encode("cp1252"))
    return path


def test_spreadsheet_is_called_over_weekends_and_interruptions(
    sqlite: Ledger, tmp_path: Path
) -> None:
    clock = VirtualClock()  # It is Sunday, 2001-09-09.
    simulator = Simulator(scenario=Scenario.answered(talking=40), clock=clock)
    simulator.set_scenario(Scenario.customer_busy(), number="+492214710003")
    campaign = Campaign(sqlite, "Herbst", clock=clock)
    path = write(tmp_path / "kunden.csv", WRONG)
    with pytest.raises(InvalidRowsError) as refused:
        campaign.add(read_customers(path, region="DE"))
    assert [problem.line for problem in refused.value.problems] == [6, 7, 8]
    assert (
        campaign.add(read_customers(write(path), region="DE"), attempts=2, retry_after=60).new == 5
    )
    campaign.set(max_active=1, hours=HOURS)

    async def run(stop_at: str) -> CampaignSummary:
        stop = asyncio.Event()

        def update(entry: CampaignEntry) -> None:
            if entry.key == stop_at and entry.state == "talking":
                stop.set()

        def wait(reason: str) -> None:
            if reason.startswith("closed"):
                clock.advance(1800)

        async with client(simulator, sqlite) as tenios, asyncio.timeout(120):
            return await campaign.run(tenios, stop=stop, on_update=update, on_wait=wait)

    summary = asyncio.run(run("Ä-002"))
    assert counts(summary) == {"talked": 2, "waiting": 3}
    clock.advance(4.5 * 86400)
    assert counts(asyncio.run(run(""))) == {"talked": 4, "customer_failed": 1}
    times = [datetime.fromtimestamp(each.started_at, UTC) for each in simulator.callbacks]
    assert {(each.day, each.hour) for each in times} == {(10, 7), (17, 7)}, "both are Mondays"
    assert simulator.dialled.count("+492214710003") == 2

    with (tmp_path / "ergebnisse.csv").open("w", encoding="utf-8-sig", newline="") as file:
        campaign.export(file)
    with (tmp_path / "ergebnisse.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = {row["Auftragsnr."]: row for row in csv.DictReader(file, delimiter=";")}
    assert (rows["Ä-001"]["Name"], rows["Ä-001"]["call_state"]) == ("Müller", "talked")
    assert rows["Ä-001"]["Bemerkung"] == "ruft zurück; nachmittags"
    assert rows["Ä-002"]["Bemerkung"] == "'=HYPERLINK(1)"
    assert rows["Ä-001"]["call_answered"].startswith("2001-09-10 09:")
    assert 0 < int(rows["Ä-001"]["call_seconds"]) <= 60
    assert (rows["Ä-003"]["call_state"], rows["Ä-003"]["call_attempts"]) == ("customer_failed", "2")
