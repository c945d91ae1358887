"""Reads customers from a CSV file, as spreadsheets write it."""

from __future__ import annotations

import csv
import io
import re
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import define, field, frozen

from tenios_ext import to_e164

from ._models import Customer

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from datetime import tzinfo

_REQUIRED = ("key", "number")
_COLUMNS = (*_REQUIRED, "delay", "not_before", "agent_announcement", "callback_config_id")
_DELIMITERS = (",", ";", "\t")
_UTF_16_BOMS = (b"\xff\xfe", b"\xfe\xff")


@frozen
class RowProblem:
    """
    What is wrong with a row.

    Attributes:
        line: The line of the file in which the row begins, counted from 1.
        reason: What is wrong, in a sentence.
    """

    line: int
    reason: str


@define
class CustomerFile:
    """
    What a file contains.

    Attributes:
        customers: A customer for each good row.
        problems: What is wrong with the other rows.
        unused: The columns whose names mean nothing here.
    """

    customers: list[Customer] = field(factory=list)
    problems: list[RowProblem] = field(factory=list)
    unused: list[str] = field(factory=list)


def read_customers(
    path: str | Path,
    *,
    region: str | None = None,
    allowed_regions: Collection[str] | None = None,
    allow_special_numbers: bool = False,
    zone: tzinfo | None = None,
) -> CustomerFile:
    """
    Read a whole CSV file and check each row. The file may be in UTF-8, UTF-16 or Latin-1, with
    commas, semicolons or tabs.

    The first row has the names of the columns: ``key``, ``number``, and optionally ``delay`` (whole
    seconds), ``not_before`` (such as 2026-11-25 14:00), ``agent_announcement`` and
    ``callback_config_id``, in any order. Empty cells are not set.

    Args:
        path: The file.
        region: The country of numbers without a country code, such as "DE"; None to refuse them.
        allowed_regions: The only countries whose numbers are accepted; None for all.
        allow_special_numbers: Whether to accept premium-rate numbers and the like, which the client
            must allow, too.
        zone: The time zone of times that have none; None for this machine's.

    Raises:
        OSError: The file cannot be read.
    """
    read_number = partial(
        to_e164,
        region=region,
        allowed_regions=allowed_regions,
        allow_special_numbers=allow_special_numbers,
    )
    text = _decode(Path(path).read_bytes())
    file = CustomerFile()
    first: dict[str, tuple[int, Customer]] = {}
    for line, cells in _rows(text, file):
        try:
            customer = _customer(cells, read_number, zone)
        except ValueError as error:
            file.problems.append(RowProblem(line, str(error)))
            continue
        earlier, same = first.setdefault(customer.key, (line, customer))
        if same == customer:
            file.customers.append(customer)
        else:
            reason = f"The key {customer.key!r} is in line {earlier}, too, with other values."
            file.problems.append(RowProblem(line, reason))
    return file


def _decode(data: bytes) -> str:
    if data.startswith(_UTF_16_BOMS):
        return data.decode("utf-16", "replace")
    # cp1252 is what Windows calls ANSI: Latin-1, with quotation marks and more where that has
    # control characters.
    for encoding in ("utf-8-sig", "cp1252"):
        with suppress(UnicodeDecodeError):
            return data.decode(encoding)
    return data.decode("latin-1")


def _rows(text: str, file: CustomerFile) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the cells of each row by column, with the line in which it begins."""
    lines = io.StringIO(text, newline="")
    reader = csv.reader(lines, delimiter=_delimiter(text), strict=True)
    line = 1
    try:
        names = [name.strip().lower() for name in next(reader, [])]
        if reason := _problem_of_header(names):
            file.problems.append(RowProblem(line, reason))
            return
        file.unused = [name for name in names if name and name not in _COLUMNS]
        line = reader.line_num + 1
        for row in reader:
            if any(cell.strip() for cell in row[len(names) :]):
                reason = f"The row has {len(row)} cells, but there are {len(names)} columns."
                file.problems.append(RowProblem(line, reason))
            elif any(cell.strip() for cell in row):
                yield (
                    line,
                    {
                        name: cell.strip()
                        for name, cell in zip(names, row, strict=False)
                        if name in _COLUMNS
                    },
                )
            line = reader.line_num + 1
    except csv.Error as error:
        file.problems.append(
            RowProblem(line, f"The row is not valid CSV, so the rest was not read: {error}.")
        )


def _delimiter(text: str) -> str:
    """Return the delimiter with which the first line has most of the columns that are needed."""
    header = text.partition("\n")[0].lower()
    return max(
        _DELIMITERS, key=lambda each: sum(name in _split(header, each) for name in _REQUIRED)
    )


def _split(header: str, delimiter: str) -> Iterable[str]:
    return [name.strip(' \t\r"') for name in header.split(delimiter)]


def _problem_of_header(names: list[str]) -> str | None:
    missing = [name for name in _REQUIRED if name not in names]
    if missing:
        return (
            f"The first row must name the columns, among them {' and '.join(missing)}; it has "
            f"{', '.join(names) or 'none'}."
        )
    twice = {name for name in names if name in _COLUMNS and names.count(name) > 1}
    return f"The first row names the column {min(twice)} twice." if twice else None


def _customer(
    cells: dict[str, str], read_number: Callable[[str], str], zone: tzinfo | None
) -> Customer:
    """Return the customer in a row. Raises ValueError."""
    given = {name: cell for name, cell in cells.items() if cell}
    for name in _REQUIRED:
        if name not in given:
            raise ValueError(f"The {name} is missing.")
    delay = given.get("delay", "0")
    if not (delay.isascii() and delay.isdecimal()):
        raise ValueError(f"delay must be a whole number of seconds, got {delay!r}.")
    return Customer(
        given["key"],
        read_number(_unquoted(given["number"])),
        delay=int(delay[:20]),
        not_before=_time(given["not_before"], zone) if "not_before" in given else None,
        agent_announcement=given.get("agent_announcement"),
        callback_config_id=given.get("callback_config_id"),
    )


def _unquoted(cell: str) -> str:
    """Return a number without what makes Excel take it for text: '+49… or ="+49…"."""
    if found := re.fullmatch(r'="([^"]*)"', cell):
        return found[1]
    return cell[1:] if re.match(r"'[+0-9(]", cell) else cell


def _time(text: str, zone: tzinfo | None) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"not_before must be a time such as 2026-11-25 14:00, got {text!r}."
        ) from None
    return found if found.tzinfo is not None else found.replace(tzinfo=zone)
