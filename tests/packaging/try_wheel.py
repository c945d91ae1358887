"""A callback from start to end, sync and async, as somebody would try it who has just installed the wheel and its extras."""

import asyncio
import threading

import httpx
import tenios_client

import tenios_ext
from tenios_ext.simulator import Journey, Simulator
from tenios_ext.simulator.server import Server


async def customer_is_not_reached() -> None:
    """Over asyncio."""
    async with Simulator(journey=Journey.customer_does_not_answer()).async_client() as tenios:
        callback = await tenios.start_callback("+49 221 4710123")
        outcome = await callback.wait()
    assert outcome.failed_party == "customer"


def pages_are_served() -> None:
    """The server has its page, its script, its own description and the contract with it."""
    server = Server(Simulator())
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        for path in ("/", "/_simulator/console.js", "/_simulator/openapi.json", "/_simulator/contract"):
            assert httpx.get(server.address + path).is_success, path
        assert httpx.post(f"{server.address}/_simulator/faults", json={"kind": "http_error"}).status_code == 400
        assert (
            httpx.post(f"{server.address}/callback/init", json={"delay": -1}).json()["error_code"]
            == "FIELD_IS_REQUIRED"
        )
    finally:
        server.should_exit = True
        thread.join()


def main() -> None:
    """Run all, and show what ran."""
    pages_are_served()
    with Simulator().client() as tenios:
        seen = list(tenios.start_callback("+49 221 4710123", delay=30).watch())
    assert seen[-1] == tenios_ext.CallbackStatus.DISCONNECTED
    asyncio.run(customer_is_not_reached())
    assert all("site-packages" in (module.__file__ or "") for module in (tenios_client, tenios_ext))


if __name__ == "__main__":
    main()
