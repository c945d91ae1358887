"""
This package's client against the conformance vectors, with the server and comparison of
``conformance/run.py``.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from conformance.run import (
    ACCESS_KEY,
    CALLBACK_CONFIG_ID,
    Vector,
    VectorServer,
    expectations,
    request_problems,
    vectors,
)
from tenios_ext import (
    AsyncCallback,
    AsyncTenios,
    Callback,
    NotPlacedError,
    Outcome,
    OutcomeUnknownError,
    StatusUnavailableError,
    Tenios,
)
from tenios_simulator import VirtualClock

__all__ = [
    "ACCESS_KEY",
    "CALLBACK_CONFIG_ID",
    "FOLDER",
    "Vector",
    "VectorServer",
    "expectations",
    "request_problems",
    "run_vector",
    "vectors",
]

FOLDER = Path(__file__).resolve().parents[2] / "conformance"

Reported = tuple[str, list[str] | None]


def run_vector(mode: str, url: str, vector: Vector, **limits: float) -> list[Reported]:
    """
    Return the outcome of each callback in the words of the vectors, and its statuses if it has
    ended.
    """
    settings: dict[str, Any] = {"base_url": url, "clock": VirtualClock(), **limits}
    calls = [part.call for part in vector.parts]
    if mode == "sync":
        with Tenios(ACCESS_KEY, CALLBACK_CONFIG_ID, **settings) as tenios:
            return [_report(tenios, call) for call in calls]

    async def run() -> list[Reported]:
        async with AsyncTenios(
            ACCESS_KEY, CALLBACK_CONFIG_ID, aiohttp=mode == "aiohttp", **settings
        ) as tenios:
            return [await _report_async(tenios, call) for call in calls]

    return asyncio.run(run())


def _report(tenios: Tenios, call: dict[str, Any]) -> Reported:
    try:
        callback: Callback = tenios.start_callback(**call)
        return _words(callback.wait(answer_timeout=None, end_timeout=None))
    except (NotPlacedError, OutcomeUnknownError, StatusUnavailableError) as error:
        return _word(error), None


async def _report_async(tenios: AsyncTenios, call: dict[str, Any]) -> Reported:
    try:
        callback: AsyncCallback = await tenios.start_callback(**call)
        return _words(await callback.wait(answer_timeout=None, end_timeout=None))
    except (NotPlacedError, OutcomeUnknownError, StatusUnavailableError) as error:
        return _word(error), None


def _words(outcome: Outcome) -> Reported:
    word = "connected" if outcome.connected else f"{outcome.failed_party}_failed"
    return word, [str(change.status) for change in outcome.history]


def _word(error: Exception) -> str:
    if isinstance(error, NotPlacedError):
        return "rejected"
    return "unknown" if isinstance(error, OutcomeUnknownError) else "status_unavailable"
