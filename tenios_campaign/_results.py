"""Writes the results of a campaign to a CSV file."""

from __future__ import annotations

import csv
from datetime import datetime
from typing import TYPE_CHECKING, TextIO

from ._csv import DELIMITERS, FORMULA, RESULTS
from ._hours import find_zone

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ._models import CampaignEntry


def write_results(
    file: TextIO,
    entries: Iterable[CampaignEntry],
    *,
    zone: str,
    delimiter: str,
    headers: Sequence[str],
    columns: Mapping[str, str],
) -> None:
    """
    Write the results.

    Args:
        file: The file, opened with ``newline=""``.
        entries: The entries.
        zone: Time zone of all times.
        delimiter: The delimiter.
        headers: The columns of the customers' file.
        columns: The names of its key and number columns.
    """
    key, number = columns.get("key", "key"), columns.get("number", "number")
    own = [name for name in dict.fromkeys([*headers, key, number]) if name not in {"", *RESULTS}]
    # csv quotes a carriage return only as a part of its default line terminator.
    writer = csv.writer(file, delimiter=delimiter if delimiter in DELIMITERS else ",")
    writer.writerow([*map(harmless, own), *RESULTS])
    clock = find_zone(zone)

    def at(seconds: float | None) -> str:
        moment = None if seconds is None else datetime.fromtimestamp(seconds, clock)
        return "" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}"

    for entry in entries:
        cells = {key: entry.key, number: entry.number or "", **(entry.cells or {})}
        seconds = None
        if entry.answered_at is not None and entry.ended_at is not None:
            seconds = round(entry.ended_at - entry.answered_at)
        times = map(at, (entry.started_at, entry.answered_at, entry.ended_at))
        results = [entry.state, entry.attempts, *times, zone, seconds, at(entry.due_at)]
        results += [entry.callback_id, entry.status, entry.error]
        texts = ["" if each is None else str(each) for each in results]
        writer.writerow([harmless(each) for each in [*(cells.get(n, "") for n in own), *texts]])


def harmless(cell: str) -> str:
    """Return a cell that a spreadsheet does not evaluate."""
    return f"'{cell}" if cell.startswith(FORMULA) else cell
