"""The generated client against Prism as a mock server, which knows only the contract."""

from __future__ import annotations

import asyncio
import copy
import json
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
import pytest
import schemathesis
import tenios_client
import yaml
from hypothesis import settings
from schemathesis import GenerationMode
from support.prism import ROOT
from tenios_client.api.callback import get_callback_status, init_callback
from tenios_client.models import CallbackError, CallbackStatusRequest, InitCallbackRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.prism import Prism
    from tenios_client.types import Response

CONTRACT = yaml.safe_load((ROOT / "openapi.yaml").read_text())
MODELS: dict[str, Any] = {
    "/callback/init": (init_callback, InitCallbackRequest),
    "/callback/status": (get_callback_status, CallbackStatusRequest),
}


def resolved(node: dict[str, Any]) -> dict[str, Any]:
    """Return *node* or the target of its ``$ref``."""
    for name in node.get("$ref", "#/").removeprefix("#/").split("/") if "$ref" in node else ():
        node = node[name] if name in node else CONTRACT[name]
    return node


class Case(NamedTuple):
    """An example in the contract: a request, or a response with an HTTP status."""

    path: str
    method: str
    status: int
    name: str
    value: dict[str, Any]


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in CONTRACT["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def examples_of(node: dict[str, Any]) -> dict[str, Any]:
    examples: dict[str, Any] = resolved(node)["content"]["application/json"]["examples"]
    return {name: resolved(example)["value"] for name, example in examples.items()}


REQUESTS = [
    Case(path, method, 200, name, value)
    for path, method, operation in operations()
    for name, value in examples_of(operation["requestBody"]).items()
]
RESPONSES = [
    Case(path, method, int(status), name, value)
    for path, method, operation in operations()
    for status, response in operation["responses"].items()
    if status != "default"
    for name, value in examples_of(response).items()
]


def send(
    mode: str, case: Case, body: dict[str, Any], client: tenios_client.Client
) -> Response[Any]:
    """Send *body* with the generated client, sync or async."""
    module, model = MODELS[case.path]
    if mode == "sync":
        with client:
            response: Response[Any] = module.sync_detailed(
                client=client, body=model.from_dict(body)
            )
        return response

    async def run() -> Response[Any]:
        async with client:
            response: Response[Any] = await module.asyncio_detailed(
                client=client, body=model.from_dict(body)
            )
            return response

    return asyncio.run(run())


def label(case: Case) -> str:
    return f"{case.path.rpartition('/')[2]}-{case.status}-{case.name}"


@pytest.mark.parametrize("case", RESPONSES, ids=label)
def test_generated_client_parses_every_example_response(case: Case, prism: Prism) -> None:
    headers = {"Prefer": f"code={case.status}, example={case.name}"}
    client = tenios_client.Client(
        base_url=prism.url, headers=headers, httpx_args={"trust_env": False}
    )
    request = next(each.value for each in REQUESTS if each.path == case.path)
    response = send("sync", case, request, client)
    assert response.status_code == case.status
    assert response.parsed is not None
    assert response.parsed.to_dict() == case.value
    assert isinstance(response.parsed, CallbackError) == (case.status != 200)


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("case", REQUESTS, ids=label)
def test_generated_client_sends_exactly_the_example_request(
    mode: str, case: Case, prism: Prism
) -> None:
    recorded: list[httpx.Request] = []

    async def record_async(request: httpx.Request) -> None:
        recorded.append(request)

    hook = recorded.append if mode == "sync" else record_async
    httpx_args = {"event_hooks": {"request": [hook]}, "trust_env": False}
    client = tenios_client.Client(base_url=prism.url, httpx_args=httpx_args)
    response = send(mode, case, case.value, client)
    assert response.status_code == 200
    [request] = recorded
    assert (request.method.lower(), request.url.path) == (case.method, case.path)
    assert request.headers["Content-Type"] == "application/json"
    assert json.loads(request.content) == case.value


def broken_requests() -> Iterator[Any]:
    """Yield requests that each violate the contract in one way."""
    init, status = (next(r for r in REQUESTS if r.path == path) for path in MODELS)
    for good in (init, status):
        for field in good.value:
            body = copy.deepcopy(good.value)
            del body[field]
            yield pytest.param(good.path, body, id=f"{label(good)} without {field}")
        for field, value in [("access_key", ""), ("access_key", 1), ("extra", "x")]:
            yield pytest.param(
                good.path, {**good.value, field: value}, id=f"{label(good)} {field}={value!r}"
            )
    wrong: list[tuple[str, object]] = [
        ("callback_number", n) for n in ("0221 4710123", "+49", "+0123456789", "", 49221, None)
    ]
    wrong += [
        ("delay", -1),
        ("delay", 1.5),
        ("delay", "0"),
        ("delay", None),
        ("callback_config_id", ""),
    ]
    wrong += [("dtmf_key_to_trigger_customer_call", k) for k in ("", "12", "A", 1, None)]
    wrong += [("agent_announcement", ""), ("agent_announcement", 1), ("agent_announcement", None)]
    for field, value in wrong:
        yield pytest.param(init.path, {**init.value, field: value}, id=f"init {field}={value!r}")
    for value in ("10", -1, 1.5, None, ""):
        yield pytest.param(status.path, {**status.value, "id": value}, id=f"status id={value!r}")


@pytest.mark.parametrize(("path", "body"), list(broken_requests()))
def test_request_that_breaks_the_contract_is_refused(
    path: str, body: dict[str, Any], prism: Prism
) -> None:
    response = httpx.post(prism.url + path, json=body, trust_env=False)
    assert response.status_code == 400, response.text


@pytest.mark.parametrize("path", MODELS)
def test_get_is_refused(path: str, prism: Prism) -> None:
    assert httpx.get(prism.url + path, trust_env=False).status_code == 405


def test_unknown_path_is_refused(prism: Prism) -> None:
    assert httpx.post(prism.url + "/callback/cancel", json={}, trust_env=False).status_code == 404


PHP = {"access_key": "k", "callback_config_id": "c", "callback_number": "+492214710123", "delay": 0}
JAVA = {**PHP, "delay": "0"}


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        pytest.param("/callback/init", PHP, 200, id="PHP init"),
        pytest.param("/callback/status", {"access_key": "k", "id": 10}, 200, id="PHP status"),
        # The contract requires numbers. The simulator also accepts the strings that the Java client
        # sends, as TENIOS does.
        pytest.param("/callback/init", JAVA, 400, id="Java init"),
        pytest.param("/callback/status", {"access_key": "k", "id": "10"}, 400, id="Java status"),
    ],
)
def test_request_bodies_of_official_clients(
    path: str, body: dict[str, Any], status: int, prism: Prism
) -> None:
    assert httpx.post(prism.url + path, json=body, trust_env=False).status_code == status


SCHEMA = schemathesis.openapi.from_path(ROOT / "openapi.yaml")
# Prism hangs on a body that is not JSON. The tests of the simulator send such bodies.
SCHEMA.config.generation.update(modes=[GenerationMode.POSITIVE])
# Prism's 405 responses have no Allow header.
SCHEMA.config.phases.coverage.unexpected_methods = set()
# Prism runs on JavaScript, where larger integers are not exact.
_LARGEST_EXACT_INTEGER = 2**53 - 1


@SCHEMA.parametrize()
@settings(max_examples=50, deadline=None)
def test_prism_accepts_what_schemathesis_generates_from_the_contract(
    prism: Prism, case: Any
) -> None:
    """
    Every generated request gets a documented response, so the contract does not contradict itself.
    """
    if isinstance(case.body, dict) and case.body.get("id", 0) > _LARGEST_EXACT_INTEGER:
        case.body["id"] = 10
    case.call_and_validate(base_url=prism.url)
