"""One run of a campaign: starts callbacks one after the other, and follows all of them."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from tenios_ext import (
    BadCredentialsError,
    BlockedNumberError,
    CallbackTimeoutError,
    ConfigurationError,
    InvalidArgumentError,
    LedgerUnavailableError,
    NotPlacedError,
    NotSentError,
    NumberInUseError,
    OutcomeUnknownError,
    RejectedError,
    StatusUnavailableError,
    is_final,
)

from ._entries import attempt_key
from ._models import CampaignEntry, Limits, to_seconds

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine

    from tenios_ext import (
        AsyncTenios,
        CallbackHandle,
        CallbackStatus,
        Clock,
        Outcome,
        StatusUpdate,
        TeniosError,
    )
    from tenios_ext.ledger import Ledger

    from ._entries import Claim, Entries
    from ._hours import OpeningHours
    from ._models import CampaignState, CampaignSummary

Result = TypeVar("Result")

#: How often the database is looked at for what other processes have done (seconds).
_LOOK = 2.0
#: The pause after a callback could not be sent, or TENIOS was too busy (seconds).
_PAUSE = 5.0
#: An attempt that began so long ago is also followed by other processes that run (seconds).
_ORPHANED = 30.0
#: The pause after the database could not be used (seconds).
_DATABASE_PAUSE = 1.0
_TOO_MANY_REQUESTS = 429
#: Responses that mean that the base URL is not TENIOS's.
_NOT_THERE = {404, 405}

logger = logging.getLogger("tenios_campaign")


class Run:
    """
    See :meth:`Campaign.run`.

    Attributes:
        ends_when_done: Whether it ends when no entry is waiting or active.
    """

    ends_when_done = True

    def __init__(
        self,
        entries: Entries,
        ledger: Ledger,
        tenios: AsyncTenios,
        clock: Clock,
        *,
        max_active: int,
        max_starts_per_minute: float | None,
        hours: OpeningHours | None,
        answer_timeout: float,
        end_timeout: float,
        on_update: Callable[[CampaignEntry], None] | None,
        stop: asyncio.Event | None = None,
    ) -> None:
        if tenios._ledger is not ledger:  # noqa: SLF001 - else its keys would be recorded where the campaign does not look
            raise ConfigurationError(
                "tenios must have the campaign's ledger: AsyncTenios(ledger=ledger)."
            )
        if max_starts_per_minute is not None and not max_starts_per_minute > 0:
            raise ValueError(
                "max_starts_per_minute must be greater than 0, or None, got "
                f"{max_starts_per_minute!r}."
            )
        gap = 0.0 if max_starts_per_minute is None else 60 / max_starts_per_minute
        self._limits = Limits(max_active, gap)
        self._entries = entries
        self._ledger = ledger
        self._tenios = tenios
        self._clock = clock
        self._hours = hours
        self._answer_timeout = to_seconds(answer_timeout, "answer_timeout")
        self._end_timeout = to_seconds(end_timeout, "end_timeout")
        self._on_update = on_update or (lambda _: None)
        self._stop = stop or asyncio.Event()
        self._wake = asyncio.Event()
        self._placed: asyncio.Queue[CallbackHandle] = asyncio.Queue()
        # of the attempts that this run makes or follows, by their keys in the ledger
        self._rows: dict[str, Any] = {}
        self._followed: dict[CallbackHandle, Any] = {}  # the same, by their callbacks
        self._starts: set[asyncio.Task[None]] = set()
        self._calls: set[asyncio.Future[Any]] = set()  # of the database
        self._failure: BaseException | None = None
        self._not_before = 0.0  # no callback is started earlier
        self._may_start = False
        self._is_closing = self._is_database_away = False

    async def run(self) -> CampaignSummary:
        """Run until no entry is waiting or active."""
        follower, stop = asyncio.create_task(self._follow()), asyncio.create_task(self._stop.wait())
        follower.add_done_callback(self._note)
        stop.add_done_callback(self._ring)
        try:
            await self._db(self._entries.revive)
            await self._prepare()
            while await self._step():
                pass
            return await self._db(self._entries.summary)
        finally:
            await self._close(follower, stop)

    async def _prepare(self) -> None:
        if await self._db(self._entries.has_workers):
            raise ConfigurationError(
                "Workers run this campaign. Stop them first, or leave it to them: tenios campaign "
                "status tells how far they are."
            )
        await self._adopt(also_young=True)

    async def _close(self, *helpers: asyncio.Task[Any]) -> None:
        """Wait for the responses to callbacks that are being started, and end the rest."""
        self._is_closing = True
        try:
            if self._starts:
                await asyncio.wait(self._starts)
        finally:
            tasks = [*helpers, *self._starts]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.gather(*self._calls, return_exceptions=True)

    async def _step(self) -> bool:
        """Begin an attempt, or wait until that may be possible. Return whether the run goes on."""
        if self._failure is not None:
            raise self._failure
        if self._stop.is_set() and not self._rows:
            return False
        if self._stop.is_set() or len(self._rows) >= self._limits.max_active:
            await self._sleep()
            return True
        now = self._clock.now()
        not_before = max(now + self._seconds_closed(now), self._not_before)
        claim = await self._claim(now, is_allowed=not_before <= now)
        self._may_start = not_before <= now and not claim.is_paused
        if claim.row is not None:
            self._begin(claim.row)
            return True
        if claim.is_finished and not self._rows and self.ends_when_done:
            return False
        await self._look()
        await self._sleep(min(max(claim.ready_at, not_before) - now, _LOOK))
        return True

    def _seconds_closed(self, now: float) -> float:
        return 0.0 if self._hours is None else self._hours.seconds_until_open(now)

    async def _claim(self, now: float, *, is_allowed: bool) -> Claim:
        return await self._db(self._entries.claim, now, self._limits, is_allowed=is_allowed)

    async def _look(self) -> None:
        """Look at what other processes have done."""
        await self._adopt()

    async def _adopt(self, *, also_young: bool = False) -> None:
        """Follow the attempts of other processes, too, because these may have died."""
        for row in await self._db(self._entries.active):
            if attempt_key(row) not in self._rows and (also_young or self._is_old(row)):
                self._make(row, self._take_over(row))

    def _is_old(self, row: Any) -> bool:
        """
        Whether the process that began an attempt must have dialled by now; also if its clock is
        ahead of this one.
        """
        return not 0 <= self._clock.now() - row.claimed_at < _ORPHANED

    # Starting.

    def _begin(self, row: Any) -> None:
        self._make(row, self._start(row))

    def _make(self, row: Any, work: Coroutine[Any, Any, None]) -> None:
        """Let *work* make an attempt, or go on with it."""
        self._rows[attempt_key(row)] = row
        self._spawn(work)

    def _drop(self, row: Any) -> None:
        """Let go of an attempt."""
        key = attempt_key(row)
        # An entry that waits again may have been begun again by now.
        if self._rows.get(key) is row:
            del self._rows[key]
        self._ring()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._starts.add(task)
        task.add_done_callback(self._starts.discard)
        task.add_done_callback(self._note)

    async def _start(self, row: Any) -> None:
        """Start the callback of a new attempt, and have it followed."""
        self._show(row)
        try:
            callback = await self._tenios.start_callback(
                row.number,
                delay=row.delay,
                agent_announcement=row.agent_announcement,
                callback_config_id=row.callback_config_id,
                key=attempt_key(row),
            )
        except (NotPlacedError, OutcomeUnknownError) as error:
            await self._settle(row, error)
        else:
            self._watch(row, callback.handle)

    async def _take_over(self, row: Any) -> None:
        """
        Go on with an attempt of another process. If that has not dialled yet, and should have, it
        is done with its key.
        """
        record = await self._db(self._ledger.get, attempt_key(row))
        if record is not None and record.state != "not_placed":
            await self._settle(row, None)
        elif self._may_start and self._is_old(row):
            await self._start(row)
        else:
            self._drop(row)

    async def _settle(self, row: Any, error: TeniosError | None) -> None:
        """
        Go by what the ledger says of an attempt, which is the truth if several processes make it.
        """
        while True:
            record = await self._db(self._ledger.get, attempt_key(row))
            if record is None or record.state != "dialling":
                break
            if self._is_closing:
                return
            await self._clock.async_sleep(_LOOK)  # Another process is dialling, or has died.
        if record is not None and record.handle is not None:
            self._watch(row, record.handle)
        elif record is not None and record.state != "not_placed":
            await self._end_unknown(
                row, record.last_error or "The process that dialled recorded no response."
            )
        elif record is not None and isinstance(error, InvalidArgumentError):
            await self._skip_key(row)
        elif self._is_refused(row, error):
            await self._end(row, "rejected", attempts=row.attempts - 1, error=str(error))
        else:
            await self._wait_again(row, error)

    async def _skip_key(self, row: Any) -> None:
        """
        Dial with another key, because the client's callback config id has changed since this one
        was refused.
        """
        skipped = await self._db(self._entries.skip_key, row)
        if skipped is not None:
            self._make(skipped, self._start(skipped))
        self._drop(row)

    def _is_refused(self, row: Any, error: TeniosError | None) -> bool:
        """
        Whether a callback that was not placed is refused for what is in the entry, and not for how
        or when it was sent.
        """
        if isinstance(error, InvalidArgumentError):
            return bool(row.callback_config_id or self._tenios._settings.callback_config_id)  # noqa: SLF001 - or it is that
        return isinstance(error, BlockedNumberError) or (
            isinstance(error, RejectedError)
            and not _is_for_all(error)
            and error.http_status != _TOO_MANY_REQUESTS
        )

    async def _wait_again(self, row: Any, error: TeniosError | None) -> None:
        """
        Let an entry wait again whose callback was not placed. Raises *error* if others would not be
        placed either.
        """
        if isinstance(error, NotSentError | RejectedError):
            self._not_before = self._clock.now() + max(_PAUSE, error.retry_after or 0.0)
        is_in_use = isinstance(error, NumberInUseError)
        due_at = self._clock.now() + _PAUSE if is_in_use else row.due_at
        await self._end(
            row, "waiting", attempts=row.attempts - 1, due_at=due_at, error=error and str(error)
        )
        if error is not None and (isinstance(error, InvalidArgumentError) or _is_for_all(error)):
            raise error

    # Following.

    def _watch(self, row: Any, handle: CallbackHandle) -> None:
        self._followed[handle] = row
        self._placed.put_nowait(handle)
        self._show(row, callback_id=handle.id)

    async def _follow(self) -> None:
        async def handles() -> AsyncIterator[CallbackHandle]:
            while True:
                yield await self._placed.get()

        updates = self._tenios.watch_many(
            handles(), answer_timeout=self._answer_timeout, end_timeout=self._end_timeout
        )
        async with aclosing(cast("AsyncGenerator[StatusUpdate]", updates)):
            async for update in updates:
                outcome = update.outcome
                if update.error is not None:
                    await self._lose(self._followed.pop(outcome.handle), outcome, update.error)
                elif outcome.ended:
                    await self._end_reached(self._followed.pop(outcome.handle), outcome)
                else:
                    row = self._followed[outcome.handle]
                    self._show(row, callback_id=outcome.handle.id, status=update.status)

    async def _end_reached(self, row: Any, outcome: Outcome) -> None:
        """
        Record how a callback has ended; let the entry wait for another attempt if that was not the
        last one.
        """
        if outcome.failed_party is None:
            await self._end(row, "talked")
        elif row.attempts < row.max_attempts:
            pause = row.retry_after if outcome.failed_party == "customer" else row.agent_retry_after
            await self._end(row, "waiting", due_at=self._clock.now() + pause)
        else:
            await self._end(
                row, "customer_failed" if outcome.failed_party == "customer" else "agent_failed"
            )

    async def _lose(self, row: Any, outcome: Outcome, error: Exception) -> None:
        """
        Deal with a callback that is not followed any more. Raises *error* if others could not be
        followed either.
        """
        if isinstance(error, CallbackTimeoutError) and not outcome.connected:
            self._spawn(self._look_again(row, outcome.handle, error))
        elif not isinstance(error, CallbackTimeoutError | StatusUnavailableError) or _is_for_all(
            error
        ):
            raise error
        elif outcome.connected:
            await self._end(row, "talked", error=str(error))
        else:
            await self._end_unknown(row, str(error))

    async def _look_again(
        self, row: Any, handle: CallbackHandle, error: CallbackTimeoutError
    ) -> None:
        """
        Give up a callback that was not answered in time, unless that was not seen because TENIOS
        did not respond.
        """
        try:
            is_over = is_final(await self._tenios.callback(handle).status())
        except StatusUnavailableError:
            is_over = True
        if is_over:
            self._watch(row, handle)
        else:
            await self._end_unknown(row, str(error))

    async def _end_unknown(self, row: Any, reason: str) -> None:
        """Record that phones may be ringing, and for how long that is so."""
        seconds = row.delay + self._answer_timeout
        await self._end(row, "unknown", error=reason, busy_until=self._clock.now() + seconds)

    async def _end(self, row: Any, state: CampaignState, **values: Any) -> None:
        entry = await self._db(partial(self._entries.end_attempt, row, state, **values))
        self._drop(row)
        if entry is not None:
            self._on_update(entry)

    def _show(
        self, row: Any, *, callback_id: int | None = None, status: CallbackStatus | None = None
    ) -> None:
        entry = CampaignEntry(
            key=row.key,
            number=row.number,
            state="active",
            attempts=row.attempts,
            due_at=None,
            attempt_key=attempt_key(row),
            callback_id=callback_id,
            status=status,
            error=None,
        )
        self._on_update(entry)

    # Waiting.

    async def _db(self, work: Callable[..., Result], *arguments: Any, **named: Any) -> Result:
        """
        Return what *work* returns in a thread. While the database cannot be used, it is tried
        again.

        What is being done when the run ends is done to its end, so that the ledger can be closed
        then.
        """
        while True:
            try:
                call = asyncio.ensure_future(asyncio.to_thread(work, *arguments, **named))
                self._calls.add(call)
                call.add_done_callback(self._forget)
                result = await asyncio.shield(call)
            except LedgerUnavailableError as error:
                if self._is_closing:
                    raise
                if not self._is_database_away:  # Else each attempt would say it, every second.
                    logger.warning("%s It is tried again.", error)
                self._is_database_away = True
            else:
                self._is_database_away = False
                return result
            await asyncio.sleep(_DATABASE_PAUSE)

    def _forget(self, call: asyncio.Future[Any]) -> None:
        self._calls.discard(call)
        if not call.cancelled():
            call.exception()  # Else asyncio would report one that nobody waits for any more.

    async def _sleep(self, seconds: float | None = None) -> None:
        """Wait until something has happened, but no longer than so many seconds."""
        timer = None
        if seconds is not None:
            timer = asyncio.create_task(self._clock.async_sleep(max(seconds, 0.0)))
            timer.add_done_callback(self._ring)
        try:
            await self._wake.wait()
            self._wake.clear()
        finally:
            if timer is not None:
                timer.remove_done_callback(self._ring)
                timer.cancel()

    def _ring(self, _: object = None) -> None:
        self._wake.set()

    def _note(self, task: asyncio.Task[None]) -> None:
        """Take note of an error, which ends the run."""
        error = None if task.cancelled() else task.exception()
        self._failure = self._failure or error
        self._ring()


def _is_for_all(error: Exception) -> bool:
    """
    Whether TENIOS refuses each request: because of the credentials, or because something else is at
    the base URL.
    """
    if isinstance(error, BadCredentialsError) or getattr(error, "credentials_refused", False):
        return True
    return getattr(error, "http_status", None) in _NOT_THERE
