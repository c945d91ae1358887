"""The public class of a campaign."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, TextIO

from attrs import asdict

import tenios_ext
from tenios_ext import Clock, ConfigurationError
from tenios_ext.ledger import Ledger
from tenios_ext.shared import requires_extra

from ._csv import CustomerFile
from ._hours import machine_zone
from ._models import MAX_NAME, Options, check_name, ignore, to_seconds
from ._results import write_results
from ._rules import ANSWER_TIMEOUT, END_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import timedelta

    from tenios_ext import AsyncTenios

    from ._hours import OpeningHours
    from ._models import (
        Added,
        CampaignEntry,
        CampaignState,
        CampaignSummary,
        Customer,
        RowProblem,
    )

RETRY_AFTER = 600.0
AGENT_RETRY_AFTER = 60.0
#: The states that :meth:`Campaign.retry` accepts.
_RETRIED = ("rejected", "customer_failed", "agent_failed", "cancelled")


class Campaign:
    """
    A list of customers to call, in the database of a ledger.

    Each attempt has its own key in the ledger, such as ``spring/order-4711/1``.

    Args:
        ledger: The ledger.
        name: The campaign's name: 1 to 30 printable characters without a slash. Campaigns in one
            database have separate customers, limits and pauses, but no two of them call a number
            at the same time.
        clock: Replaces the clocks of the database and the system in tests.

    Attributes:
        ledger: The ledger.

    Raises:
        ConfigurationError: *ledger* is not a Ledger, or another release has changed the tables.
        LedgerUnavailableError: The database cannot be used.
        ValueError: *name* is invalid.
    """

    def __init__(
        self, ledger: Ledger, name: str = "default", *, clock: Clock | None = None
    ) -> None:
        if not isinstance(ledger, Ledger):
            raise ConfigurationError(f"ledger must be a Ledger, got {type(ledger).__name__}.")
        check_name(name, what="name", longest=MAX_NAME)
        if "/" in name:
            raise ValueError(f"name must not contain a slash, got {name!r}.")
        from ._store import Store  # imports SQLAlchemy, which is slow

        self.ledger = ledger
        self._store = Store(ledger, name, clock)
        self._clock = clock

    @property
    def name(self) -> str:
        """The campaign's name."""
        return self._store.name

    def exists(self) -> bool:
        """
        Return whether customers were added or limits were set.

        Raises:
            LedgerUnavailableError: The database cannot be used.
        """
        return self._store.exists() and self._store.run(self._store.settings) is not None

    def add(
        self,
        customers: Iterable[Customer | RowProblem],
        *,
        attempts: int = 1,
        retry_after: float | timedelta = RETRY_AFTER,
        agent_retry_after: float | timedelta = AGENT_RETRY_AFTER,
        allow_same_number: bool = False,
        dry_run: bool = False,
    ) -> Added:
        """
        Add customers, also during a run. Keys that are already in the campaign are skipped.

        All customers are checked before the first one is added. All are added, or none.

        Args:
            customers: The customers, such as those of :func:`read_customers`.
            attempts: Maximum attempts for each customer.
            retry_after: Seconds to wait after an attempt that did not reach the customer.
            agent_retry_after: Seconds to wait after an attempt that did not reach an agent.
            allow_same_number: Whether to add new keys with a number that the campaign already has.
                Both are called, one after the other.
            dry_run: Check the customers and return the result without adding them.

        Raises:
            InvalidRowsError: Rows are invalid, or the campaign has a key with another number.
            LedgerUnavailableError: The database cannot be used.
            SameNumberError: New keys have a number that the campaign already has.
            ValueError: An argument is invalid.
        """
        if type(attempts) is not int or attempts < 1:
            raise ValueError(f"attempts must be a whole number greater than 0, got {attempts!r}.")
        values: dict[str, Any] = {
            "max_attempts": attempts,
            "retry_after": to_seconds(retry_after, "retry_after"),
            "agent_retry_after": to_seconds(agent_retry_after, "agent_retry_after"),
        }
        from ._stage import Stage  # imports SQLAlchemy

        stage = Stage(self._store)
        try:
            stage.read(customers)
            if dry_run:
                return stage.compare(allow_same_number=allow_same_number)
            layout: dict[str, Any] = {}
            if isinstance(customers, CustomerFile):
                layout["columns"] = json.dumps(customers.columns)
                layout["delimiter"] = customers.delimiter
            return stage.add(allow_same_number=allow_same_number, layout=layout, values=values)
        finally:
            stage.close()

    def set(
        self,
        *,
        max_active: int | None = None,
        max_starts_per_minute: float | None = None,
        hours: OpeningHours | None = None,
        replace: bool = True,
    ) -> None:
        """
        Set limits, which apply to all processes together, also during a run. None changes nothing.

        Args:
            max_active: Maximum callbacks in progress, such as the number of agents. A callback with
                an unknown outcome or end counts as long as its phones may be in use.
            max_starts_per_minute: Maximum rate of starts, evenly spread; infinity for no limit.
            hours: When callbacks may be started.
            replace: Whether to replace limits that are already set. If False, other values than
                these raise ValueError.

        Raises:
            LedgerUnavailableError: The database cannot be used.
            ValueError: A limit is invalid, or is already set to another value.
        """
        if max_active is not None and (type(max_active) is not int or max_active < 1):
            raise ValueError(
                f"max_active must be a whole number greater than 0, got {max_active!r}."
            )
        if max_starts_per_minute is not None and not max_starts_per_minute > 0:
            raise ValueError(
                f"max_starts_per_minute must be greater than 0, got {max_starts_per_minute!r}."
            )
        if hours is not None:
            hours.is_open(0.0)  # raises if the holidays do not exist
        values = {
            "max_active": max_active,
            "gap": max_starts_per_minute and 60 / max_starts_per_minute,
            "hours": hours and json.dumps(asdict(hours)),
        }
        values = {name: value for name, value in values.items() if value is not None}
        self._store.change(self._store.limit, replace=replace, **values)

    async def run(
        self,
        tenios: AsyncTenios,
        *,
        answer_timeout: float = ANSWER_TIMEOUT,
        end_timeout: float = END_TIMEOUT,
        max_unknown: int | None = None,
        on_update: Callable[[CampaignEntry], None] | None = None,
        on_wait: Callable[[str], None] | None = None,
        stop: asyncio.Event | None = None,
    ) -> CampaignSummary:
        """
        Call the customers and follow their callbacks until none is waiting. Return the summary.

        If the run is cancelled, callbacks continue, and the next run follows them. It first waits
        for the responses to callbacks that it is just starting; cancel it again to skip this.

        After three similar failures in a row, starts pause. Then one callback at a time is tried,
        after growing pauses.

        Args:
            tenios: The client, with the same ledger as the campaign.
            answer_timeout: Seconds after the delay in which agent and customer must answer. Later,
                the outcome counts as unknown.
            end_timeout: Seconds after the delay in which a call is followed. Later, its end may not
                be seen, and it counts as in progress until 4 hours after the delay.
            max_unknown: Number of unknown outcomes that ends the run; None for no limit.
            on_update: Called with an entry whenever its state or the status of its callback has
                changed.
            on_wait: Called with a reason whenever no callback can be started, such as a pause,
                the opening hours or failures. The reason may be empty.
            stop: When set, no more callbacks are started, and the run ends after those in progress.

        Raises:
            ConfigurationError: *tenios* has another ledger, ``max_active`` is not set, or the
                campaign has run on a simulator and *tenios* uses TENIOS, or vice versa.
            NotPlacedError: TENIOS rejects all callbacks because of the credentials or the base
                URL. No customer is rejected.
            StatusUnavailableError: TENIOS rejects all status requests for the same reason.
            ValueError: An argument is invalid.
        """
        options = Options(
            answer_timeout=to_seconds(answer_timeout, "answer_timeout"),
            end_timeout=to_seconds(end_timeout, "end_timeout"),
            max_unknown=max_unknown,
            on_update=on_update or ignore,
            on_wait=on_wait or ignore,
            stop=stop or asyncio.Event(),
        )
        await self._run(tenios, options)
        return await asyncio.to_thread(self.summary)

    async def work(
        self,
        tenios: AsyncTenios,
        *,
        answer_timeout: float = ANSWER_TIMEOUT,
        end_timeout: float = END_TIMEOUT,
        max_unknown: int | None = None,
        on_update: Callable[[CampaignEntry], None] | None = None,
        on_wait: Callable[[str], None] | None = None,
    ) -> None:
        """
        Call the customers together with workers on other machines, until cancelled. Needs
        PostgreSQL.

        When a worker ends, others follow its callbacks; if it was killed, after half a minute.

        Args:
            tenios: As for :meth:`run`.
            answer_timeout: As for :meth:`run`.
            end_timeout: As for :meth:`run`.
            max_unknown: Number of unknown outcomes that ends the worker; None for no limit.
            on_update: As for :meth:`run`, for changes that this worker has made or seen.
            on_wait: As for :meth:`run`.

        Raises:
            ConfigurationError: As for :meth:`run`, or the ledger is not in PostgreSQL.
            NotPlacedError: As for :meth:`run`.
            StatusUnavailableError: As for :meth:`run`.
            ValueError: An argument is invalid.
        """
        with requires_extra("campaign", ConfigurationError):
            from ._worker import Queue  # imports procrastinate
        options = Options(
            answer_timeout=to_seconds(answer_timeout, "answer_timeout"),
            end_timeout=to_seconds(end_timeout, "end_timeout"),
            max_unknown=max_unknown,
            on_update=on_update or ignore,
            on_wait=on_wait or ignore,
            queue=Queue(self.ledger, self.name),
        )
        await self._run(tenios, options)

    async def _run(self, tenios: AsyncTenios, options: Options) -> None:
        if not isinstance(tenios, tenios_ext.AsyncTenios):
            raise ConfigurationError(f"tenios must be AsyncTenios, got {type(tenios).__name__}.")
        if tenios.ledger is not self.ledger:
            raise ConfigurationError(
                "tenios must have the same ledger as the campaign: AsyncTenios(ledger=ledger)."
            )
        from tenios_ext.shared import SYSTEM_CLOCK

        from ._attempts import Attempts
        from ._following import Following
        from ._run import Run
        from ._tasks import Tasks

        attempts = Attempts(self._store)
        tasks = Tasks(self._store, self._clock or SYSTEM_CLOCK)
        following = Following(attempts, tasks, tenios, options)
        await Run(attempts, tasks, following, options).run()

    def summary(self) -> CampaignSummary:
        """
        Return the number of customers in each state.

        Raises:
            LedgerUnavailableError: The database cannot be used.
        """
        summary: CampaignSummary = self._store.run(self._store.summary)
        return summary

    def entries(self) -> Iterator[CampaignEntry]:
        """
        Yield all entries in the order in which they were added.

        Raises:
            LedgerUnavailableError: The database cannot be used.
        """
        return self._store.pages()

    def export(self, file: TextIO, *, zone: str | None = None) -> None:
        """
        Write the results as CSV: the columns of the customers' file and those of the results.

        Args:
            file: The file, opened with ``newline=""``.
            zone: Time zone of all times; None for that of the opening hours, else this machine's.

        Raises:
            LedgerUnavailableError: The database cannot be used.
        """
        settings = self._store.run(self._store.settings)
        hours = self.summary().hours
        write_results(
            file,
            self.entries(),
            zone=zone or (hours and hours.zone) or machine_zone() or "UTC",
            delimiter=settings.delimiter if settings else ",",
            headers=json.loads(settings.headers) if settings else [],
            columns=json.loads(settings.columns) if settings else {},
        )

    def pause(self) -> None:
        """
        Stop new callbacks in all processes until :meth:`resume`. Those in progress continue.

        Raises:
            LedgerUnavailableError: The database cannot be used.
        """
        self._store.change(self._store.set, is_paused=True)

    def resume(self) -> None:
        """
        Start callbacks again.

        Raises:
            LedgerUnavailableError: The database cannot be used.
        """
        self._store.change(self._store.set, is_paused=False)

    def cancel(self, key: str) -> None:
        """
        Cancel a customer who is waiting.

        Raises:
            LedgerUnavailableError: The database cannot be used.
            LookupError: The campaign does not have this key.
            ValueError: The customer is not waiting, or was erased.
        """
        self._store.change(self._store.move, key, ["waiting"], result="cancelled")

    def retry(self, *keys: str, state: CampaignState | None = None) -> int:
        """
        Retry customers who were rejected, cancelled or not reached. Each of them gets at least one
        more attempt. Return their number.

        Args:
            keys: The keys of these customers.
            state: Also retry all customers in this state.

        Raises:
            LedgerUnavailableError: The database cannot be used.
            LookupError: The campaign does not have one of the keys.
            ValueError: A customer was erased or is in another state. If it is ``unknown``, use
                :meth:`.Ledger.resolve`.
        """
        if state is not None and state not in _RETRIED:
            raise ValueError(f"state must be one of {', '.join(_RETRIED)}, got {state!r}.")
        return int(self._store.change(self._store.retry, keys, state, _RETRIED))

    def forget(self, *, older_than: timedelta) -> int:
        """
        Erase the numbers, announcements, errors and cells of customers that have not changed for
        this time, also in the ledger. Cancel those who are waiting. Return their number.

        Raises:
            LedgerUnavailableError: The database cannot be used.
            ValueError: *older_than* is negative.
        """
        seconds = to_seconds(older_than, "older_than")
        return int(self._store.change(self._store.forget, seconds))
