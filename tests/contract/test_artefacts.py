"""The files that are derived from the contract, and from possible future contracts."""

from __future__ import annotations

import copy
import json
import runpy
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
import yaml
from openapi_spec_validator import validate
from support.faults import FaultServer, respond
from support.prism import ROOT, prism_proxy
from support.vectors import VectorServer, run_vector, vectors

if TYPE_CHECKING:
    from pathlib import Path

artefacts = runpy.run_path(str(ROOT / "scripts/artefacts.py"))["artefacts"]
WORKFLOW = (ROOT / "callback.arazzo.yaml").read_text(encoding="utf-8")
OPENAPI = ("openapi.json", "openapi-3.0.json")
#: A different operation: inline body and response, no example, link or default response, and
#: another operation on its path.
MAKECALL: dict[str, Any] = {
    "summary": "Start a call",
    "parameters": [{"name": "dry", "in": "query", "schema": {"type": "boolean"}}],
    "post": {
        "operationId": "makeCall",
        "requestBody": {
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "properties": {
                            "access_key": {"$ref": "#/components/schemas/AccessKey"},
                            "destination_number": {"type": "string", "example": "+493023125100"},
                        },
                    }
                }
            }
        },
        "responses": {
            "200": {
                "description": "The call was started.",
                "content": {"application/json": {"schema": {"type": "object"}}},
            }
        },
    },
    "get": {"operationId": "listCalls", "responses": {"204": {"description": "None."}}},
}


def made_from(contract: dict[str, Any]) -> dict[str, Any]:
    """Return the parsed JSON files that are derived from a contract."""
    files = artefacts(yaml.safe_dump(contract), WORKFLOW)
    return {name: json.loads(text) for name, text in files.items() if name.endswith(".json")}


def postman_bodies(contract: dict[str, Any]) -> dict[str, str]:
    items = made_from(contract)["callback.postman_collection.json"]["item"]
    return {
        f"{item['request']['method']} {item['request']['url']}": item["request"]
        .get("body", {})
        .get("raw", "")
        for item in items
    }


def test_postman_collection_calls_at_once(contract: dict[str, Any]) -> None:
    collection = made_from(contract)["callback.postman_collection.json"]
    variables = {each["key"]: each["value"] for each in collection["variable"]}
    assert variables["delay"] == "0"
    [init, _] = postman_bodies(contract).values()
    assert '"delay": {{delay}}' in init


def test_another_operation_is_in_each_file(contract: dict[str, Any]) -> None:
    changed = copy.deepcopy(contract)
    changed["paths"]["/makecall"] = copy.deepcopy(MAKECALL)
    files = made_from(changed)
    for name in OPENAPI:
        validate(files[name])
        assert set(files[name]["paths"]["/makecall"]["post"]["responses"]) == {"200"}
    bodies = postman_bodies(changed)
    assert json.loads(bodies["POST {{base_url}}/makecall"]) == {
        "access_key": "{{access_key}}",
        "destination_number": "+493023125100",
    }
    assert bodies["GET {{base_url}}/makecall"] == ""


def test_small_document_is_enough() -> None:
    """Without components, licence and summary."""
    document = {
        "openapi": "3.1.0",
        "info": {"title": "Small", "version": "1"},
        "servers": [{"url": "http://127.0.0.1:8311"}],
        "paths": {"/makecall": {"get": MAKECALL["get"]}},
    }
    files = made_from(document)
    for name in OPENAPI:
        validate(files[name])


@pytest.fixture(params=["openapi.yaml", *OPENAPI])
def file(request: pytest.FixtureRequest, contract: dict[str, Any], tmp_path: Path) -> Path:
    """Each API description in the wheel."""
    path: Path = tmp_path / request.param
    document = contract if path.suffix == ".yaml" else made_from(contract)[path.name]
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def test_new_status_passes_through_prism(file: Path) -> None:
    [vector] = [each for each in vectors() if each.name == "no other status is final"]
    with VectorServer(vector.exchanges) as server, prism_proxy(file, server.url) as prism:
        [(outcome, statuses)] = run_vector("sync", prism.url, vector)
        assert "violation" not in prism.log().lower()  # It also responds with an error to one.
    assert (outcome, statuses) == ("connected", vector.parts[0].expect["statuses"])


def test_new_status_is_valid_for_schemathesis(file: Path) -> None:
    operation = schemathesis.openapi.from_path(file)["/callback/status"]["POST"]
    case = operation.Case(body={"access_key": "KEY", "id": 10})
    for status, is_valid in (("QUEUED_A", True), (7, False)):
        with FaultServer(respond("200 OK", {"status": status})) as server:
            response = case.call(base_url=server.url)
        assert operation.is_valid_response(response) == is_valid
