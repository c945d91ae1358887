"""One run of a campaign: starts callbacks one after the other, and follows them to their ends."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from attrs import define, evolve, field

from tenios_ext import (
    BadCredentialsError,
    CallbackHandle,
    CallbackTimeoutError,
    ConfigurationError,
    InvalidArgumentError,
    LedgerUnavailableError,
    NotPlacedError,
    OutcomeUnknownError,
    RejectedError,
    StatusUnavailableError,
    is_final,
)

from ._rules import FIRST_PAUSE, decide, ending
from ._store import lock, lock_holders, to_entry

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine

    import sqlalchemy as sa

    from tenios_ext import AsyncTenios, CallbackStatus, Clock, StatusUpdate, TeniosError

    from ._models import CampaignEntry
    from ._rules import Decision, Facts, Row
    from ._store import Store
    from ._worker import Queue

#: How often the database is looked at for what other processes have done (seconds).
_LOOK = 2.0
#: An attempt that began so long ago is also followed by other processes (seconds).
_ORPHANED = 30.0
#: The pause after the database could not be used (seconds).
_DATABASE_PAUSE = 1.0
_TOO_MANY_REQUESTS = 429
#: Responses that mean that the base URL is not TENIOS's.
_NOT_THERE = {404, 405}

logger = logging.getLogger("tenios_campaign")


class _NotNowError(Exception):
    """An attempt may not begin any more."""


@define(eq=False)
class Run:
    """
    See :meth:`Campaign.run`.

    Args:
        queue: Gives attempts to workers; None for a run, which follows them itself.
    """

    store: Store
    tenios: AsyncTenios
    clock: Clock
    answer_timeout: float
    end_timeout: float
    on_update: Callable[[CampaignEntry], None] = field(default=lambda _: None)
    on_wait: Callable[[str], None] = field(default=lambda _: None)
    stop: asyncio.Event = field(factory=asyncio.Event)
    max_unknown: int | None = None
    queue: Queue | None = None
    _wake: asyncio.Event = field(factory=asyncio.Event, init=False)
    _placed: asyncio.Queue[CallbackHandle] = field(factory=asyncio.Queue, init=False)
    _starting: dict[str, asyncio.Task[None]] = field(factory=dict, init=False)  # by attempt
    _following: dict[int, Row] = field(factory=dict, init=False)  # by callback
    _ended: dict[str, asyncio.Event] = field(factory=dict, init=False)  # by attempt, for jobs
    _tasks: set[asyncio.Future[Any]] = field(factory=set, init=False)
    _calls: set[asyncio.Future[Any]] = field(factory=set, init=False)  # of the database
    # Those of the application may all be waiting for something.
    _threads: ThreadPoolExecutor = field(
        factory=partial(ThreadPoolExecutor, 4, "tenios-campaign"), init=False
    )
    _failure: BaseException | None = field(default=None, init=False)
    _next_look: float = field(default=0.0, init=False)
    _has_looked: bool = field(default=False, init=False)
    _is_closing: bool = field(default=False, init=False)
    _is_database_away: bool = field(default=False, init=False)

    async def run(self) -> None:
        """Run until there is nothing to do any more."""
        self._spawn(self._follow())
        self._spawn(self.stop.wait())
        try:
            await self._db(self.store.change, self._check_kind)
            if self.queue is not None:
                self._spawn(self.queue.serve(self))
            while await self._step():
                pass
        finally:
            await self._close()

    def _check_kind(self, connection: sa.Connection) -> None:
        """Keep a practice run from consuming the list. Raises ConfigurationError."""
        settings = self.store.settings(connection)
        is_simulated = not self.tenios.base_url.startswith("https://")
        if settings is None or settings.max_active is None:
            raise ConfigurationError(
                f"The campaign {self.store.name!r} has no limit of callbacks in progress. Set it "
                "first: campaign.set(max_active=5), or --max-active 5."
            )
        if settings.is_simulated is None:
            self.store.set(connection, is_simulated=is_simulated)
        elif settings.is_simulated != is_simulated:
            was, use = (
                ("a simulator", "TENIOS") if settings.is_simulated else ("TENIOS", "a simulator")
            )
            raise ConfigurationError(
                f"The campaign {self.store.name!r} has been run with {was}, so its customers count "
                f"as called. To run it with {use}, add the file to another campaign: "
                f"tenios campaign add FILE --campaign NAME."
            )

    async def _close(self) -> None:
        """Wait for the responses to callbacks that are being started, and end the rest."""
        self._is_closing = True
        try:
            if self._starting:
                await asyncio.wait(self._starting.values())
        finally:
            tasks = [*self._tasks, *self._starting.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.gather(*self._calls, return_exceptions=True)
            self._threads.shutdown(wait=False)

    async def _step(self) -> bool:
        """Start a callback, or wait until that may be possible. Return whether the run goes on."""
        if self._failure is not None:
            raise self._failure
        await self._look()
        facts, decision = await self._db(self.store.run, self._decide)
        if decision.action == "start":
            await self._begin(facts.row)
            return True
        self.on_wait(decision.reason)
        is_done = decision.action == "drain" or (decision.action == "done" and self.queue is None)
        if is_done and not self._starting and not self._following:
            return False
        await self._sleep(min(max(decision.until - facts.now, 0.0), _LOOK))
        return True

    def _decide(self, connection: sa.Connection, row: Row | None = None) -> tuple[Facts, Decision]:
        facts = self.store.facts(
            connection, row, max_unknown=self.max_unknown, is_stopping=self.stop.is_set()
        )
        return facts, decide(facts)

    # Starting.

    async def _begin(self, row: Row) -> None:
        """Start a callback, and return as soon as its attempt is claimed, or cannot be."""
        claimed = asyncio.Event()
        task = asyncio.create_task(self._start(row, claimed))
        self._starting[row.next_key] = task
        task.add_done_callback(self._note)
        task.add_done_callback(lambda _: self._starting.pop(row.next_key, None))
        task.add_done_callback(lambda _: claimed.set())
        await claimed.wait()

    async def _start(self, row: Row, claimed: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        claims: list[Facts] = []

        def claim(connection: sa.Connection) -> None:
            """Decide again, with what is true now, in the transaction that claims the key."""
            lock(connection)
            facts, decision = self._decide(connection, row)
            if decision.action != "start" or not self.store.claim(
                connection, row, facts.now, seconds=self.answer_timeout
            ):
                raise _NotNowError
            if self.queue is not None:
                self.queue.defer(connection, row.next_key)
            claims.append(facts)
            loop.call_soon_threadsafe(claimed.set)

        try:
            callback = await self.tenios.start_callback(
                cast("str", row.number),
                delay=row.delay,
                agent_announcement=row.agent_announcement,
                callback_config_id=row.callback_config_id,
                key=row.next_key,
                on_claim=claim,
            )
        except _NotNowError:
            return
        except (NotPlacedError, OutcomeUnknownError) as error:
            if claims:
                await self._fail(row, error)
            elif isinstance(error, InvalidArgumentError):
                await self._refuse(row, error)
            else:  # The ledger cannot be used, as the next look at it will say.
                await asyncio.sleep(_DATABASE_PAUSE)
            return
        if claims and claims[0].failures:
            await self._db(self.store.change, self.store.note, None)
        if self.queue is None:
            attempt = evolve(
                row,
                state="ringing",
                attempt_key=row.next_key,
                attempts=row.attempts + 1,
                due_at=None,
                status=None,
                error=None,
            )
            self._watch(attempt, callback.handle)

    async def _fail(self, row: Row, error: TeniosError) -> None:
        """Deal with an attempt whose callback was not placed, or may have been."""
        is_refused = self._is_refused(row, error)
        is_later = isinstance(error, NotPlacedError) and not is_refused
        pause = max(error.retry_after or 0.0, FIRST_PAUSE if is_later else 0.0)
        await self._db(self.store.change, self.store.note, _signature(error), pause)
        await self._record(row.next_key, rejected=str(error) if is_refused else None)
        if is_later and (isinstance(error, InvalidArgumentError) or _is_for_all(error)):
            raise error

    async def _refuse(self, row: Row, error: InvalidArgumentError) -> None:
        """Deal with an argument that the client does not accept."""
        if not self._is_refused(row, error):
            raise error
        await self._db(self.store.change, self.store.note, _signature(error), 0.0)
        rejected = await self._db(self.store.change, self.store.reject, row, str(error))
        if rejected is not None:
            self.on_update(to_entry(rejected))

    def _is_refused(self, row: Row, error: TeniosError) -> bool:
        """
        Whether a callback is refused for what is in its row, and not for how or when it was sent.
        """
        if isinstance(error, InvalidArgumentError):
            return bool(row.callback_config_id or self.tenios.callback_config_id)
        if isinstance(error, BadCredentialsError) and row.callback_config_id is not None:
            return row.callback_config_id != self.tenios.callback_config_id
        return (
            isinstance(error, RejectedError)
            and not _is_for_all(error)
            and error.http_status != _TOO_MANY_REQUESTS
        )

    # Following.

    async def _look(self) -> None:
        """Deal with attempts that have ended, and follow those that nobody may be following."""
        if self.clock.monotonic() < self._next_look:
            return
        self._next_look = self.clock.monotonic() + _LOOK
        for row in await self._lost_rows(also_young=not self._has_looked):
            if ending(row, 0.0) is not None:
                await self._record(str(row.attempt_key))
            elif row.ledger_state == "placed" and self.queue is None:
                self._watch(row, _handle(row))
        self._has_looked = True

    async def _lost_rows(self, *, also_young: bool = False) -> list[Row]:
        """Return the customers of attempts that this process does not follow, nor maybe others."""
        now, rows = await self._db(self.store.change, self.store.open_rows)
        known = {*self._starting, *(row.attempt_key for row in self._following.values())}
        return [
            row
            for row in rows
            if row.attempt_key not in known
            and (also_young or not 0 <= now - row.claimed_at < _ORPHANED)
        ]

    async def orphans(self) -> list[str]:
        """Return the attempts that no worker may be following."""
        rows = await self._lost_rows()
        return [str(row.attempt_key) for row in rows if row.ledger_state == "placed"]

    async def follow(self, key: str) -> None:
        """Follow an attempt to its end, as the job of a worker."""
        while row := await self._db(self.store.run, self.store.attempt, key):
            if row.ledger_state == "dialling":
                await asyncio.sleep(_LOOK)
            elif row.ledger_state != "placed":
                return  # Whoever has sent the request deals with it, or finds it later.
            elif ending(row, 0.0) is not None:
                await self._record(key)
            else:
                ended = self._ended.setdefault(key, asyncio.Event())
                self._watch(row, _handle(row))
                await ended.wait()

    def _watch(self, row: Row, handle: CallbackHandle) -> None:
        if handle.id not in self._following:
            self._following[handle.id] = row
            self._placed.put_nowait(handle)
            self._show(row, handle)

    def _show(self, row: Row, handle: CallbackHandle, status: CallbackStatus | None = None) -> None:
        entry = to_entry(row)
        self.on_update(evolve(entry, callback_id=handle.id, status=status or entry.status))

    async def _follow(self) -> None:
        async def handles() -> AsyncIterator[CallbackHandle]:
            while True:
                yield await self._placed.get()

        updates = self.tenios.watch_many(
            handles(), answer_timeout=self.answer_timeout, end_timeout=self.end_timeout
        )
        async with aclosing(cast("AsyncGenerator[StatusUpdate]", updates)):
            async for update in updates:
                await self._see(update)

    async def _see(self, update: StatusUpdate) -> None:
        """Record what was seen of a callback."""
        outcome, error = update.outcome, update.error
        row = self._following[outcome.handle.id]
        key = str(row.attempt_key)
        seen = {str(each.status): each.observed_at for each in outcome.history}
        answered = seen.get("CONNECTED", row.answered_at)
        if error is None:
            if not outcome.ended and answered == row.answered_at:
                self._show(row, outcome.handle, outcome.status)
                return
            changed = await self._record(
                key,
                is_over=outcome.ended,
                status=str(outcome.status),
                answered=answered,
                ended=outcome.history[-1].observed_at if outcome.ended else None,
            )
            if changed is not None and not outcome.ended:
                self._following[outcome.handle.id] = changed
        elif isinstance(error, CallbackTimeoutError) and not outcome.connected:
            self._spawn(self._look_again(key, outcome.handle, error))
        elif not isinstance(error, CallbackTimeoutError | StatusUnavailableError) or _is_for_all(
            error
        ):
            raise error
        else:
            await self._record(key, answered=answered, lost=str(error))

    async def _look_again(
        self, key: str, handle: CallbackHandle, error: CallbackTimeoutError
    ) -> None:
        """
        Give up a callback that was not answered in time, unless that was not seen because TENIOS
        did not respond.
        """
        try:
            status = await self.tenios.callback(handle).status()
        except StatusUnavailableError:
            self._placed.put_nowait(handle)
            return
        lost = None if is_final(status) else str(error)
        await self._record(key, status=str(status), lost=lost)

    async def _record(self, key: str, *, is_over: bool = True, **seen: Any) -> Row | None:
        """
        Record what was seen of an attempt; let go of it if it is over. Return its customer, unless
        that was done before.
        """
        row: Row | None = await self._db(self.store.change, self.store.record, key, **seen)
        if is_over:
            for number in [n for n, each in self._following.items() if each.attempt_key == key]:
                del self._following[number]
            if ended := self._ended.pop(key, None):
                ended.set()
            self._wake.set()
        if row is not None:
            self.on_update(to_entry(row))
        return row

    # Waiting.

    async def _db(self, work: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """
        Return what *work* returns in a thread. While the database cannot be used, it is tried
        again.

        What is being done when the run ends is done to its end, so that the ledger can be closed
        then.
        """
        while True:
            try:
                call = in_thread(self._threads, partial(work, *arguments, **named))
                result = await asyncio.shield(self._keep(call, self._calls))
            except LedgerUnavailableError as error:
                if self._is_closing:
                    raise
                if not self._is_database_away:  # Else each attempt would say it, every second.
                    holders = lock_holders(str(self.store.database.url.database))
                    who = f" Process {holders[0]} has it locked." if holders else ""
                    logger.warning("%s%s It is tried again.", error, who)
                self._is_database_away = True
            else:
                self._is_database_away = False
                return result
            await asyncio.sleep(_DATABASE_PAUSE)

    def _keep(
        self, task: asyncio.Future[Any], tasks: set[asyncio.Future[Any]]
    ) -> asyncio.Future[Any]:
        def forget(_: object) -> None:
            tasks.discard(task)
            if not task.cancelled():
                task.exception()  # Else asyncio would report one that nobody waits for any more.

        tasks.add(task)
        task.add_done_callback(forget)
        return task

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        self._keep(asyncio.create_task(work), self._tasks).add_done_callback(self._note)

    def _note(self, task: asyncio.Future[Any]) -> None:
        """Take note of an error, which ends the run."""
        error = None if task.cancelled() else task.exception()
        self._failure = self._failure or error
        self._wake.set()

    async def _sleep(self, seconds: float) -> None:
        """Wait until something has happened, but no longer than *seconds*."""

        def ring(_: object) -> None:
            self._wake.set()

        timer = asyncio.create_task(self.clock.async_sleep(seconds))
        timer.add_done_callback(ring)
        try:
            await self._wake.wait()
            self._wake.clear()
        finally:
            timer.remove_done_callback(ring)
            timer.cancel()


def in_thread(threads: ThreadPoolExecutor, work: Callable[[], Any]) -> asyncio.Future[Any]:
    """Return what *work* will return in one of the threads."""
    return asyncio.get_running_loop().run_in_executor(threads, work)


def _handle(row: Row) -> CallbackHandle:
    return CallbackHandle(
        int(cast("str", row.callback_id)), delay=row.delay, started_at=cast("float", row.started_at)
    )


def _signature(error: TeniosError) -> str:
    """Return what failures that look alike have in common."""
    if isinstance(error, OutcomeUnknownError):
        return "the outcomes of callbacks are unknown"
    if error.http_status is not None:
        return f"TENIOS refused callbacks with {error.http_status} {error.error_code or ''}".strip()
    return f"callbacks were not sent ({type(error).__name__})"


def _is_for_all(error: Exception) -> bool:
    """
    Whether TENIOS refuses each request: because of the credentials, or because something else is at
    the base URL.
    """
    if isinstance(error, BadCredentialsError) or getattr(error, "credentials_refused", False):
        return True
    return getattr(error, "http_status", None) in _NOT_THERE
