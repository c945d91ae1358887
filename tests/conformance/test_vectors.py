"""The vectors that are shared with other languages hold for this client too, and keep the contract."""

from __future__ import annotations

import json

import pytest
import yaml
from jsonschema_rs import Draft202012Validator
from support.dialling import MODES
from support.vectors import FOLDER, Vector, told, vectors

from tenios_ext import CallbackStatus

CONTRACT = yaml.safe_load((FOLDER.parent / "openapi.yaml").read_text())
REQUESTS = {"/callback/init": "InitCallbackRequest", "/callback/status": "CallbackStatusRequest"}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("vector", vectors(), ids=lambda vector: vector.name)
def test_client_conforms(mode: str, vector: Vector) -> None:
    """What goes over the wire, and what is made of what comes back, are what the vector says."""
    with vector.server() as server:
        word, seen = told(mode, server.url, vector.call)
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
