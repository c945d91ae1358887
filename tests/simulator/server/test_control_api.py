"""The control API, its OpenAPI document and the page with the contract."""

from __future__ import annotations

from html import unescape
from typing import TYPE_CHECKING, Any, cast

import pytest
from support.clients import NUMBER
from support.raw_http import INIT

from tenios_ext import CallbackStatus
from tenios_simulator import MAGIC_NUMBERS, Scenario, Simulator, _simulator, faults
from tenios_simulator._schema import contract
from tenios_simulator.server._control_api import ControlAPI
from tenios_simulator.server._http import PREFIX, control_document

if TYPE_CHECKING:
    import httpx
    from starlette.routing import Route


def test_actions_lead_callback_to_its_end(http: httpx.Client, simulator: Simulator) -> None:
    assert (
        http.post(f"{PREFIX}/scenarios", json={"name": "manual", "number": NUMBER}).status_code
        == 204
    )
    http.post("/callback/init", json={**INIT, "agent_announcement": "Hello"})
    simulator.clock.sleep(3)
    (callback,) = http.get(f"{PREFIX}/callbacks").json()
    assert (callback["status"], callback["agent_announcement"]) == ("CALLING_A", "Hello")
    assert callback["actions"] == ["agent_answers", "agent_declines", "hang_up"]
    for action, status in [
        ("agent_answers", "CALLING_B"),
        ("customer_answers", "CONNECTED"),
        ("hang_up", "DISCONNECTED"),
    ]:
        performed = http.post(
            f"{PREFIX}/callbacks/{callback['id']}/actions", json={"action": action}
        ).json()
        assert (performed["status"], performed["is_final"]) == (status, action == "hang_up")
    again = http.post(f"{PREFIX}/callbacks/{callback['id']}/actions", json={"action": "hang_up"})
    assert (again.status_code, again.json()["error_code"]) == (409, "IMPOSSIBLE_ACTION")
    (request,) = http.get(f"{PREFIX}/requests").json()
    assert (request["index"], request["body"]["access_key"]) == (simulator.requests[0].index, "***")
    assert request["response"]["body"] == {"id": callback["id"]}


@pytest.mark.parametrize("callback_id", ["9", "9" * 20, "9" * 5000, "ten", "-1", "1.0", "²"])
def test_action_on_unknown_callback_is_not_found(http: httpx.Client, callback_id: str) -> None:
    response = http.post(f"{PREFIX}/callbacks/{callback_id}/actions", json={"action": "hang_up"})
    assert (response.status_code, response.json()["error_code"]) == (404, "NOT_FOUND")


def test_injected_fault_is_listed_applied_and_cleared(
    http: httpx.Client, simulator: Simulator
) -> None:
    fault = {
        "kind": "http_error",
        "status": 503,
        "retry_after": 2,
        "on": "init",
        "nth": 2,
        "times": 3,
        "number": NUMBER,
    }
    assert http.post(f"{PREFIX}/faults", json=fault).status_code == 204
    assert http.get(f"{PREFIX}/faults").json() == [{**fault, "accepted": False, "probability": 1.0}]
    assert [http.post("/callback/init", json=INIT).status_code for _ in range(5)] == [
        200,
        503,
        503,
        503,
        200,
    ]
    assert http.delete(f"{PREFIX}/faults").status_code == 204
    assert simulator.injections == []


def test_reset_removes_callbacks_requests_and_faults(
    http: httpx.Client, simulator: Simulator
) -> None:
    http.post("/callback/init", json=INIT)
    http.post(f"{PREFIX}/faults", json={"kind": "stale_status"})
    assert http.post(f"{PREFIX}/reset").status_code == 204
    assert (simulator.injections, simulator.callbacks, simulator.requests) == ([], [], [])


@pytest.mark.parametrize(
    ("path", "document", "code", "message"),
    [
        (
            "faults",
            {"kind": "drop", "status": 503},
            "INVALID_VALUE",
            "The field status does not apply to drop. Remove it.",
        ),
        (
            "faults",
            {"kind": "http_error"},
            "INVALID_VALUE",
            "http_error requires the field status.",
        ),
        ("faults", {"kind": "explode"}, "INVALID_VALUE", "Invalid field: kind."),
        ("faults", {"kind": "stale_status", "on": "init"}, "INVALID_VALUE", "StaleStatus"),
        (
            "faults",
            {"kind": "unknown_status", "name": "CONNECTED"},
            "INVALID_VALUE",
            "name must be",
        ),
        ("faults", {"kind": "drop", "when": "init"}, "INVALID_FIELD", "Unknown field: when."),
        (
            "faults",
            {},
            "FIELD_IS_REQUIRED",
            "Missing field: kind. See Fault in /_simulator/openapi.json.",
        ),
        (
            "scenarios",
            {"name": "answered", "after": 3},
            "INVALID_VALUE",
            "The field after does not apply to answered.",
        ),
        ("scenarios", {"name": "random"}, "INVALID_VALUE", "Invalid field: name."),
        (
            "scenarios",
            {"name": "answered", "number": "0221"},
            "INVALID_VALUE",
            "'0221' has no country code.",
        ),
        ("callbacks", {"number": "soon"}, "INVALID_VALUE", "'soon' is not a phone number:"),
        ("callbacks/10/actions", {"action": "shout"}, "INVALID_VALUE", "Invalid field: action."),
    ],
)
def test_invalid_document_is_refused_with_reason(
    http: httpx.Client, path: str, document: dict[str, Any], code: str, message: str
) -> None:
    response = http.post(f"{PREFIX}/{path}", json=document)
    assert (response.status_code, response.json()["error_code"]) == (400, code)
    assert response.json()["error_message"].startswith(message)
    assert [http.get(f"{PREFIX}/{name}").json() for name in ("faults", "callbacks")] == [[], []]


