"""Customers, clients and runs of campaigns with the simulator."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, get_args

from attrs import asdict

from tenios_campaign import Campaign, CampaignState, CampaignSummary, Customer
from tenios_ext import AsyncTenios
from tenios_simulator import ACCESS_KEY, CALLBACK_CONFIG_ID, Simulator

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tenios_campaign import OpeningHours
    from tenios_ext.ledger import Ledger
    from tenios_simulator import SimulatedCallback


def customers(count: int) -> list[Customer]:
    """Return customers with the keys order-1, order-2, …."""
    return [Customer(f"order-{number}", f"+49221471{number:04d}") for number in range(1, count + 1)]


def client(simulator: Simulator, ledger: Ledger, **settings: Any) -> AsyncTenios:
    arguments = {"access_key": ACCESS_KEY, "callback_config_id": CALLBACK_CONFIG_ID, **settings}
    return AsyncTenios(
        transport=simulator.transport, clock=simulator.clock, ledger=ledger, **arguments
    )


def run(
    simulator: Simulator,
    ledger: Ledger,
    *,
    name: str = "default",
    settings: dict[str, Any] | None = None,
    max_active: int = 5,
    max_starts_per_minute: float | None = None,
    hours: OpeningHours | None = None,
    **options: Any,
) -> CampaignSummary:
    campaign = Campaign(ledger, name, clock=simulator.clock)
    campaign.set(max_active=max_active, max_starts_per_minute=max_starts_per_minute, hours=hours)

    async def run_it() -> CampaignSummary:
        async with client(simulator, ledger, **settings or {}) as tenios, asyncio.timeout(120):
            return await campaign.run(tenios, **options)

    return asyncio.run(run_it())


def counts(summary: CampaignSummary) -> dict[str, int]:
    """Return the number of customers in each state."""
    states = get_args(CampaignState)
    return {name: count for name, count in asdict(summary).items() if name in states and count}


def starts(simulator: Simulator) -> list[float]:
    """Return when the callbacks were started, in seconds since the first."""
    times = [callback.started_at for callback in simulator.callbacks]
    return [each - times[0] for each in times]


def most_in_progress(callbacks: Iterable[SimulatedCallback]) -> int:
    """Return the maximum number of simultaneous callbacks, as the simulator saw them."""
    timelines = [callback.timeline for callback in callbacks]
    changes = [change for each in timelines for change in ((each[0][0], 1), (each[-1][0], -1))]
    most = current = 0
    for _, change in sorted(changes):
        current += change
        most = max(most, current)
    return most
