"""A callback from start to end, sync and async, as somebody would try it who has just installed the wheel and its extras."""

import asyncio

import tenios_client

import tenios_ext
from tenios_ext.simulator import Journey, Simulator


async def customer_is_not_reached() -> None:
    """Over asyncio."""
    async with Simulator(journey=Journey.customer_does_not_answer()).async_client() as tenios:
        callback = await tenios.start_callback("+49 221 4710123")
        outcome = await callback.wait()
    assert outcome.failed_party == "customer"


def main() -> None:
    """Run both, and show what ran."""
    with Simulator().client() as tenios:
        seen = list(tenios.start_callback("+49 221 4710123", delay=30).watch())
    assert seen[-1] == tenios_ext.CallbackStatus.DISCONNECTED
    asyncio.run(customer_is_not_reached())
    assert all("site-packages" in (module.__file__ or "") for module in (tenios_client, tenios_ext))


if __name__ == "__main__":
    main()
