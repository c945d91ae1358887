"""The conformance vectors, and servers that send their responses."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, NamedTuple

from tenios_ext import AsyncTenios, NotPlacedError, Outcome, OutcomeUnknownError, StatusUnavailableError, Tenios
from tenios_simulator import VirtualClock

from .faults import Fault, FaultServer, drop, in_turn, reset, respond_raw

FOLDER = Path(__file__).resolve().parents[2] / "conformance"
ACCESS_KEY = "CONFORMANCE-KEY"
CALLBACK_CONFIG_ID = "CONFORMANCE-CONFIG"


class Vector(NamedTuple):
    """A conformance vector; ``conformance/README.md`` describes its keys."""

    name: str
    call: dict[str, Any]
    exchanges: list[dict[str, Any]]
    expect: dict[str, Any]

    def fault(self) -> Fault:
        """Return a fault that sends the responses of this vector, then closes further connections."""
        return in_turn(*(_fault(each["response"]) for each in self.exchanges))

    def server(self) -> FaultServer:
        """Return a server that sends the responses of this vector."""
        return FaultServer(self.fault())

    def check_requests(self, server: FaultServer) -> None:
        """Fail unless *server* received exactly the requests of this vector."""
        expected = [each["request"] for each in self.exchanges]
        sent = [
            {"path": path, "body": json.loads(body)} for path, body in zip(server.paths, server.bodies, strict=True)
        ]
        assert sent == expected


def run_vector(mode: str, url: str, call: dict[str, Any]) -> tuple[str, list[str] | None]:
    """Return what our client reports for *call*: the outcome, in the words of the vectors, and the statuses if it has ended."""
    try:
        outcome = _wait(mode, url, call)
    except NotPlacedError:
        return "rejected", None
    except OutcomeUnknownError:
        return "unknown", None
    except StatusUnavailableError:
        return "status_unavailable", None
    word = "connected" if outcome.connected else f"{outcome.failed_party}_failed"
    return word, [str(change.status) for change in outcome.history]


def _wait(mode: str, url: str, call: dict[str, Any]) -> Outcome:
    settings: dict[str, Any] = {"base_url": url, "clock": VirtualClock()}
    if mode == "sync":
        with Tenios(ACCESS_KEY, CALLBACK_CONFIG_ID, **settings) as tenios:
            return tenios.start_callback(**call).wait()

    async def run() -> Outcome:
        async with AsyncTenios(ACCESS_KEY, CALLBACK_CONFIG_ID, aiohttp=mode == "aiohttp", **settings) as tenios:
            return await (await tenios.start_callback(**call)).wait()

    return asyncio.run(run())


def vectors() -> list[Vector]:
    """Return the vectors of all files."""
    return [
        Vector(**vector)
        for path in sorted(FOLDER.glob("*.json"))
        for vector in json.loads(path.read_text(encoding="utf-8")).get("vectors", ())
    ]


def _fault(response: dict[str, Any]) -> Fault:
    if "disconnect" in response:
        return reset if response["disconnect"] == "reset" else drop
    body = json.dumps(response["body"]) if "body" in response else response.get("text", "")
    headers = [f"{name}: {value}" for name, value in response["headers"].items()]
    return respond_raw(f"{response['status']} Reason", body.encode(), *headers)
