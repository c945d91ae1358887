"""A campaign: what it contains, and how it is changed."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, TextIO

from attrs import asdict

from tenios_ext import Clock, ConfigurationError
from tenios_ext.ledger import Ledger
from tenios_ext.shared import requires_extra

from ._csv import CustomerFile
from ._hours import machine_zone
from ._models import MAX_NAME, Options, check_name, ignore, to_seconds
from ._results import write_results

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
ANSWER_TIMEOUT = 300.0
END_TIMEOUT = 4 * 3600.0
#: The states from which a customer can be put back.
_RETRIED = ("rejected", "customer_failed", "agent_failed", "cancelled")


class Campaign:
    """
    A list of customers to call back, in a ledger's database.

    Each attempt is recorded in the ledger under a key of its own, such as
    ``spring/order-4711/1``; what the ledger says of it is how it ended.

    Args:
        ledger: The ledger.
        name: The campaign's name: 1 to 30 printable characters without a slash. Campaigns in one
            database have separate customers, limits and pauses, but none of them calls a number
            that another one is calling.
        clock: Replaces the clocks of the database and the system in tests.

    Attributes:
        ledger: The ledger.

    Raises:
        ConfigurationError: *ledger* is not a Ledger, or another release has made the campaign.
        LedgerUnavailableError: The database cannot be used.
        ValueError: *name* is not valid.
    """

    def __init__(
        self, ledger: Ledger, name: str = "default", *, clock: Clock | None = None
    ) -> None:
        if not isinstance(ledger, Ledger):
            raise ConfigurationError(f"ledger must be a Ledger, got {type(ledger).__name__}.")
        check_name(name, what="name", longest=MAX_NAME)
        if "/" in name:
            raise ValueError(f"name must not contain a slash, got {name!r}.")
        from ._store import Store  # imports SQLAlchemy, which takes long

        self.ledger = ledger
        self._store = Store(ledger, name, clock)
        self._clock = clock

    @property
    def name(self) -> str:
        """The campaign's name."""
        return self._store.name

    def exists(self) -> bool:
        """
        Return whether customers were added, or limits set.

        Raises:
            LedgerUnavailableError: The database cannot be used.
        """
        return self._store.run(self._store.settings) is not None

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
        Add customers, also while the campaign runs. Those whose keys are in it already stay as they
        are.

        All are checked before the first is added. They are added in batches: if that is
        interrupted, add them again.

        Args:
            customers: The customers, such as those of :func:`read_customers`.
            attempts: Maximum attempts for each, until the customer has talked to an agent.
            retry_after: Seconds from the end of an attempt in which the customer was not reached to
                the next one.
            agent_retry_after: The same if no agent was reached.
            allow_same_number: Whether a new key may have a number that the campaign knows under
                another key. Both are called, one after the other.
            dry_run: Change nothing, and return what would be done.

        Raises:
            InvalidRowsError: Rows have problems, or a key is known with another number.
            LedgerUnavailableError: The database cannot be used.
            SameNumberError: New keys have numbers that are known under other keys.
            ValueError: An argument is not valid.
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
            added = stage.compare(allow_same_number=allow_same_number)
            if not dry_run:
                layout: dict[str, Any] = {}
                if isinstance(customers, CustomerFile):
                    layout = {
                        "delimiter": customers.delimiter,
                        "headers": json.dumps(customers.headers),
                        "columns": json.dumps(customers.columns),
                    }
                self._store.change(self._store.set, **layout)
                stage.write(**values)
        finally:
            stage.close()
        return added

    def set(
        self,
        *,
        max_active: int | None = None,
        max_starts_per_minute: float | None = None,
        hours: OpeningHours | None = None,
        replace: bool = True,
    ) -> None:
        """
        Set limits, which hold for all processes together and at once. What is None stays as it is.

        Args:
            max_active: Maximum callbacks in progress, such as the number of agents. One whose
                outcome is unknown counts until its phones cannot be ringing any more.
            max_starts_per_minute: Maximum starts in a minute, evenly spread; infinity for no limit.
            hours: When callbacks may be started.
            replace: Whether to replace limits that were set before. If not, other ones are refused.

        Raises:
            LedgerUnavailableError: The database cannot be used.
            ValueError: A limit is not valid, or another one is set.
        """
        if max_active is not None and (type(max_active) is not int or max_active < 1):
            raise ValueError(f"max_active must be a whole number from 1, got {max_active!r}.")
        if max_starts_per_minute is not None and not max_starts_per_minute > 0:
            raise ValueError(
                f"max_starts_per_minute must be greater than 0, got {max_starts_per_minute!r}."
            )
        if hours is not None:
            hours.is_open(0.0)  # Else wrong holidays would be noticed by the run.
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
        Call the customers back and follow each callback, until no customer is waiting. Return the
        summary.

        If it is cancelled, callbacks continue, and the next run follows them. It waits for
        callbacks that are being started, so that their outcome is known; cancel it again to leave
        those as well.

        After three failures in a row that look alike, starts pause, then one at a time is tried
        after a growing pause.

        Args:
            tenios: The client. Its ledger must be that of the campaign.
            answer_timeout: Seconds from the end of the delay until both must have answered.
            end_timeout: Seconds from the end of the delay until the call must have ended.
            max_unknown: How many unknown outcomes end the run; None for no limit.
            on_update: Called with an entry whenever its state, or the status of its callback, has
                changed.
            on_wait: Called with the reason whenever no callback can be started: a pause, the
                opening hours or trouble; an empty text if there is no special reason.
            stop: Once it is set, no callback is started any more, and the run ends when those that
                it follows have ended.

        Raises:
            ConfigurationError: *tenios* has another ledger, ``max_active`` is not set, or the
                campaign's attempts were made on a simulator and this is none, or the reverse.
            NotPlacedError: TENIOS refuses each callback, because of the credentials or the base
                URL. No customer is lost.
            StatusUnavailableError: The same for the statuses.
            ValueError: An argument is not valid.
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
        Call the customers back together with other workers, on any number of machines, until it is
        cancelled. Needs PostgreSQL.

        When a worker ends, the others follow its callbacks; if it was killed, half a minute later.

        Args:
            tenios: See :meth:`run`, as for the others.
            answer_timeout: Seconds from the end of the delay until both must have answered.
            end_timeout: Seconds from the end of the delay until the call must have ended.
            max_unknown: How many unknown outcomes end the worker; None for no limit.
            on_update: Called with an entry whenever this worker has changed it, or seen another
                status of its callback.
            on_wait: As for :meth:`run`.

        Raises:
            ConfigurationError: As for :meth:`run`, or the ledger is not in PostgreSQL.
            NotPlacedError: As for :meth:`run`.
            StatusUnavailableError: As for :meth:`run`.
            ValueError: An argument is not valid.
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
        if tenios.ledger is not self.ledger:
            raise ConfigurationError(
                "tenios must have the campaign's ledger: AsyncTenios(ledger=ledger)."
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
        Return how many customers are in each state.

        Raises:
            LedgerUnavailableError: The database cannot be used.
        """
        summary: CampaignSummary = self._store.run(self._store.summary)
        return summary

    def entries(self) -> Iterator[CampaignEntry]:
        """
        Yield all entries, in the order in which they were added.

        Raises:
            LedgerUnavailableError: The database cannot be used.
        """
        return self._store.pages()

    def export(self, file: TextIO, *, zone: str | None = None) -> None:
        """
        Write the results as CSV: the columns of the file that the customers come from, and how the
        calls went.

        Args:
            file: The file, such as one opened with ``newline=""``.
            zone: The time zone of all times; None for that of the opening hours, else this
                machine's.

        Raises:
            LedgerUnavailableError: The database cannot be used.
        """
        settings = self._store.run(self._store.settings)
        hours = self.summary().hours
        write_results(
            file,
            self.entries(),
            zone=zone or (hours and hours.zone) or machine_zone() or "UTC",
            delimiter=settings.delimiter,
            headers=json.loads(settings.headers),
            columns=json.loads(settings.columns),
        )

    def pause(self) -> None:
        """
        Start no more callbacks, in any process, until :meth:`resume`. Those in progress continue.

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
        Do not call a customer who is waiting for an attempt.

        Raises:
            LedgerUnavailableError: The database cannot be used.
            LookupError: There is no such key.
            ValueError: The customer is not waiting: a phone may be ringing, or it is over.
        """
        self._store.change(self._store.move, key, ["waiting"], result="cancelled", due_at=None)

    def retry(self, *keys: str, state: CampaignState | None = None) -> int:
        """
        Put customers back who were not reached, rejected or cancelled: each gets at least one more
        attempt. Return how many.

        Args:
            keys: Their keys.
            state: All customers in this state.

        Raises:
            LedgerUnavailableError: The database cannot be used.
            LookupError: There is no such key.
            ValueError: One of them is in another state, such as ``unknown``: resolve its attempt in
                the ledger first.
        """
        if state is not None and state not in _RETRIED:
            raise ValueError(f"state must be one of {', '.join(_RETRIED)}, got {state!r}.")
        return int(self._store.change(self._store.retry, keys, state, _RETRIED))

    def forget(self, *, older_than: timedelta) -> int:
        """
        Erase the number, the announcement, the error and the cells of customers that have not
        changed for this long, here and in the ledger. Those that wait are cancelled. Return how
        many.

        Raises:
            LedgerUnavailableError: The database cannot be used.
            ValueError: *older_than* is negative.
        """
        seconds = to_seconds(older_than, "older_than")
        return int(self._store.change(self._store.forget, seconds))
