"""Reads customers from a CSV file."""

from __future__ import annotations

import codecs
import csv
import errno
import re
import string
from datetime import datetime
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import evolve, field, frozen

from tenios_ext import to_e164

from ._hours import find_zone, machine_zone
from ._models import MAX_KEY, Customer, RowProblem, check_name

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

#: Recognized names of the columns, without case, spaces and punctuation.
_NAMES = {
    "key": "key id order orderid ordernumber orderno reference customerid auftrag auftragsnummer "
    "auftragsnr bestellung bestellnummer bestellnr vorgang vorgangsnummer kundennummer kundennr "
    "kdnr ticket ticketnummer ticketnr customernumber customerno",
    "number": "number phone phonenumber telephone telephonenumber mobile mobilephone telefon "
    "telefonnummer telefonnr tel telnr rufnummer rufnr mobil mobilnummer mobilnr mobiltelefon "
    "handy handynummer handynr festnetz festnetznummer festnetznr landline cell cellphone",
    "delay": "delay verzögerung",
    "not_before": "notbefore nichtvor frühestens",
    "agent_announcement": "agentannouncement announcement ansage agentenansage",
    "callback_config_id": "callbackconfigid",
}
_REQUIRED = ("key", "number")
#: The delimiters that are detected.
DELIMITERS = (",", ";", "\t")
#: The lines from which the delimiter is guessed.
_FIRST_LINES = 5
#: The result columns of an exported file, which are not read.
RESULTS = (
    *("call_state", "call_attempts", "call_started", "call_answered", "call_ended", "call_zone"),
    *("call_seconds", "call_next", "call_id", "call_status", "call_error"),
)
#: The first characters of cells that a spreadsheet evaluates, also fullwidth ones.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")
#: Spaces and characters without a width or glyph, which are often copied with a text. U+202E, which
#: shows digits in the reverse order, is not one of them.
_INVISIBLE = f"{string.whitespace}\xa0\xad\ufeff" + "".join(
    map(chr, (*range(0x2000, 0x2010), *range(0x2028, 0x202E), 0x202F, *range(0x205F, 0x2070)))
)
#: How spreadsheets and pandas write large, whole and too wide numbers, and errors in English and
#: German.
_DAMAGED = re.compile(
    r"\d+E\+\d+|\d+[.,]\d+E[+-]?\d+|\d+[.,]0+|#{4,}|Err:\d{3}|#N/A|#NV|#NAME\?"
    r"|#(REF|VALUE|DIV/0|NULL|NUM|SPILL|CALC|BEZUG|WERT|ZAHL|ÜBERLAUF)!",
    re.IGNORECASE,
)
#: The first bytes of .xlsx and .ods, and of .xls.
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")


@frozen
class CustomerFile:
    """
    A CSV file of customers, for :meth:`Campaign.add`. Iterating over it yields a
    :class:`Customer` for each valid row and a :class:`RowProblem` for each invalid one.

    Attributes:
        path: The file.
        encoding: Its encoding.
        delimiter: Its delimiter.
        skipped: Number of lines before the header.
        headers: The names of its columns.
        columns: The names of the used columns, by their use, such as ``{"number": "Telefon"}``.
        problem: Why the file cannot be read; None if it can.
        read_number: Returns a number as E.164.
        zone: Time zone of times without one; None to refuse them.
    """

    path: Path
    encoding: str
    delimiter: str = ","
    skipped: int = 0
    headers: list[str] = field(factory=list)
    columns: dict[str, str] = field(factory=dict)
    problem: RowProblem | None = None
    read_number: Callable[[str], str] = to_e164
    zone: str | None = None

    @property
    def unused(self) -> list[str]:
        """The columns that are only exported with the results."""
        used = self.columns.values()
        return [each for each in self.headers if each and each not in {*used, *RESULTS}]

    def __iter__(self) -> Iterator[Customer | RowProblem]:
        if self.problem is not None:
            yield self.problem
            return
        with self.path.open(encoding=self.encoding, newline="") as lines:
            reader = csv.reader(lines, delimiter=self.delimiter, strict=True)
            line = 0
            try:
                for index, row in enumerate(reader):
                    if index > self.skipped and any(map(str.strip, row)):
                        yield self._read(row, line + 1)
                    line = reader.line_num
            except (csv.Error, UnicodeError) as error:
                yield RowProblem(line + 1, f"{_describe(error)} The rest of the file was not read.")

    def _read(self, row: list[str], line: int) -> Customer | RowProblem:
        if any(map(str.strip, row[len(self.headers) :])):
            return RowProblem(
                line,
                f"The row has {len(row)} cells, but the first row has {len(self.headers)} columns.",
            )
        if any("\0" in cell for cell in row):
            return RowProblem(line, "The row contains a NUL character.")
        cells = {
            name: cell.strip(_INVISIBLE)
            for name, cell in zip(self.headers, row, strict=False)
            if name and name not in RESULTS
        }
        try:
            return self._customer(cells, line)
        except ValueError as error:
            return RowProblem(line, str(error))

    def _customer(self, cells: dict[str, str], line: int) -> Customer:
        """Return the customer in a row. Raises ValueError."""
        given = {
            name: cell
            for name, column in self.columns.items()
            if (cell := _unquoted(cells.get(column, "")))
        }
        for name in _REQUIRED:
            if name not in given:
                raise ValueError(f"The {name} is missing in column {self.columns[name]!r}.")
        key, column = given["key"].removeprefix("'"), self.columns["key"]
        check_name(key, what=f"The key in column {column!r}", longest=MAX_KEY)
        if _DAMAGED.fullmatch(key):
            raise ValueError(
                f"The key {key!r} in column {column!r} looks as if a spreadsheet has changed it. "
                "Format the column as text, enter the keys again and save the file as CSV UTF-8."
            )
        delay = given.get("delay", "0")
        if not (delay.isascii() and delay.isdecimal()):
            raise ValueError(f"delay must be a whole number of seconds, got {delay!r}.")
        return Customer(
            key,
            self.read_number(given["number"].removeprefix("'")),
            delay=int(delay[:20]),
            not_before=_time(given["not_before"], self.zone) if "not_before" in given else None,
            agent_announcement=given.get("agent_announcement"),
            callback_config_id=given.get("callback_config_id"),
            cells=cells,
            line=line,
        )


