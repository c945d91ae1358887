"""
Prism as a judge: between the real client and the simulator, it knows only the contract, and lets nothing by that breaks it.

What a client is told about a violation is an error of Prism's own, which none of these tests expects; and Prism's log names it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml
from attrs import evolve
from jsonschema_rs import Draft202012Validator
from support.dialling import MODES, NUMBER
from support.faults import FaultServer, drop
from support.prism import ROOT, Prism, prism_proxy
from support.serving import serving
from support.vectors import ACCESS_KEY, CALLBACK_CONFIG_ID, Vector, told, vectors

from tenios_ext import (
    AsyncTenios,
    BadCredentialsError,
    Outcome,
    OutcomeUnknownError,
    StatusUnavailableError,
    Tenios,
)
from tenios_ext.simulator import MAGIC_NUMBERS, Simulator
from tenios_ext.simulator.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tenios_ext.simulator.reply import Reply

CONTRACT = yaml.safe_load((ROOT / "openapi.yaml").read_text())
JOURNEYS = [magic for magic in MAGIC_NUMBERS.values() if not magic.faults and "by hand" not in magic.meaning]


class Judged:
    """A simulator behind Prism; its time is the test's."""

    def __init__(self, simulator: Simulator, prism: Prism) -> None:
        self.simulator = simulator
        self.prism = prism

    def call(self, mode: str, number: str, *, key: str = ACCESS_KEY, **options: Any) -> Outcome:
        """Start a callback and wait for its end."""
        settings: dict[str, Any] = {"base_url": self.prism.url, "clock": self.simulator.clock}
        if mode == "sync":
            with Tenios(key, CALLBACK_CONFIG_ID, **settings) as tenios:
                return tenios.start_callback(number, **options).wait()

        async def run() -> Outcome:
            async with AsyncTenios(key, CALLBACK_CONFIG_ID, aiohttp=mode == "aiohttp", **settings) as tenios:
                return await (await tenios.start_callback(number, **options)).wait()

        return asyncio.run(run())


def judge(simulator: Simulator) -> Iterator[Judged]:
    with serving(simulator) as server, prism_proxy(ROOT / "openapi.yaml", server.address) as prism:
        yield Judged(simulator, prism)


@pytest.fixture(scope="module")
def judged() -> Iterator[Judged]:
    yield from judge(Simulator(accounts={ACCESS_KEY: [CALLBACK_CONFIG_ID]}))


@pytest.fixture(autouse=True)
def _no_violation(request: pytest.FixtureRequest) -> Iterator[None]:
    """No violation is logged, but where a test provokes one."""
    yield
    judged = request.node.funcargs.get("judged")
    if isinstance(judged, Judged):
        assert "violation" not in judged.prism.log().lower()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("magic", JOURNEYS, ids=lambda magic: magic.meaning)
def test_whole_callback_keeps_the_contract(judged: Judged, mode: str, magic: Any) -> None:
    """Each journey, from the dial to its end, on both sides."""
    outcome = judged.call(mode, magic.shown)
    assert outcome.over
    assert outcome.connected == (magic.meaning == "both answer and talk")


@pytest.mark.parametrize("mode", MODES)
def test_every_option_keeps_the_contract(judged: Judged, mode: str) -> None:
    """All that a dial can carry."""
    assert judged.call(mode, NUMBER, delay=30, agent_announcement="Grüße, 你好", dtmf_key="#").connected


@pytest.mark.parametrize("mode", MODES)
def test_refusals_keep_the_contract(judged: Judged, mode: str) -> None:
    """Bad credentials, and an id that does not exist."""
    with pytest.raises(BadCredentialsError):
        judged.call(mode, NUMBER, key="WRONG-KEY")
    with (
        Tenios(ACCESS_KEY, base_url=judged.prism.url, clock=judged.simulator.clock) as tenios,
        pytest.raises(StatusUnavailableError, match="id"),
    ):
        tenios.callback(999_999).status()


def keeps_the_contract(vector: Vector) -> bool:
    """Whether each answer in it is documented, whole, and of the documented shape."""
    return all(_is_documented(each["request"]["path"], each["answer"]) for each in vector.exchanges)


def _is_documented(path: str, answer: dict[str, Any]) -> bool:
    responses = CONTRACT["paths"][path]["post"]["responses"]
    if str(answer.get("status")) not in responses or "body" not in answer:
        return False
    name = responses[str(answer["status"])]["$ref"].rpartition("/")[2]
    reference = CONTRACT["components"]["responses"][name]["content"]["application/json"]["schema"]
    return Draft202012Validator({**reference, "components": CONTRACT["components"]}).is_valid(answer["body"])


KEEPING = [vector for vector in vectors() if keeps_the_contract(vector)]


@pytest.fixture(scope="module")
def relay() -> Iterator[tuple[FaultServer, Prism]]:
    """Prism before a server that plays any vector."""
    with FaultServer(drop) as server, prism_proxy(ROOT / "openapi.yaml", server.url) as prism:
        yield server, prism


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("vector", KEEPING, ids=lambda vector: vector.name)
def test_vectors_keep_the_contract(relay: tuple[FaultServer, Prism], mode: str, vector: Vector) -> None:
    """Prism changes nothing where both sides keep the contract: the client conforms as if it were not there."""
    server, prism = relay
    server.fault = vector.fault()
    server.paths.clear()
    server.bodies.clear()
    assert told(mode, prism.url, vector.call)[0] == vector.expect["outcome"]
    vector.check(server)


class WrongService(Service):
    """Answers with an id that is text, and with a status that the contract does not know."""

    def answer(self, method: str, path: str, body: bytes, *, content_type: str = "application/json") -> Reply:
        """Spoil what was right."""
        reply = super().answer(method, path, body, content_type=content_type)
        return evolve(reply, body={name: f"wrong {value}" for name, value in reply.body.items()})


def test_wrong_simulator_is_caught() -> None:
    """Prism does not hand on what breaks the contract, and the client takes the dial for what it is: unknown."""
    simulator = Simulator(accounts={ACCESS_KEY: [CALLBACK_CONFIG_ID]})
    simulator._service.__class__ = WrongService
    for judged in judge(simulator):
        with pytest.raises(OutcomeUnknownError):
            judged.call("sync", NUMBER)
        assert simulator.dialled == [NUMBER]
        assert judged.prism.logs("violation")


@pytest.mark.parametrize(
    "change",
    [
        {"delay": "0"},
        {"callback_number": "0221"},
        {"colour": "red"},
        {"access_key": ""},
        {"dtmf_key_to_trigger_customer_call": "A"},
    ],
    ids=str,
)
def test_wrong_client_is_caught(change: dict[str, Any]) -> None:
    """Prism does not hand on a request that breaks the contract: the simulator never sees it."""
    simulator = Simulator(accounts={ACCESS_KEY: [CALLBACK_CONFIG_ID]})
    body = {"access_key": ACCESS_KEY, "callback_config_id": CALLBACK_CONFIG_ID, "callback_number": NUMBER, "delay": 0}
    for judged in judge(simulator):
        answer = httpx.post(f"{judged.prism.url}/callback/init", json={**body, **change})
        assert answer.status_code == 422
        assert simulator.asked == []
