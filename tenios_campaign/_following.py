"""Follows the callbacks of a run."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, cast

from attrs import define, evolve, field

from tenios_ext import (
    BadCredentialsError,
    CallbackHandle,
    CallbackTimeoutError,
    RejectedError,
    StatusUnavailableError,
    is_final,
)

from ._rules import LONGEST_RETRY_AFTER, ending
from ._store import to_entry

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from tenios_ext import AsyncTenios, CallbackStatus, StatusUpdate

    from ._attempts import Attempts
    from ._models import Options
    from ._rules import Row
    from ._tasks import Tasks

#: How often to read changes of other processes from the database (seconds).
LOOK = 2.0
#: The pause between searches for the ends of callbacks that were given up.
_SEARCH = 30.0
#: HTTP statuses of a wrong base URL.
_NOT_THERE = {404, 405}
TOO_MANY_REQUESTS = 429


@define(eq=False)
class Following:
    """The callbacks that a run follows."""

    attempts: Attempts
    tasks: Tasks
    tenios: AsyncTenios
    options: Options
    _placed: asyncio.Queue[CallbackHandle] = field(factory=asyncio.Queue, init=False)
    _rows: dict[int, Row] = field(factory=dict, init=False)  # by callback
    _ended: dict[str, asyncio.Event] = field(factory=dict, init=False)  # by attempt, for jobs

    def __len__(self) -> int:
        return len(self._rows)

    def keys(self) -> set[str | None]:
        """Return the keys of the followed attempts."""
        return {row.attempt_key for row in self._rows.values()}

    async def run(self) -> None:
        """Follow callbacks until cancelled."""

        async def handles() -> AsyncIterator[CallbackHandle]:
            while True:
                yield await self._placed.get()

        updates = self.tenios.watch_many(
            handles(),
            answer_timeout=self.options.answer_timeout,
            end_timeout=self.options.end_timeout,
        )
        async with aclosing(cast("AsyncGenerator[StatusUpdate]", updates)):
            async for update in updates:
                await self._see(update)

    def watch(self, row: Row, handle: CallbackHandle | None = None) -> None:
        """Follow the callback of an attempt; None for the one in the ledger."""
        handle = handle or _handle(row)
        if handle.id not in self._rows:
            self._rows[handle.id] = row
            self._placed.put_nowait(handle)
            self._show(row, handle)

    async def job(self, key: str) -> None:
        """Follow an attempt to its end, as a job of a worker."""
        pause = 0.1
        while row := await self.tasks.read(self.attempts.attempt, key):
            if row.ledger_state == "dialling":
                await asyncio.sleep(pause)
                pause = min(2 * pause, LOOK)
            elif row.ledger_state != "placed" or row.is_given_up:
                return  # The sender closes it, or finds it later.
            elif ending(row, 0.0) is not None:
                await self.record(key)
            else:
                ended = self._ended.setdefault(key, asyncio.Event())
                self.watch(row)
                await ended.wait()

    def _show(self, row: Row, handle: CallbackHandle, status: CallbackStatus | None = None) -> None:
        entry = to_entry(row)
        self.options.on_update(evolve(entry, callback_id=handle.id, status=status or entry.status))

    async def _see(self, update: StatusUpdate) -> None:
        """Record an update of a callback."""
        outcome, error = update.outcome, update.error
        if (row := self._rows.get(outcome.handle.id)) is None:
            return  # A job has already seen its end.
        key = str(row.attempt_key)
        seen = {str(each.status): each.observed_at for each in outcome.history}
        answered = seen.get("CONNECTED", row.answered_at)
        if error is None:
            if not outcome.ended and answered == row.answered_at:
                self._show(row, outcome.handle, outcome.status)
                return
            changed = await self.record(
                key,
                is_over=outcome.ended,
                status=str(outcome.status),
                answered=answered,
                ended=outcome.history[-1].observed_at if outcome.ended else None,
            )
            if changed is not None and not outcome.ended:
                self._rows[outcome.handle.id] = changed
        elif isinstance(error, CallbackTimeoutError) and not outcome.connected:
            self.tasks.start(self._look_again(key, outcome.handle, error))
        elif not isinstance(error, CallbackTimeoutError | StatusUnavailableError) or is_for_all(
            error
        ):
            raise error
        else:
            await self.record(key, answered=answered, lost=str(error))

    async def _look_again(
        self, key: str, handle: CallbackHandle, error: CallbackTimeoutError
    ) -> None:
        """
        Give up a callback that was not answered in time. If TENIOS does not respond, keep following
        it, because it may have been answered.
        """
        try:
            status = await self.tenios.callback(handle).status()
        except StatusUnavailableError:
            self._placed.put_nowait(handle)
            return
        lost = None if is_final(status) else str(error)
        await self.record(key, status=str(status), lost=lost)

    async def look_for_ends(self, rows: list[Row]) -> None:
        """Record the ends of callbacks that were given up, and wait before the next search."""
        pause = _SEARCH
        for row in rows:
            try:
                status = await self.tenios.callback(_handle(row)).status()
            except StatusUnavailableError as error:
                if is_for_all(error):
                    raise
                if error.retry_after:
                    pause = max(pause, error.retry_after)
                    break
                continue
            if is_final(status):
                await self.record(str(row.attempt_key), status=str(status))
        await self.tasks.clock.async_sleep(min(pause, LONGEST_RETRY_AFTER))

    async def record(self, key: str, *, is_over: bool = True, **seen: Any) -> Row | None:
        """
        Record what was seen of an attempt, and stop following it if it is over. Return the customer
        if this has changed it.
        """
        row: Row | None = await self.tasks.change(self.attempts.record, key, **seen)
        if is_over:
            for number in [n for n, each in self._rows.items() if each.attempt_key == key]:
                del self._rows[number]
            if ended := self._ended.pop(key, None):
                ended.set()
            self.tasks.wake()
        if row is not None:
            self.options.on_update(to_entry(row))
        return row


def _handle(row: Row) -> CallbackHandle:
    return CallbackHandle(
        int(cast("str", row.callback_id)), delay=row.delay, started_at=cast("float", row.started_at)
    )


def is_for_all(error: Exception) -> bool:
    """
    Return whether all requests would fail like this, because the credentials or the base URL are
    wrong.
    """
    if isinstance(error, BadCredentialsError) or getattr(error, "credentials_refused", False):
        return True
    return getattr(error, "http_status", None) in _NOT_THERE


def is_of_gateway(error: Exception) -> bool:
    """Return whether a gateway has rejected a request: there is no error code of TENIOS."""
    return (
        isinstance(error, RejectedError)
        and error.error_code is None
        and error.http_status != TOO_MANY_REQUESTS
    )
