"""The vectors that are shared with other languages hold for this client too, and keep the contract."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
import yaml
from jsonschema_rs import Draft202012Validator
from support.dialling import MODES
from support.vectors import ACCESS_KEY, CALLBACK_CONFIG_ID, FOLDER, Vector, vectors

from tenios_ext import (
    AsyncTenios,
    CallbackStatus,
    NotPlacedError,
    Outcome,
    OutcomeUnknownError,
    StatusUnavailableError,
    Tenios,
)
from tenios_ext.simulator import VirtualClock

CONTRACT = yaml.safe_load((FOLDER.parent / "openapi.yaml").read_text())
REQUESTS = {"/callback/init": "InitCallbackRequest", "/callback/status": "CallbackStatusRequest"}
WORDS = {None: "connected", "agent": "agent_failed", "customer": "customer_failed"}


def follow(mode: str, url: str, call: dict[str, Any]) -> Outcome:
    """Start the callback and wait for its end; waiting takes no time."""
    settings: dict[str, Any] = {"base_url": url, "clock": VirtualClock()}
    if mode == "sync":
        with Tenios(ACCESS_KEY, CALLBACK_CONFIG_ID, **settings) as tenios:
            return tenios.start_callback(**call).wait()

    async def run() -> Outcome:
        async with AsyncTenios(ACCESS_KEY, CALLBACK_CONFIG_ID, aiohttp=mode == "aiohttp", **settings) as tenios:
            return await (await tenios.start_callback(**call)).wait()

    return asyncio.run(run())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("vector", vectors(), ids=lambda vector: vector.name)
def test_client_conforms(mode: str, vector: Vector) -> None:
    """What goes over the wire, and what is made of what comes back, are what the vector says."""
    seen: list[str] | None = None
    with vector.server() as server:
        try:
            outcome = follow(mode, server.url, vector.call)
        except NotPlacedError:
            word = "rejected"
        except OutcomeUnknownError:
            word = "unknown"
        except StatusUnavailableError:
            word = "lost_sight"
        else:
            word = WORDS[outcome.failed_party]
            seen = [str(sighting.status) for sighting in outcome.sightings]
    assert word == vector.expect["outcome"]
    assert seen == vector.expect.get("statuses", seen)
    vector.check(server)


def schema(name: str) -> Draft202012Validator:
    return Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": CONTRACT["components"]})


def test_requests_keep_the_contract() -> None:
    """Nobody is told to send what the contract does not allow."""
    requests = [each["request"] for vector in vectors() for each in vector.exchanges]
    broken = [each for each in requests if not schema(REQUESTS[each["path"]]).is_valid(each["body"])]
    assert broken == []


def test_vectors_keep_their_own_schema() -> None:
    """The files are what their README says that they are."""
    own = Draft202012Validator(json.loads((FOLDER / "vector.schema.json").read_text()))
    for path in ("starting.json", "following.json"):
        errors = [error.message for error in own.iter_errors(json.loads((FOLDER / path).read_text()))]
        assert errors == []


def test_vectors_cover_the_contract() -> None:
    """Each status, each documented error and each documented HTTP status is in one of them; and each name once."""
    answers = [each["answer"] for vector in vectors() for each in vector.exchanges]
    bodies = [answer["body"] for answer in answers if isinstance(answer.get("body"), dict)]
    assert {body["status"] for body in bodies if "status" in body} >= set(CallbackStatus)
    examples = CONTRACT["components"]["responses"]["BadRequest"]["content"]["application/json"]["examples"].values()
    assert {each["value"]["error_code"] for each in examples} <= {body.get("error_code") for body in bodies}
    documented = {int(code) for path in CONTRACT["paths"].values() for code in path["post"]["responses"]}
    assert documented <= {answer.get("status") for answer in answers}
    names = [vector.name for vector in vectors()]
    assert len(names) == len(set(names))
