"""
Prism as a validating proxy between client and simulator: both follow the contract.

Prism logs each violation, and responds with an error that no test expects of a correct client.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
import pytest
import yaml
from attrs import evolve
from jsonschema_rs import Draft202012Validator
from support.clients import MODES, NUMBER
from support.prism import ROOT, Prism, prism_proxy
from support.serving import serving
from support.vectors import (
    ACCESS_KEY,
    CALLBACK_CONFIG_ID,
    Vector,
    VectorServer,
    expectations,
    request_problems,
    run_vector,
    vectors,
)

from tenios_ext import (
    AsyncTenios,
    BadCredentialsError,
    Outcome,
    OutcomeUnknownError,
    StatusUnavailableError,
    Tenios,
)
from tenios_simulator import MAGIC_NUMBERS, MagicNumber, Scenario, Simulator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tenios_simulator import Response

CONTRACT = yaml.safe_load((ROOT / "openapi.yaml").read_text())
SCENARIOS = [
    magic
    for magic in MAGIC_NUMBERS.values()
    if not magic.faults and magic.scenario != Scenario.manual()
]
ACCOUNTS = {ACCESS_KEY: [CALLBACK_CONFIG_ID]}


class ProxiedSimulator(NamedTuple):
    """A simulator behind Prism. Clients use its clock."""

    simulator: Simulator
    prism: Prism

    def call(self, mode: str, number: str, *, key: str = ACCESS_KEY, **options: Any) -> Outcome:
        """Start a callback and return its outcome."""
        settings: dict[str, Any] = {"base_url": self.prism.url, "clock": self.simulator.clock}
        if mode == "sync":
            with Tenios(key, CALLBACK_CONFIG_ID, **settings) as tenios:
                return tenios.start_callback(number, **options).wait()

        async def run() -> Outcome:
            async with AsyncTenios(
                key, CALLBACK_CONFIG_ID, aiohttp=mode == "aiohttp", **settings
            ) as tenios:
                return await (await tenios.start_callback(number, **options)).wait()

        return asyncio.run(run())


class ProxiedServer(NamedTuple):
    """A server for any vector, behind Prism."""

    server: VectorServer
    prism: Prism


@contextmanager
def proxied(simulator: Simulator) -> Iterator[ProxiedSimulator]:
    with serving(simulator) as server, prism_proxy(ROOT / "openapi.yaml", server.address) as prism:
        yield ProxiedSimulator(simulator, prism)


@pytest.fixture(scope="module")
def proxied_simulator() -> Iterator[ProxiedSimulator]:
    with proxied(Simulator(accounts=ACCOUNTS)) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def proxied_server() -> Iterator[ProxiedServer]:
    with VectorServer() as server, prism_proxy(ROOT / "openapi.yaml", server.url) as prism:
        yield ProxiedServer(server, prism)


@pytest.fixture(autouse=True)
def _no_violation(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    for name in ("proxied_simulator", "proxied_server"):
        if name in request.node.funcargs:
            assert "violation" not in request.node.funcargs[name].prism.log().lower()


@pytest.mark.parametrize("magic", SCENARIOS, ids=lambda magic: magic.description)
def test_callback_keeps_the_contract_from_init_to_end(
    proxied_simulator: ProxiedSimulator, magic: MagicNumber
) -> None:
    outcome = proxied_simulator.call("sync", magic.display)
    assert outcome.ended
    assert outcome.connected == (magic.scenario.agent.answered and magic.scenario.customer.answered)


@pytest.mark.parametrize("mode", MODES)
def test_init_request_with_all_fields_keeps_the_contract(
    proxied_simulator: ProxiedSimulator, mode: str
) -> None:
    options: dict[str, Any] = {"delay": 30, "agent_announcement": "Grüße, 你好", "dtmf_key": "#"}
    assert proxied_simulator.call(mode, NUMBER, **options).connected


def test_bad_credentials_response_keeps_the_contract(proxied_simulator: ProxiedSimulator) -> None:
    with pytest.raises(BadCredentialsError):
        proxied_simulator.call("sync", NUMBER, key="WRONG-KEY")


def test_unknown_id_response_keeps_the_contract(proxied_simulator: ProxiedSimulator) -> None:
    settings: dict[str, Any] = {
        "base_url": proxied_simulator.prism.url,
        "clock": proxied_simulator.simulator.clock,
    }
    with (
        Tenios(ACCESS_KEY, **settings) as tenios,
        pytest.raises(StatusUnavailableError, match="id"),
    ):
        tenios.callback(999_999).status()


def keeps_the_contract(vector: Vector) -> bool:
    return all(
        _is_documented(each["request"]["path"], each["response"]) for each in vector.exchanges
    )


def _is_documented(path: str, response: dict[str, Any]) -> bool:
    documented = CONTRACT["paths"][path]["post"]["responses"]
    if str(response.get("status")) not in documented or "body" not in response:
        return False
    name = documented[str(response["status"])]["$ref"].rpartition("/")[2]
    reference = CONTRACT["components"]["responses"][name]["content"]["application/json"]["schema"]
    return Draft202012Validator({**reference, "components": CONTRACT["components"]}).is_valid(
        response["body"]
    )


KEEPING = [vector for vector in vectors() if keeps_the_contract(vector)]


@pytest.mark.parametrize("vector", KEEPING, ids=lambda vector: vector.name)
def test_client_conforms_to_vector_through_prism(
    proxied_server: ProxiedServer, vector: Vector
) -> None:
    server, prism = proxied_server
    server.load(vector.exchanges)
    outcomes = [outcome for outcome, _ in run_vector("sync", prism.url, vector)]
    expects, exchanges = expectations(vector, outcomes)
    assert outcomes == [expect["outcome"] for expect in expects]
    assert request_problems(server.requests, exchanges) == []


class IncorrectSimulator(Simulator):
    """Responds with an id that is text, and with an undocumented status."""

    def handle_request(self, *arguments: Any, **options: Any) -> Response:
        response = super().handle_request(*arguments, **options)
        return evolve(
            response, body={name: f"wrong {value}" for name, value in response.body.items()}
        )


@pytest.fixture(scope="module")
def proxied_incorrect_simulator() -> Iterator[ProxiedSimulator]:
    with proxied(IncorrectSimulator(accounts=ACCOUNTS)) as proxy:
        yield proxy


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
def test_prism_does_not_forward_a_request_that_breaks_the_contract(
    proxied_incorrect_simulator: ProxiedSimulator, change: dict[str, Any]
) -> None:
    body = {
        "access_key": ACCESS_KEY,
        "callback_config_id": CALLBACK_CONFIG_ID,
        "callback_number": NUMBER,
        "delay": 0,
    }
    simulator, prism = proxied_incorrect_simulator
    received = len(simulator.requests)
    response = httpx.post(f"{prism.url}/callback/init", json={**body, **change})
    assert response.status_code == 422
    assert len(simulator.requests) == received


def test_prism_detects_a_simulator_that_breaks_the_contract(
    proxied_incorrect_simulator: ProxiedSimulator,
) -> None:
    simulator, prism = proxied_incorrect_simulator
    with pytest.raises(OutcomeUnknownError):
        proxied_incorrect_simulator.call("sync", NUMBER)
    assert simulator.dialled == [NUMBER]
    assert prism.logs("violation")
