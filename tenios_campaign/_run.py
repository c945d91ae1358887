"""One run of a campaign, which starts its callbacks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from attrs import define, evolve, field

from tenios_ext import (
    BadCredentialsError,
    BlockedNumberError,
    ConfigurationError,
    InvalidArgumentError,
    NotPlacedError,
    NumberInUseError,
    OutcomeUnknownError,
    RejectedError,
)

from ._following import LOOK, TOO_MANY_REQUESTS, is_for_all, is_of_gateway
from ._rules import FIRST_PAUSE, TROUBLE, decide, ending
from ._store import to_entry
from ._tables import lock
from ._tasks import DATABASE_PAUSE

if TYPE_CHECKING:
    import sqlalchemy as sa

    from tenios_ext import TeniosError

    from ._attempts import Attempts
    from ._following import Following
    from ._models import Options
    from ._rules import Decision, Facts, Row
    from ._tasks import Tasks

#: Other processes follow an attempt after this time (seconds).
_ORPHANED = 30.0
_MOMENT = 0.01
#: Others come first for this time after a gateway has rejected the request for a customer.
_POISONED = 60.0


class _NotNowError(Exception):
    """The attempt may no longer be started."""


@define(eq=False)
class Run:
    """See :meth:`Campaign.run`."""

    attempts: Attempts
    tasks: Tasks
    following: Following
    options: Options
    _starting: dict[str, asyncio.Future[None]] = field(factory=dict, init=False)  # by attempt
    _next_look: float = field(default=0.0, init=False)
    _has_looked: bool = field(default=False, init=False)
    _search: asyncio.Future[None] | None = field(default=None, init=False)  # for ends

    async def run(self) -> None:
        """Run until all customers were called."""
        self.tasks.start(self.following.run())
        self.tasks.start(self.options.stop.wait())
        try:
            await self.tasks.change(self._check_kind)
            if self.options.queue is None:  # A user may have removed the cause of failures.
                await self.tasks.change(self.attempts.store.set, blocked_until=0.0)
            else:
                self.tasks.start(self.options.queue.serve(self.following.job, self._orphans))
            while await self._step():
                pass
        finally:
            self.tasks.is_closing = True
            try:
                if self._starting:  # Their outcomes would be unknown.
                    await asyncio.wait(self._starting.values())
            finally:
                await self.tasks.close()

    def _check_kind(self, connection: sa.Connection) -> None:
        """Raise ConfigurationError if a practice run and real calls would be mixed."""
        store = self.attempts.store
        settings = store.settings(connection)
        is_simulated = not self.following.tenios.settings.base_url.startswith("https://")
        if settings is None or settings.max_active is None:
            raise ConfigurationError(
                f"The campaign {store.name!r} needs a limit for callbacks in progress. Set one "
                "with campaign.set(max_active=5), or --max-active 5."
            )
        if settings.is_simulated == is_simulated:
            return
        if self.attempts.exist(connection):
            was, use = ("TENIOS", "a simulator") if is_simulated else ("a simulator", "TENIOS")
            raise ConfigurationError(
                f"The campaign {store.name!r} has run on {was}, so it cannot run on {use}. Add "
                "the file to a campaign in another ledger: `tenios campaign add FILE --ledger URL`."
            )
        store.set(connection, is_simulated=is_simulated)

    async def _step(self) -> bool:
        """Start a callback, or wait until one may be started. Return whether to continue."""
        if self.tasks.failure is not None:
            raise self.tasks.failure
        await self._look()
        facts, decision = await self.tasks.read(self._decide)
        if decision.action == "start":
            if facts.row.next_key in self._starting:  # The claim is not committed yet.
                await asyncio.sleep(_MOMENT)
            else:
                await self._begin(facts.row)
            return True
        self.options.on_wait(decision.reason)
        last = {"drain"} if self.options.queue else {"drain", "done"}
        is_busy = self._starting or self.following or self.tasks.failure
        if decision.action in last and not is_busy:
            return False
        await self.tasks.sleep(min(max(decision.until - facts.now, 0.0), LOOK))
        return True

    def _decide(self, connection: sa.Connection, row: Row | None = None) -> tuple[Facts, Decision]:
        facts = self.attempts.facts(
            connection,
            row,
            max_unknown=self.options.max_unknown,
            is_stopping=self.options.stop.is_set(),
        )
        return facts, decide(facts)

    async def _look(self) -> None:
        """Close attempts that have ended, and follow those that no process may be following."""
        now = self.tasks.clock.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + LOOK
        busy: list[Row] = []
        now, rows = await self._lost_rows(also_young=not self._has_looked)
        for row in rows:
            if ending(row, 0.0) is not None:
                await self.following.record(str(row.attempt_key))
            elif row.is_given_up:
                busy += [row] if row.busy_until > now else []
            elif row.ledger_state == "placed" and self.options.queue is None:
                self.following.watch(row)
        if busy and (self._search is None or self._search.done()):
            self._search = self.tasks.start(self.following.look_for_ends(busy))
        self._has_looked = True

    async def _lost_rows(self, *, also_young: bool = False) -> tuple[float, list[Row]]:
        """Return the time, and the customers of attempts that no process may be following."""
        known = self.following.keys()  # before and after, because some end meanwhile
        now, rows = await self.tasks.change(self.attempts.open_rows)
        known |= {*self._starting, *self.following.keys()}
        return now, [
            row
            for row in rows
            if row.attempt_key not in known
            and (also_young or not 0 <= now - row.claimed_at < _ORPHANED)
        ]

    async def _orphans(self) -> list[str]:
        """Return the keys of attempts that no worker may be following."""
        _, rows = await self._lost_rows()
        placed = [row for row in rows if row.ledger_state == "placed" and not row.is_given_up]
        return [str(row.attempt_key) for row in placed]

    async def _begin(self, row: Row) -> None:
        """Start a callback. Return when its attempt is claimed, or cannot be."""
        claimed = asyncio.Event()
        task = self.tasks.start(self._start(row, claimed))
        self._starting[row.next_key] = task
        task.add_done_callback(lambda _: self._starting.pop(row.next_key, None))
        task.add_done_callback(lambda _: claimed.set())
        await claimed.wait()

    async def _start(self, row: Row, claimed: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        claims: list[Facts] = []

        def claim(connection: sa.Connection) -> None:
            """Decide again in the transaction that claims the key."""
            lock(connection)
            self._check_kind(connection)
            facts, decision = self._decide(connection, row)
            seconds = self.options.answer_timeout
            if decision.action != "start" or not self.attempts.claim(
                connection, row, facts.now, seconds=seconds
            ):
                raise _NotNowError
            if self.options.queue is not None:
                self.options.queue.defer(connection, row.next_key)
            claims.append(facts)
            loop.call_soon_threadsafe(claimed.set)

        try:
            callback = await self.following.tenios.start_callback(
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
            await self._fail(row, error, claims)
            return
        if not claims:  # Another program has used the key. The next one is taken.
            return
        if claims[0].failures:
            await self.tasks.change(self.attempts.note, None)
        if self.options.queue is None:
            begun = evolve(row, state="ringing", attempt_key=row.next_key, status=None, error=None)
            begun = evolve(begun, attempts=row.attempts + 1, due_at=None)
            self.following.watch(begun, callback.handle)

    async def _fail(self, row: Row, error: TeniosError, claims: list[Facts]) -> None:
        """Handle an error of start_callback. *claims* has the facts of the claim, if any."""
        # The first two undo the claim.
        if isinstance(error, NumberInUseError):
            await self.tasks.change(self.attempts.postpone, row, FIRST_PAUSE)
        elif isinstance(error, InvalidArgumentError | BlockedNumberError):
            await self._refuse(row, error)
        elif not claims:  # The ledger cannot be used. The next read waits for it.
            await asyncio.sleep(DATABASE_PAUSE)
        else:
            is_refused = self._is_refused(row, error)
            is_later = isinstance(error, NotPlacedError) and not is_refused
            pause = max(error.retry_after or 0.0, FIRST_PAUSE if is_later else 0.0)
            await self.tasks.change(self.attempts.note, _signature(error), pause)
            is_foreign = is_of_gateway(error)
            await self.following.record(
                row.next_key,
                rejected=str(error) if is_refused else None,
                pause=_POISONED if is_foreign else 0.0,
            )
            # A gateway may reject one customer only, such as a word in the announcement.
            is_repeated = is_foreign and claims[0].failures + 1 >= TROUBLE
            if is_later and (is_for_all(error) or is_repeated):
                raise error

    async def _refuse(self, row: Row, error: NotPlacedError) -> None:
        """Reject a customer with an invalid argument or a blocked number."""
        if not self._is_refused(row, error):
            raise error
        if isinstance(error, InvalidArgumentError):
            await self.tasks.change(self.attempts.note, _signature(error), 0.0)
        rejected = await self.tasks.change(self.attempts.reject, row, str(error))
        if rejected is not None:
            self.options.on_update(to_entry(rejected))

    def _is_refused(self, row: Row, error: TeniosError) -> bool:
        """Return whether this customer's data were rejected, so that a retry is pointless."""
        default = self.following.tenios.settings.callback_config_id
        if isinstance(error, InvalidArgumentError):
            return bool(row.callback_config_id or default)
        if isinstance(error, BadCredentialsError) and row.callback_config_id is not None:
            return row.callback_config_id != default
        return isinstance(error, BlockedNumberError) or (
            isinstance(error, RejectedError)
            and not is_for_all(error)
            and not is_of_gateway(error)
            and error.http_status != TOO_MANY_REQUESTS
        )


def _signature(error: TeniosError) -> str:
    """Return what similar failures have in common, as shown to users."""
    if isinstance(error, OutcomeUnknownError):
        return "outcomes of callbacks are unknown"
    if error.http_status is not None:
        return (
            f"TENIOS rejected callbacks with {error.http_status} {error.error_code or ''}".strip()
        )
    return f"callbacks could not be started ({type(error).__name__})"
