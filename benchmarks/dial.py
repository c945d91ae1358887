"""
What one dial costs, over plain HTTP and over TLS: milliseconds of this process's CPU, and from
beginning to end.

A dial never uses a kept connection, so it is compared with an httpx client that keeps none. The
last line is what it would cost over one that was kept. The server is another process on this
machine: over the internet, each round trip is added, and a new connection takes one for TCP and one
for TLS 1.3.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import ssl
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import trustme
from _measure import machine, print_ratios
from _server import serving

from tenios_ext import AsyncTenios, Tenios

if TYPE_CHECKING:
    from collections.abc import Awaitable

ROUNDS = 15
DIALS = 30
PATH = "/callback/init"
NUMBER = "+492214710123"
BODY = {"access_key": "KEY", "callback_config_id": "CONFIG", "callback_number": NUMBER, "delay": 0}
BASE = "httpx, new connection"

Dial = Callable[[], object]


def _http_client(url: str, context: ssl.SSLContext | None) -> Dial:
    address = urlsplit(url)
    assert address.hostname

    def dial() -> object:
        if context is None:
            connection = http.client.HTTPConnection(address.hostname or "", address.port)
        else:
            connection = http.client.HTTPSConnection(
                address.hostname or "", address.port, context=context
            )
        connection.request(
            "POST",
            PATH,
            json.dumps(BODY),
            {"Content-Type": "application/json", "Connection": "close"},
        )
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return answer["id"]

    return dial


def _httpx(url: str, context: ssl.SSLContext | None, *, keep: bool) -> Dial:
    limits = httpx.Limits(max_keepalive_connections=1 if keep else 0)
    client = httpx.Client(base_url=url, verify=context or True, limits=limits, trust_env=False)
    headers = {} if keep else {"Connection": "close"}
    return lambda: client.post(PATH, json=BODY, headers=headers).json()["id"]


def _in_loop(loop: asyncio.AbstractEventLoop, dial: Callable[[], Awaitable[object]]) -> Dial:
    async def once() -> object:
        return await dial()

    return lambda: loop.run_until_complete(once())


def compare(
    url: str, context: ssl.SSLContext | None
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Return the milliseconds of CPU and those of time of one dial, a figure for each round."""
    loop = asyncio.new_event_loop()
    tenios = Tenios("KEY", "CONFIG", base_url=url)
    with_httpx = AsyncTenios("KEY", "CONFIG", base_url=url)
    with_aiohttp = AsyncTenios("KEY", "CONFIG", base_url=url, aiohttp=True)
    dials: dict[str, Dial] = {
        BASE: _httpx(url, context, keep=False),
        "http.client": _http_client(url, context),
        "Tenios": lambda: tenios.start_callback(NUMBER),
        "AsyncTenios": _in_loop(loop, lambda: with_httpx.start_callback(NUMBER)),
        "AsyncTenios(aiohttp=True)": _in_loop(loop, lambda: with_aiohttp.start_callback(NUMBER)),
        "httpx, kept connection": _httpx(url, context, keep=True),
    }
    cpu: dict[str, list[float]] = {name: [] for name in dials}
    wall: dict[str, list[float]] = {name: [] for name in dials}
    for number in range(ROUNDS + 1):
        for name, dial in dials.items():
            began, used = time.perf_counter(), time.process_time()
            for _ in range(DIALS):
                dial()
            if number:  # The first round imports what is needed.
                cpu[name].append((time.process_time() - used) / DIALS * 1000)
                wall[name].append((time.perf_counter() - began) / DIALS * 1000)
    tenios.close()
    for client in (with_httpx, with_aiohttp):
        loop.run_until_complete(client.aclose())
    loop.close()
    return cpu, wall


def main() -> None:
    """Print a table for plain HTTP, and one for TLS."""
    print(machine(), ssl.OPENSSL_VERSION, sep=", ")
    with tempfile.TemporaryDirectory() as folder:
        authority, certificate = Path(folder) / "authority.pem", Path(folder) / "server.pem"
        issuer = trustme.CA()
        issuer.cert_pem.write_to_path(str(authority))
        issuer.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(
            str(certificate)
        )
        os.environ["SSL_CERT_FILE"] = str(authority)
        with serving() as plain, serving(certificate) as tls:
            for title, url, context in (
                ("plain HTTP", plain, None),
                ("TLS", tls, ssl.create_default_context(cafile=authority)),
            ):
                cpu, wall = compare(url, context)
                print(f"\n{title}")
                print_ratios(cpu, BASE, "ms of CPU")
                print_ratios(wall, BASE, "ms")


if __name__ == "__main__":
    main()
