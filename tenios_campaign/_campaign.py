"""A campaign: what it contains, and how it is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenios_ext import ConfigurationError
from tenios_ext._clock import SYSTEM_CLOCK
from tenios_ext._polling import ANSWER_TIMEOUT, END_TIMEOUT
from tenios_ext.ledger import Ledger

from ._models import to_seconds

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable
    from datetime import timedelta

    from tenios_ext import AsyncTenios, Clock

    from ._hours import OpeningHours
    from ._models import Added, CampaignEntry, CampaignSummary, Customer

RETRY_AFTER = 600.0
AGENT_RETRY_AFTER = 60.0


class Campaign:
    """
    A list of customers to be called back. It is kept in a ledger's database, one campaign in each.

    Args:
        ledger: The ledger, in which each attempt is recorded under a key of its own, such as
            ``order-4711/1``.
        clock: Replaces the system's clock in tests.

    Raises:
        ConfigurationError: *ledger* is not a Ledger, or a later release has made the campaign.
        LedgerUnavailableError: The database cannot be used.
    """

    def __init__(self, ledger: Ledger, *, clock: Clock = SYSTEM_CLOCK) -> None:
        if not isinstance(ledger, Ledger):
            raise ConfigurationError(f"ledger must be a Ledger, got {type(ledger).__name__}.")
        from ._entries import Entries  # imports SQLAlchemy, which takes long

        self._ledger = ledger
        self._entries = Entries(ledger)
        self._clock = clock

    def add(
        self,
        customers: Iterable[Customer],
        *,
        attempts: int = 1,
        retry_after: float | timedelta = RETRY_AFTER,
        agent_retry_after: float | timedelta = AGENT_RETRY_AFTER,
        dry_run: bool = False,
    ) -> Added:
        """
        Add customers, also while the campaign runs. Those whose keys are in it already stay as they
        are.

        Args:
            customers: The customers. Either all are added or, if this raises, none.
            attempts: The most callbacks that are started for each, until the customer has talked to
                an agent.
            retry_after: Seconds from the end of an attempt in which the customer was not reached to
                the next one.
            agent_retry_after: The same if no agent was reached.
            dry_run: Change nothing, and return what would be done.

        Raises:
            LedgerUnavailableError: The database cannot be used.
            ValueError: A key is in the campaign already with another number, or an argument is not
                valid.
        """
        if type(attempts) is not int or attempts < 1:
            raise ValueError(f"attempts must be a whole number greater than 0, got {attempts!r}.")
        return self._entries.add(
            customers,
            dry_run=dry_run,
            max_attempts=attempts,
            retry_after=to_seconds(retry_after, "retry_after"),
            agent_retry_after=to_seconds(agent_retry_after, "agent_retry_after"),
        )

    async def run(
        self,
        tenios: AsyncTenios,
        *,
        max_active: int,
        max_starts_per_minute: float | None = None,
        hours: OpeningHours | None = None,
        answer_timeout: float = ANSWER_TIMEOUT,
        end_timeout: float = END_TIMEOUT,
        on_update: Callable[[CampaignEntry], None] | None = None,
        stop: asyncio.Event | None = None,
    ) -> CampaignSummary:
        """
        Call the customers back and follow each callback, until no customer is waiting. Return the
        summary.

        If it is cancelled, callbacks go on, and the next run follows them. It waits for callbacks
        that are being started, so that their outcome is known; cancel it again to leave those, too.

        Args:
            tenios: The client. Its ledger must be that of the campaign.
            max_active: The most callbacks in progress, such as the number of agents: counted in the
                database, for all processes together. One whose outcome is unknown counts until its
                phones cannot be ringing any more.
            max_starts_per_minute: The most callbacks that all processes together start in a minute,
                evenly spread; None for no limit.
            hours: When callbacks may be started; None for always.
            answer_timeout: Seconds from the end of the delay until both must have answered.
            end_timeout: Seconds from the end of the delay until the call must have ended.
            on_update: Called with an entry whenever its state, or the status of its callback, has
                changed.
            stop: Once it is set, no callback is started any more, and the run ends when those that
                it follows have ended.

        Raises:
            ConfigurationError: *tenios* has another ledger, or workers run this campaign.
            NotPlacedError: TENIOS refuses each callback, because of the credentials or the base
                URL. No entry is lost.
            StatusUnavailableError: The same for the statuses.
            ValueError: An argument is not valid.
        """
        from ._run import Run  # imports asyncio

        run = Run(
            self._entries,
            self._ledger,
            tenios,
            self._clock,
            max_active=max_active,
            max_starts_per_minute=max_starts_per_minute,
            hours=hours,
            answer_timeout=answer_timeout,
            end_timeout=end_timeout,
            on_update=on_update,
            stop=stop,
        )
        return await run.run()

    async def work(
        self,
        tenios: AsyncTenios,
        *,
        max_active: int,
        max_starts_per_minute: float | None = None,
        hours: OpeningHours | None = None,
        answer_timeout: float = ANSWER_TIMEOUT,
        end_timeout: float = END_TIMEOUT,
        on_update: Callable[[CampaignEntry], None] | None = None,
    ) -> None:
        """
        Call the customers back together with other workers, on any number of machines, until it is
        cancelled.

        Needs PostgreSQL. Give each worker the same limits, which hold for all of them together.
        When a worker ends, the others go on with the callbacks that it has followed; if it was
        killed, half a minute later.

        Args:
            tenios: See :meth:`run`, as for the others.
            max_active: The most callbacks in progress, of all workers together.
            max_starts_per_minute: The most callbacks that all workers together start in a minute;
                None for no limit.
            hours: When callbacks may be started; None for always.
            answer_timeout: Seconds from the end of the delay until both must have answered.
            end_timeout: Seconds from the end of the delay until the call must have ended.
            on_update: Called with an entry whenever this worker has changed it, or seen another
                status of its callback.

        Raises:
            ConfigurationError: *tenios* has another ledger, or the ledger is not in PostgreSQL.
            NotPlacedError: As for :meth:`run`.
            StatusUnavailableError: As for :meth:`run`.
            ValueError: An argument is not valid.
        """
        try:
            from ._worker import Worker  # an extra
        except ImportError:
            raise ConfigurationError(
                "Workers need an extra: pip install 'tenios-callback[campaign]'"
            ) from None
        await Worker(
            self._entries,
            self._ledger,
            tenios,
            self._clock,
            max_active=max_active,
            max_starts_per_minute=max_starts_per_minute,
            hours=hours,
            answer_timeout=answer_timeout,
            end_timeout=end_timeout,
            on_update=on_update,
        ).run()

    def summary(self) -> CampaignSummary:
        """
        Return how many customers are in each state.

        Raises:
            LedgerUnavailableError: The database cannot be used.
        """
        return self._entries.summary()

    def entries(self) -> list[CampaignEntry]:
        """
        Return all entries, in the order in which they were added.

        Raises:
            LedgerUnavailableError: The database cannot be used.
        """
        return self._entries.all()

    def pause(self) -> None:
        """
        Start no more callbacks, in any process, until :meth:`resume`. Those in progress go on.

        Raises:
            LedgerUnavailableError: The database cannot be used.
        """
        self._entries.set_paused(is_paused=True)

    def resume(self) -> None:
        """
        Start callbacks again.

        Raises:
            LedgerUnavailableError: The database cannot be used.
        """
        self._entries.set_paused(is_paused=False)

    def cancel(self, key: str) -> None:
        """
        Do not call a customer who is waiting for an attempt.

        Raises:
            LedgerUnavailableError: The database cannot be used.
            LookupError: There is no such key.
            ValueError: The customer is not waiting: a phone may be ringing, or it is over.
        """
        state = self._entries.cancel(key)
        if state is None:
            raise LookupError(f"The campaign has no key {key!r}.")
        if state != "waiting":
            raise ValueError(f"{key!r} is not waiting: its state is {state}. Nothing was changed.")
