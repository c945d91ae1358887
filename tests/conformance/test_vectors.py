"""This package's client passes the vectors, and the vectors follow the contract."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
import yaml
from jsonschema_rs import Draft202012Validator
from support.clients import MODES
from support.vectors import (
    FOLDER,
    Vector,
    VectorServer,
    expectations,
    request_problems,
    run_vector,
    vectors,
)

from tenios_ext import CallbackStatus

if TYPE_CHECKING:
    from pathlib import Path

CONTRACT = yaml.safe_load((FOLDER.parent / "openapi.yaml").read_text())
REQUESTS = {"/callback/init": "InitCallbackRequest", "/callback/status": "CallbackStatusRequest"}


#: Responses with these headers are treated by the HTTP library, as are those that are cut off.
HEADERS = {"Connection", "Content-Length", "Location", "WWW-Authenticate"}


def cases() -> list[Any]:
    """Return each vector once, and with each HTTP library if its responses concern the library."""
    return [
        pytest.param(mode, vector, id=f"{vector.name}-{mode}")
        for vector in vectors()
        if not vector.stalls
        for mode in MODES
        if mode == "sync"
        or any(
            "disconnect" in each["response"] or HEADERS & each["response"]["headers"].keys()
            for each in vector.exchanges
        )
    ]


@pytest.mark.parametrize(("mode", "vector"), cases())
def test_client_conforms_to_vector(mode: str, vector: Vector) -> None:
    check(mode, vector)


def test_client_conforms_to_vectors_of_a_server_that_stalls() -> None:
    """Concurrently, because each client waits until it gives up."""
    stalling = [(mode, vector) for vector in vectors() if vector.stalls for mode in MODES]
    assert stalling
    # The limit for a whole request allows several connection attempts and twice the timeout.
    with (
        mock.patch("tenios_ext._attempt.CONNECT_TIMEOUT", 0.1),
        ThreadPoolExecutor(len(stalling)) as pool,
    ):
        checked = [pool.submit(check, mode, vector, timeout=1.0) for mode, vector in stalling]
    failed = {
        (mode, vector.name): error
        for (mode, vector), each in zip(stalling, checked, strict=True)
        if (error := each.exception())
    }
    assert failed == {}


def check(mode: str, vector: Vector, **limits: float) -> None:
    with VectorServer(vector.exchanges) as server:
        reported = run_vector(mode, server.url, vector, **limits)
    expects, exchanges = expectations(vector, [outcome for outcome, _ in reported])
    assert reported == [
        (expect["outcome"], expect.get("statuses", statuses))
        for expect, (_, statuses) in zip(expects, reported, strict=True)
    ]
    assert request_problems(server.requests, exchanges) == []


def test_requests_of_vectors_match_the_contract() -> None:
    requests = [each["request"] for vector in vectors() for each in vector.exchanges]
    schemas = {
        path: Draft202012Validator(
            {"$ref": f"#/components/schemas/{name}", "components": CONTRACT["components"]}
        )
        for path, name in REQUESTS.items()
    }
    assert [each for each in requests if not schemas[each["path"]].is_valid(each["body"])] == []


@pytest.mark.parametrize("file", sorted(FOLDER.glob("[!v]*.json")), ids=lambda file: file.name)
def test_vector_file_matches_its_schema(file: Path) -> None:
    schema = Draft202012Validator(json.loads((FOLDER / "vector.schema.json").read_text()))
    assert [error.message for error in schema.iter_errors(json.loads(file.read_text()))] == []


def test_vectors_use_every_status_error_code_and_http_status_of_the_contract() -> None:
    responses = [each["response"] for vector in vectors() for each in vector.exchanges]
    bodies = [response["body"] for response in responses if isinstance(response.get("body"), dict)]
    assert set(CallbackStatus) <= {
        body["status"] for body in bodies if isinstance(body.get("status"), str)
    }
    for name in ("BadInitRequest", "BadStatusRequest"):
        examples = CONTRACT["components"]["responses"][name]["content"]["application/json"][
            "examples"
        ].values()
        shared = CONTRACT["components"]["examples"]
        values = [
            each.get("value") or shared[each["$ref"].rpartition("/")[2]]["value"]
            for each in examples
        ]
        assert {value["error_code"] for value in values} <= {
            body["error_code"] for body in bodies if isinstance(body.get("error_code"), str)
        }
    codes = {code for path in CONTRACT["paths"].values() for code in path["post"]["responses"]}
    documented = {int(code) for code in codes - {"default"}}
    assert documented <= {response.get("status") for response in responses}


def test_generated_vectors_are_up_to_date() -> None:
    command = [sys.executable, str(FOLDER.parent / "scripts/vectors.py"), "--check"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_names_of_vectors_are_unique() -> None:
    names = [vector.name for vector in vectors()]
    assert len(names) == len(set(names))