def test_fault_is_refused_if_too_many_are_injected(
    http: httpx.Client, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faults, "_MAX_INJECTIONS", 2)
    responses = [http.post(f"{PREFIX}/faults", json={"kind": "stale_status"}) for _ in range(3)]
    assert [response.status_code for response in responses] == [204, 204, 400]
    assert responses[2].json()["error_code"] == "INVALID_VALUE"
    assert responses[2].json()["error_message"].startswith("2 faults are already injected.")
    assert len(simulator.injections) == 2
    assert http.delete(f"{PREFIX}/faults").status_code == 204
    assert http.post(f"{PREFIX}/faults", json={"kind": "stale_status"}).status_code == 204


def test_scenario_is_refused_if_too_many_numbers_have_one(
    http: httpx.Client, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_simulator, "_MAX_NUMBERS", 2)
    documents = [{"name": "agent_busy", "number": f"{NUMBER[:-1]}{digit}"} for digit in range(3)]
    responses = [http.post(f"{PREFIX}/scenarios", json=document) for document in documents]
    assert [response.status_code for response in responses] == [204, 204, 400]
    assert responses[2].json()["error_code"] == "INVALID_VALUE"
    assert responses[2].json()["error_message"].startswith("2 numbers already have a scenario.")
    for accepted in (documents[0], {"name": "manual"}):  # They do not add a number.
        assert http.post(f"{PREFIX}/scenarios", json=accepted).status_code == 204


def test_magic_numbers_are_listed(http: httpx.Client) -> None:
    assert http.get(f"{PREFIX}/numbers").json() == [
        {"number": number, "display": magic.display, "description": magic.description}
        for number, magic in MAGIC_NUMBERS.items()
    ]


def test_unknown_paths_and_methods_are_refused(http: httpx.Client) -> None:
    assert http.get(f"{PREFIX}/nothing").json()["error_code"] == "NOT_FOUND"
    refused = http.put(f"{PREFIX}/reset")
    assert (refused.status_code, refused.json()["error_code"]) == (405, "METHOD_NOT_ALLOWED")
    assert refused.headers["Allow"] == "POST"


def test_control_document_describes_every_operation() -> None:
    control_api = ControlAPI(Simulator(), allowed_hosts=(), is_stopping=lambda: False)
    operations = {
        (route.path, method.lower())
        for route in cast("list[Route]", control_api._app.routes)
        for method in (route.methods or set()) - {"HEAD"}
    }
    described = {
        (path, method)
        for path, methods in control_document()["paths"].items()
        for method in methods
    }
    names = ("console.css", "console.js", "contract", "contract.yaml", "events", "openapi.json")
    pages = {("/", "get"), *((f"{PREFIX}/{name}", "get") for name in names)}
    assert operations - pages == described


def test_control_document_lists_every_fault_and_scenario() -> None:
    schemas = control_document()["components"]["schemas"]
    assert schemas["FaultKind"]["enum"] == list(faults.KINDS)
    constructors = {
        name for name, member in vars(Scenario).items() if isinstance(member, classmethod)
    }
    assert set(schemas["ScenarioName"]["enum"]) == constructors - {"random"}


def test_contract_page_shows_whole_contract(http: httpx.Client) -> None:
    page = unescape(http.get(f"{PREFIX}/contract").text)
    components = contract()["components"]
    texts = [
        *(f"POST {path}" for path in contract()["paths"]),
        *components["responses"],
        *(
            f"<code>{name}</code>"
            for schema in components["schemas"].values()
            for name in schema.get("properties", ())
        ),
        *(
            example.get("summary", components["examples"]["BadCredentials"]["summary"])
            for part in (components["requestBodies"], components["responses"])
            for component in part.values()
            for example in component["content"]["application/json"]["examples"].values()
        ),
        *CallbackStatus,
    ]
    assert [text for text in texts if text not in page] == []


def test_contract_is_served_as_yaml(http: httpx.Client) -> None:
    assert http.get(f"{PREFIX}/contract.yaml").text.startswith("openapi: 3.1")
