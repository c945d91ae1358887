"""The contract itself: complete, and true to what TENIOS documents."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from jsonschema_rs import Draft202012Validator
from support.prism import ROOT

import tenios_ext
from tenios_ext.settings import SERVICE

FINAL = {"CALL_A_FAILED", "CALL_B_FAILED", "DISCONNECTED"}


def schemas_of(contract: dict[str, Any]) -> dict[str, Any]:
    schemas: dict[str, Any] = contract["components"]["schemas"]
    return schemas


def test_documented_examples_are_there_verbatim(contract: dict[str, Any]) -> None:
    """The five examples of TENIOS's page are examples of the contract, value for value."""
    parts = contract["components"]
    examples = {
        (kind, name): part["content"]["application/json"]["examples"]["documented"]["value"]
        for kind in ("requestBodies", "responses")
        for name, part in parts[kind].items()
        if "documented" in part["content"]["application/json"]["examples"]
    }
    assert examples == {
        ("requestBodies", "InitCallback"): {
            "access_key": "XXXXX-XXXX-XXXXXX",
            "callback_config_id": "XXXXX-XXXX-XXXXXX",
            "callback_number": "+491234567890",
            "delay": 30,
        },
        ("requestBodies", "GetCallbackStatus"): {"access_key": "XXXXX-XXXX-XXXXXX", "id": 10},
        ("responses", "CallbackInitialized"): {"id": 10},
        ("responses", "CallbackStatusFound"): {"status": "REQUESTED"},
        ("responses", "BadRequest"): {
            "error_code": "BAD_CREDENTIALS",
            "error_message": "Bad credentials",
            "fields": [],
        },
    }


def test_every_status_is_listed_explained_and_shown(contract: dict[str, Any]) -> None:
    """Each of the eight statuses has a line that says what it means, whether it is final, and an example."""
    status = schemas_of(contract)["CallbackStatus"]
    lines = {line.split("`")[1]: line for line in status["description"].splitlines() if line.startswith("- ")}
    assert list(lines) == status["enum"]
    assert {name for name, line in lines.items() if line.endswith("Final.")} == FINAL
    examples = contract["components"]["responses"]["CallbackStatusFound"]["content"]["application/json"]["examples"]
    assert [example["value"]["status"] for example in examples.values()] == status["enum"]


def test_every_field_has_description_and_example(contract: dict[str, Any]) -> None:
    """No field is left to be guessed."""
    schemas = schemas_of(contract)
    for name, schema in schemas.items():
        assert schema["description"], name
        for field, definition in schema.get("properties", {}).items():
            target = schemas[definition["$ref"].rpartition("/")[2]] if "$ref" in definition else definition
            assert target["description"], (name, field)
            assert "example" in target, (name, field)


def examples(node: Any) -> list[tuple[Any, Any]]:
    """All pairs of a schema and a value that is an example of it."""
    found: list[tuple[Any, Any]] = []
    if isinstance(node, dict):
        if "schema" in node and "examples" in node:
            found += [(node["schema"], example["value"]) for example in node["examples"].values()]
        if "type" in node and "example" in node:
            found.append((node, node["example"]))
        for child in node.values():
            found += examples(child)
    return found


def failures(contract: dict[str, Any]) -> list[str]:
    base = {"components": contract["components"]}
    pairs = examples(contract)
    assert len(pairs) > 25
    return [e.message for schema, value in pairs for e in Draft202012Validator({**schema, **base}).iter_errors(value)]


def test_every_example_keeps_its_schema(contract: dict[str, Any]) -> None:
    """An example that breaks its schema would mislead whoever copies it."""
    assert not failures(contract)


def test_example_that_breaks_its_schema_is_found(contract: dict[str, Any]) -> None:
    """The check above can fail."""
    schemas = contract["components"]["schemas"]
    status = {**schemas["CallbackStatus"], "example": "RINGING"}
    components = {**contract["components"], "schemas": {**schemas, "CallbackStatus": status}}
    [failure] = failures({**contract, "components": components})
    assert "RINGING" in failure


@pytest.mark.parametrize("path", ["/callback/init", "/callback/status"])
def test_every_documented_answer_is_there(contract: dict[str, Any], path: str) -> None:
    """Both operations are POST, with each status that TENIOS documents."""
    assert list(contract["paths"][path]) == ["post"]
    assert list(contract["paths"][path]["post"]["responses"]) == ["200", "400", "403", "404", "500"]


def test_link_leads_from_init_to_status(contract: dict[str, Any]) -> None:
    """A tool that follows links asks about the callback that it has started."""
    [link] = contract["components"]["responses"]["CallbackInitialized"]["links"].values()
    target = contract["components"]["links"][link["$ref"].rpartition("/")[2]]
    assert target["operationId"] == contract["paths"]["/callback/status"]["post"]["operationId"]
    assert target["requestBody"] == {"access_key": "$request.body#/access_key", "id": "$response.body#/id"}


def test_versions_agree(contract: dict[str, Any]) -> None:
    """Contract, package, control API and, once nothing is unreleased, the changelog have one version."""
    version = tenios_ext.__version__
    control = yaml.safe_load((ROOT / "tenios_ext/simulator/control.yaml").read_text())
    assert (contract["info"]["version"], control["info"]["version"]) == (version, version)
    unreleased, *released = re.split(r"^## \[(?=\d)", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    assert "\n- " in unreleased.partition("## [Unreleased]")[2] or released[0].startswith(f"{version}]")


def test_server_is_the_one_that_the_client_talks_to(contract: dict[str, Any]) -> None:
    """Whoever generates a client reaches the same service as ours."""
    assert [server["url"] for server in contract["servers"]] == [SERVICE]


def test_access_key_is_marked_as_a_secret(contract: dict[str, Any]) -> None:
    """Tools that show requests mask a password."""
    assert schemas_of(contract)["AccessKey"]["format"] == "password"
    for name in ("InitCallbackRequest", "CallbackStatusRequest"):
        assert schemas_of(contract)[name]["properties"]["access_key"] == {"$ref": "#/components/schemas/AccessKey"}
