"""The conformance vectors, and a server that plays its part in one of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

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

    def server(self) -> FaultServer:
        """Answers as the vector says, and hangs up on whoever asks for more."""
        return FaultServer(in_turn(*(_answer(each["answer"]) for each in self.exchanges)))

    def check(self, server: FaultServer) -> None:
        """Fail unless *server* was sent just what the vector says."""
        expected = [each["request"] for each in self.exchanges]
        sent = [
            {"path": path, "body": json.loads(body)} for path, body in zip(server.paths, server.bodies, strict=True)
        ]
        assert sent == expected


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
