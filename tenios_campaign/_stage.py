"""Adds customers. A temporary file holds them until all are checked, which saves memory."""

from __future__ import annotations

import json
import sqlite3
from itertools import islice
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from attrs import asdict

from ._models import MAX_SHOWN, Added, Customer, InvalidRowsError, RowProblem, SameNumberError
from ._store import BATCH
from ._tables import ADDING, c, customers, lock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ._store import Store


_DATA = (c.delay, c.agent_announcement, c.callback_config_id, c.due_at)


class Stage:
    """
    Customers to be added to a campaign.

    Attributes:
        headers: The names of their cells, in order.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._file = sqlite3.connect("")
        self._file.execute(
            "CREATE TABLE staged (key TEXT PRIMARY KEY, number TEXT, line INT, data TEXT, "
            "is_known INT DEFAULT 0)"
        )
        self.headers: dict[str, None] = {}
        self._problems: list[RowProblem] = []
        self._count = self._repeated = 0

    def close(self) -> None:
        self._file.close()

    def read(self, rows: Iterable[Customer | RowProblem]) -> None:
        """Read all customers. Raises InvalidRowsError if one of them cannot be added."""
        for row in rows:
            if isinstance(row, RowProblem):
                self._reject(row.line, row.reason)
            else:
                self._stage(row)
        self._raise_problems()

    def _reject(self, line: int | None, reason: str) -> None:
        self._count += 1
        if len(self._problems) < MAX_SHOWN:
            self._problems.append(RowProblem(line or 0, reason))

    def _raise_problems(self) -> None:
        if self._problems:
            raise InvalidRowsError(self._problems, self._count)

    def _stage(self, customer: Customer) -> None:
        values = asdict(
            customer, filter=lambda each, _: each.name not in {"line", "not_before", "cells"}
        )
        self.headers.update(dict.fromkeys(customer.cells or ()))
        due_at = 0.0 if customer.not_before is None else customer.not_before.timestamp()
        cells = None if customer.cells is None else json.dumps(customer.cells, ensure_ascii=False)
        data = json.dumps(values | {"due_at": due_at})
        row = (customer.key, customer.number, customer.line, json.dumps([data, cells]))
        try:
            self._file.execute(
                "INSERT INTO staged (key, number, line, data) VALUES (?, ?, ?, ?)", row
            )
        except sqlite3.IntegrityError:
            line, known = self._file.execute(
                "SELECT line, data FROM staged WHERE key = ?", row[:1]
            ).fetchone()
            if known == row[3]:
                self._repeated += 1
            else:
                where = "given " if line is None else f"in line {line} "
                self._reject(
                    customer.line,
                    f"The key {customer.key!r} is already {where}with other values. Use a "
                    "different key for each customer.",
                )

    def _batches(self) -> Iterator[list[Any]]:
        rows = self._file.execute("SELECT key, number, line, data FROM staged ORDER BY rowid")
        while batch := list(islice(rows, BATCH)):
            yield batch

    def compare(self, *, allow_same_number: bool) -> Added:
        """
        Compare the customers with those of the campaign. Raises InvalidRowsError or
        SameNumberError.
        """
        known, changed, pairs, count = 0, 0, [], 0
        for batch in self._batches() if self._store.exists() else ():
            keys, numbers = self._store.run(self._known, batch)
            mark = "UPDATE staged SET is_known = 1 WHERE key = ?"
            self._file.executemany(mark, [(key,) for key in keys])
            for key, number, line, text in batch:
                if row := keys.get(key):
                    known += 1
                    changed += _is_changed(row, text)
                    if row.number not in {number, None}:
                        self._reject(
                            line,
                            f"The key {key!r} is already in the campaign with another number. Use "
                            "a new key to call the new number.",
                        )
                elif number in numbers:
                    count += 1
                    pairs += [(numbers[number], key)] if count <= MAX_SHOWN else []
        self._raise_problems()
        if pairs and not allow_same_number:
            raise SameNumberError(pairs, count)
        [[total]] = self._file.execute("SELECT count(*) FROM staged")
        same = self._file.execute(
            "SELECT first.key, min(second.key) FROM staged first JOIN staged second USING (number) "
            "WHERE first.rowid < second.rowid GROUP BY first.rowid LIMIT ?",
            (MAX_SHOWN,),
        )
        return Added(
            new=total - known,
            known=known,
            changed=changed,
            repeated=self._repeated,
            same_number=tuple(same.fetchall()),
        )

    def _known(
        self, connection: sa.Connection, batch: list[Any]
    ) -> tuple[dict[str, Any], dict[str | None, str]]:
        """Return the rows of the known keys of *batch*, and its known numbers with their keys."""
        mine = c.campaign == self._store.name
        in_keys = c.key.in_([each[0] for each in batch])
        by_key = sa.select(c.key, c.number, c.serial, *_DATA).where(mine, in_keys)
        in_numbers = c.number.in_([each[1] for each in batch])
        by_number = sa.select(c.key, c.number).where(mine, in_numbers)
        return (
            {row.key: row for row in connection.execute(by_key)},
            {row.number: row.key for row in connection.execute(by_number)},
        )

    def add(
        self, *, allow_same_number: bool, layout: dict[str, Any], values: dict[str, Any]
    ) -> Added:
        """
        Compare the customers with those of the campaign, and add the new ones in one transaction.
        If another process adds some meanwhile, compare them again.
        """
        while True:
            last = self._store.run(self._last) if self._store.exists() else 0
            added = self.compare(allow_same_number=allow_same_number)
            if self._store.change(self._write, last, layout, values):
                return added

    def _last(self, connection: sa.Connection) -> int:
        """Return the position of the newest customer."""
        where = c.campaign == self._store.name
        return connection.scalar(sa.select(sa.func.max(c.position)).where(where)) or 0

    def _write(
        self,
        connection: sa.Connection,
        last: int,
        layout: dict[str, Any],
        values: dict[str, Any],
    ) -> bool:
        """Add the new customers, unless there are others after position *last*."""
        lock(connection, ADDING)  # On PostgreSQL, runs need not wait.
        if self._last(connection) != last:
            return False
        named = {"campaign": self._store.name, "updated_at": self._store.database.now}
        statement = sa.insert(customers).values(named)
        new = enumerate(
            self._file.execute("SELECT data FROM staged WHERE NOT is_known ORDER BY rowid"),
            last + 1,
        )
        while batch := list(islice(new, BATCH)):
            rows = []
            for position, [text] in batch:
                data, cells = json.loads(text)
                rows.append({**json.loads(data), "cells": cells, "position": position, **values})
            connection.execute(statement, rows)
        self._store.set_layout(connection, headers=list(self.headers), **layout)
        return True


def _is_changed(row: Any, text: str) -> bool:
    """Return whether the data of a staged customer differ from those in the campaign."""
    data = json.loads(json.loads(text)[0])
    if row.serial or row.due_at is None:
        del data["due_at"]  # The time of the first attempt is not kept.
    return row.number is not None and any(getattr(row, name) != data[name] for name in data)
