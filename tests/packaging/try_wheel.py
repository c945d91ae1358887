"""
Try an installed wheel with its extras: both clients, the ledger, a campaign, the command and the
served simulator.
"""

import asyncio
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import tenios_client

import tenios_campaign
import tenios_cli
import tenios_ext
import tenios_simulator
from tenios_campaign import Campaign, Customer
from tenios_ext import AsyncTenios, CallbackStatus, ConfigurationError
from tenios_ext.ledger import Ledger
from tenios_simulator import ACCESS_KEY, CALLBACK_CONFIG_ID, ScaledClock, Scenario, Simulator
from tenios_simulator.server import Server

NUMBER = "+49 221 4710123"


def main() -> None:
    packages = [tenios_campaign, tenios_cli, tenios_client, tenios_ext, tenios_simulator]
    assert all("site-packages" in (package.__file__ or "") for package in packages)
    with Simulator().client() as tenios:
        assert (
            list(tenios.start_callback(NUMBER, delay=30).watch())[-1] == CallbackStatus.DISCONNECTED
        )
    asyncio.run(watch_a_callback())
    with tempfile.TemporaryDirectory() as folder:
        start_once_per_key(f"sqlite:///{folder}/callbacks.db")
    with serving(Simulator(clock=ScaledClock(100))) as address:
        fetch_pages(address)
        run_command("--help")
        run_command("call", NUMBER, "--simulator", address)
        asyncio.run(call_over_aiohttp(address))
    asyncio.run(run_a_campaign())


async def watch_a_callback() -> None:
    async with Simulator(scenario=Scenario.customer_no_answer()).async_client() as tenios:
        callback = await tenios.start_callback(NUMBER)
        assert (await callback.wait()).failed_party == "customer"


def start_once_per_key(url: str) -> None:
    """Start one callback with two calls, show it with the command, and load PostgreSQL's driver."""
    simulator = Simulator()
    with Ledger(url) as ledger, simulator.client(ledger=ledger) as tenios:
        first, again = (tenios.start_callback(NUMBER, key="order-4711") for _ in range(2))
        assert first.id == again.id
        assert len(simulator.dialled) == 1
        first.wait()
        assert ledger.forget(older_than=timedelta()) == 1
    run_command("ledger", "show", "order-4711", "--ledger", url)
    reason = ""
    try:
        Ledger("postgresql://user@127.0.0.1:1/database")
    except ConfigurationError as error:
        reason = str(error)
    assert "refused" in reason, reason


@contextmanager
def serving(simulator: Simulator) -> Iterator[str]:
    """Yield the address of a served simulator."""
    server = Server(simulator)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.address
    finally:
        server.should_exit = True
        thread.join()


def fetch_pages(address: str) -> None:
    """Fetch the files that the wheel must contain, and send invalid requests to both validators."""
    for path in ("/", "/_simulator/console.js", "/_simulator/openapi.json", "/_simulator/contract"):
        assert httpx.get(address + path).is_success, path
    assert (
        httpx.post(f"{address}/_simulator/faults", json={"kind": "http_error"}).status_code == 400
    )
    assert (
        httpx.post(f"{address}/callback/init", json={"delay": -1}).json()["error_code"]
        == "FIELD_IS_REQUIRED"
    )


def run_command(*arguments: str) -> None:
    """Run `tenios` and check its exit code."""
    subprocess.run(
        [Path(sys.executable).with_name("tenios"), *arguments],
        check=True,
        stdout=subprocess.DEVNULL,
    )


async def call_over_aiohttp(address: str) -> None:
    async with AsyncTenios(
        ACCESS_KEY, CALLBACK_CONFIG_ID, base_url=address, aiohttp=True
    ) as tenios:
        callback = await tenios.start_callback(NUMBER)
        assert (await callback.wait()).connected


async def run_a_campaign() -> None:
    simulator = Simulator()
    with Ledger("sqlite:///campaign.db") as ledger:
        campaign = Campaign(ledger, clock=simulator.clock)
        campaign.add([Customer("1", NUMBER), Customer("2", NUMBER)])
        campaign.set(max_active=1)
        async with AsyncTenios(
            ACCESS_KEY,
            CALLBACK_CONFIG_ID,
            transport=simulator.transport,
            clock=simulator.clock,
            ledger=ledger,
        ) as tenios:
            assert (await campaign.run(tenios)).talked == len(simulator.callbacks)


if __name__ == "__main__":
    main()
