"""One way to call each of the three clients, so that a test runs alike on all of them."""

from __future__ import annotations

import asyncio
from typing import Any

from tenios_ext import AsyncCallback, AsyncTenios, Callback, CallbackStatus, Tenios

NUMBER = "+492214710123"
CONFIG_ID = "CONFIG"

#: Over threads, over asyncio with httpx's own connections, and over asyncio with aiohttp's.
MODES = ["sync", "async", "aiohttp"]


def dial(mode: str, **settings: Any) -> Callback | AsyncCallback:
    """
    Start one callback.

    The access key is taken from the environment: a test that looks for it in tracebacks must not have it in a variable.
    """
    if mode == "sync":
        with Tenios(callback_config_id=CONFIG_ID, **settings) as tenios:
            return tenios.start_callback(NUMBER)

    async def run() -> AsyncCallback:
        async with AsyncTenios(callback_config_id=CONFIG_ID, aiohttp=mode == "aiohttp", **settings) as tenios:
            return await tenios.start_callback(NUMBER)

    return asyncio.run(run())


def ask(mode: str, callback_id: int = 10, **settings: Any) -> CallbackStatus:
    """Ask once how far a callback is."""
    if mode == "sync":
        with Tenios(**settings) as tenios:
            return tenios.callback(callback_id).status()

    async def run() -> CallbackStatus:
        async with AsyncTenios(aiohttp=mode == "aiohttp", **settings) as tenios:
            return await tenios.callback(callback_id).status()

    return asyncio.run(run())