def read_customers(
    path: str | Path,
    *,
    region: str | None = None,
    allowed_regions: Collection[str] | None = None,
    allow_special_numbers: bool = False,
    zone: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> CustomerFile:
    """
    Return a CSV file whose encoding (UTF-8, UTF-16 or Windows-1252), delimiter (comma, semicolon or
    tab) and columns are detected. Iterate over it to read the rows.

    The first row names the columns in any order: ``key``, ``number``, and optionally ``delay``
    (whole seconds), ``not_before`` (such as 2026-11-25 14:00 or 25.11.2026 14:00),
    ``agent_announcement`` and ``callback_config_id``. Common English and German names are
    recognized. Empty cells are ignored.

    Args:
        path: The file.
        region: Country of numbers without a country code, such as "DE"; None to refuse them.
        allowed_regions: Countries whose numbers are accepted; None for all.
        allow_special_numbers: Whether to accept premium-rate and other special numbers, which the
            client must also allow.
        zone: Time zone of times without one; None for this machine's.
        columns: Other names of columns, such as ``{"number": "Telefon 2"}``.

    Raises:
        OSError: The file cannot be read.
        ValueError: The time zone or a key of *columns* does not exist.
    """
    if unknown := sorted(set(columns or ()) - set(_NAMES)):
        raise ValueError(f"There is no column {unknown[0]!r}. Columns are {', '.join(_NAMES)}.")
    if zone is not None:
        find_zone(zone)
    if Path(path).is_fifo():
        raise OSError(errno.ESPIPE, "It is a pipe, but the file is read twice. Save it first.")
    encoding, problem = _encoding(Path(path))
    read_number = partial(
        to_e164,
        region=region,
        allowed_regions=allowed_regions,
        allow_special_numbers=allow_special_numbers,
    )
    file = CustomerFile(
        Path(path), encoding, problem=problem, read_number=read_number, zone=zone or machine_zone()
    )
    if problem is not None:
        return file
    with Path(path).open(encoding=encoding, errors="replace", newline="") as lines:
        first = list(islice(lines, _FIRST_LINES))
    hint = (
        re.fullmatch(r'"?sep=([^"\r\n])"?\s*', first[0], re.IGNORECASE) if first else None
    )  # of Excel
    file = evolve(file, skipped=int(hint is not None))

    def count(delimiter: str) -> tuple[int, int]:
        counts = [line.count(delimiter) for line in first if line.strip()] or [0]
        return min(counts), counts[0]

    delimiters = [hint[1]] if hint else sorted(DELIMITERS, key=count, reverse=True)
    read = [_with_header(file, each, columns or {}) for each in delimiters]
    # Of files with a problem, one with several columns has the most likely delimiter.
    return min(read, key=lambda each: (each.problem is not None, not each.headers[1:]))


def _with_header(file: CustomerFile, delimiter: str, named: Mapping[str, str]) -> CustomerFile:
    """Return *file* with its columns, if *delimiter* separates them, or a problem."""
    try:
        with file.path.open(encoding=file.encoding, newline="") as lines:
            rows = csv.reader(lines, delimiter=delimiter, strict=True)
            row = next(islice(rows, file.skipped, None), [])
    except (csv.Error, UnicodeError) as error:
        return evolve(file, problem=RowProblem(1, _describe(error)))
    headers = [name.strip(_INVISIBLE) for name in row]
    problem = _ambiguous(headers)
    found, problem = ({}, problem) if problem else _find(headers, named)
    return evolve(file, delimiter=delimiter, headers=headers, columns=found, problem=problem)


def _encoding(path: Path) -> tuple[str, RowProblem | None]:
    """Return the encoding of a file, and a problem if a line is not in it."""
    with path.open("rb") as file:
        first = file.readline()
        if first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16", None
        if first.startswith(_WORKBOOKS):
            return "latin-1", RowProblem(1, "This is an Excel workbook. Save it as CSV UTF-8.")
        if b"\0" in first[:2]:  # without a byte order mark
            return ("utf-16-be" if first[0] == 0 else "utf-16-le"), None
        is_utf_8 = first.startswith(codecs.BOM_UTF8)
        wrong = 0
        for number, line in enumerate(chain([first], file), 1):
            if not line.isascii():
                try:
                    line.decode()
                    is_utf_8 = True
                except UnicodeDecodeError:
                    wrong = wrong or number
                    # These bytes are not used in Windows-1252.
                    if any(byte in line for byte in b"\x81\x8d\x8f\x90\x9d"):
                        is_utf_8 = True
    if wrong and is_utf_8:
        return "utf-8", RowProblem(
            wrong, "The line is not valid UTF-8. Save the file as UTF-8 again."
        )
    return "cp1252" if wrong else "utf-8-sig", None


def _describe(error: csv.Error | UnicodeError) -> str:
    if "field larger" in str(error):
        text = f"A cell has more than {csv.field_size_limit()} characters."
        return f"{text} Check whether a quotation mark is missing."
    return f"The row is not valid CSV ({error})."


def _ambiguous(headers: list[str]) -> RowProblem | None:
    """Return a problem if a column would be lost in the exported results."""
    if twice := [each for each in headers if each and headers.count(each) > 1]:
        return RowProblem(1, f"Several columns are named {twice[0]!r}. Rename all but one.")
    own = [each for each in headers if each in RESULTS]
    if own and len(own) < len(RESULTS):  # not an exported file
        reason = f"Rename or delete the column {own[0]!r}. The results have a column of this name."
        return RowProblem(1, reason)
    return None


def _find(headers: list[str], named: Mapping[str, str]) -> tuple[dict[str, str], RowProblem | None]:
    """Return the names of the columns by their use, and a problem if some are not found."""
    found: dict[str, str] = {}
    for column, names in _NAMES.items():
        wanted = [named[column]] if column in named else names.split()
        matches = [
            each
            for each in headers
            if each in wanted or (column not in named and _plain(each) in wanted)
        ]
        # "Number" beside "Phone" may be that of an order.
        if column != "number":
            matches = [each for each in matches if each.lower() == column] or matches
        if len(matches) > 1:
            reason = (
                f"Several columns may be the {column}: {', '.join(matches)}. Choose one, such as "
                f"columns={{{column!r}: {matches[0]!r}}}."
            )
            return {}, RowProblem(1, reason)
        if matches:
            found[column] = matches[0]
        elif column in _REQUIRED or column in named:
            reason = (
                f"There is no {column} column in the first row ({', '.join(headers) or 'empty'}). "
                f"Choose one, such as columns={{{column!r}: 'Header'}}."
            )
            return {}, RowProblem(1, reason)
    return found, None


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())


def _unquoted(cell: str) -> str:
    """Return a cell without the marks of a text in Excel: '+49… or ="+49…"."""
    cell = cell[1:] if cell.startswith("'") and cell[1:].startswith(FORMULA) else cell
    found = re.fullmatch(r'="([^"]*)"', cell)
    return found[1] if found else cell


def _time(text: str, zone: str | None) -> datetime:
    for written in (None, "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S", "%d.%m.%Y"):
        try:
            found = (
                datetime.strptime(text, written)  # noqa: DTZ007 - the zone is set below
                if written
                else datetime.fromisoformat(text)
            )
        except ValueError:
            continue
        if found.tzinfo is not None:
            return found
        if zone is None:
            raise ValueError(f"The time {text!r} has no time zone. Use zone='Europe/Berlin'.")
        return found.replace(tzinfo=find_zone(zone))
    raise ValueError(
        f"not_before must be a time such as 2026-11-25 14:00 or 25.11.2026 14:00, got {text!r}."
    )
