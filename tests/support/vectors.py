"""The conformance vectors, and a server that plays its part in one of them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, NamedTuple

from tenios_ext import AsyncTenios, NotPlacedError, Outcome, OutcomeUnknownError, StatusUnavailableError, Tenios
from tenios_ext.simulator import VirtualClock

from .faults import Fault, FaultServer, drop, in_turn, raw, reset

FOLDER = Path(__file__).resolve().parents[2] / "conformance"
ACCESS_KEY = "CONFORMANCE-KEY"
CALLBACK_CONFIG_ID = "CONFORMANCE-CONFIG"


class Vector(NamedTuple):
    """One of the situations in ``conformance/``, whose README says what is in it."""

    name: str
    call: dict[str, Any]
    exchanges: list[dict[str, Any]]
    expect: dict[str, Any]

    def fault(self) -> Fault:
        """Answers as the vector says, and hangs up on whoever asks for more."""
        return in_turn(*(_answer(each["answer"]) for each in self.exchanges))

    def server(self) -> FaultServer:
        """A server that does so."""
        return FaultServer(self.fault())

    def check(self, server: FaultServer) -> None:
        """Fail unless *server* was sent just what the vector says."""
        expected = [each["request"] for each in self.exchanges]
        sent = [
            {"path": path, "body": json.loads(body)} for path, body in zip(server.paths, server.bodies, strict=True)
        ]
        assert sent == expected


def told(mode: str, url: str, call: dict[str, Any]) -> tuple[str, list[str] | None]:
    """What our client tells in the end, in the vectors' words, and which statuses it has seen; its waiting takes no time."""
    try:
        outcome = _follow(mode, url, call)
    except NotPlacedError:
        return "rejected", None
    except OutcomeUnknownError:
        return "unknown", None
    except StatusUnavailableError:
        return "lost_sight", None
    word = "connected" if outcome.connected else f"{outcome.failed_party}_failed"
    return word, [str(sighting.status) for sighting in outcome.sightings]


def _follow(mode: str, url: str, call: dict[str, Any]) -> Outcome:
    settings: dict[str, Any] = {"base_url": url, "clock": VirtualClock()}
    if mode == "sync":
        with Tenios(ACCESS_KEY, CALLBACK_CONFIG_ID, **settings) as tenios:
            return tenios.start_callback(**call).wait()

    async def run() -> Outcome:
        async with AsyncTenios(ACCESS_KEY, CALLBACK_CONFIG_ID, aiohttp=mode == "aiohttp", **settings) as tenios:
            return await (await tenios.start_callback(**call)).wait()

    return asyncio.run(run())


def vectors() -> list[Vector]:
    """All of them."""
    return [
        Vector(**vector)
        for path in sorted(FOLDER.glob("*.json"))
        for vector in json.loads(path.read_text(encoding="utf-8")).get("vectors", ())
    ]


def _answer(answer: dict[str, Any]) -> Fault:
    if "lost" in answer:
        return reset if answer["lost"] == "reset" else drop
    body = json.dumps(answer["body"]) if "body" in answer else answer.get("text", "")
    headers = [f"{name}: {value}" for name, value in answer["headers"].items()]
    return raw(f"{answer['status']} Whatever", body.encode(), *headers)
