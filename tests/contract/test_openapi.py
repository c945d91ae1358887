"""The contract is complete and matches TENIOS's documentation."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest
import yaml
from jsonschema_rs import Draft202012Validator
from support.prism import ROOT

import tenios_ext
from tenios_ext._settings import SERVICE

FINAL = {"CALL_A_FAILED", "CALL_B_FAILED", "DISCONNECTED"}


def schemas_of(contract: dict[str, Any]) -> dict[str, Any]:
    schemas: dict[str, Any] = contract["components"]["schemas"]
    return schemas


def test_contract_has_the_examples_of_tenios_documentation(contract: dict[str, Any]) -> None:
    parts = contract["components"]
    examples = {
        (kind, name): resolved(
            contract, part["content"]["application/json"]["examples"]["documented"]
        )["value"]
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
        ("responses", "BadInitRequest"): {
            "error_code": "BAD_CREDENTIALS",
            "error_message": "Bad credentials",
            "fields": [],
        },
    }


def test_contract_has_an_example_of_all_fields_that_is_not_only_ascii(
    contract: dict[str, Any],
) -> None:
    examples = contract["components"]["requestBodies"]["InitCallback"]["content"][
        "application/json"
    ]["examples"]
    value = examples["announcement"]["value"]
    assert set(value) == set(schemas_of(contract)["InitCallbackRequest"]["properties"])
    assert not value["agent_announcement"].isascii()


def test_every_status_has_a_description_and_an_example(contract: dict[str, Any]) -> None:
    status = schemas_of(contract)["CallbackStatus"]
    lines = {
        line.split("`")[1]: line
        for line in status["description"].splitlines()
        if line.startswith("- ")
    }
    assert {name for name, line in lines.items() if line.endswith(" Final.")} == FINAL
    examples = contract["components"]["responses"]["CallbackStatusFound"]["content"][
        "application/json"
    ]["examples"]
    shown = [example["value"]["status"] for example in examples.values()]
    assert shown == status["x-extensible-enum"] == [*lines]


def test_every_field_has_a_description_and_an_example(contract: dict[str, Any]) -> None:
    schemas = schemas_of(contract)
    for name, schema in schemas.items():
        assert schema["description"], name
        for field, definition in schema.get("properties", {}).items():
            target = (
                schemas[definition["$ref"].rpartition("/")[2]]
                if "$ref" in definition
                else definition
            )
            assert target["description"], (name, field)
            assert "example" in target, (name, field)


def resolved(contract: dict[str, Any], example: dict[str, Any]) -> dict[str, Any]:
    """Return an example or the shared one that it refers to."""
    name = example.get("$ref", "").rpartition("/")[2]
    target: dict[str, Any] = contract["components"]["examples"][name] if name else example
    return target


def examples(contract: dict[str, Any], node: Any) -> list[tuple[Any, Any]]:
    """Yield each example in *node* with its schema."""
    found: list[tuple[Any, Any]] = []
    if isinstance(node, dict):
        if "schema" in node and "examples" in node:
            shown = [resolved(contract, example) for example in node["examples"].values()]
            found += [(node["schema"], example["value"]) for example in shown]
        if "type" in node and "example" in node:
            found.append((node, node["example"]))
        for child in node.values():
            found += examples(contract, child)
    return found


def violations(contract: dict[str, Any]) -> list[str]:
    base = {"components": contract["components"]}
    pairs = examples(contract, contract)
    assert len(pairs) > 25
    return [
        e.message
        for schema, value in pairs
        for e in Draft202012Validator({**schema, **base}).iter_errors(value)
    ]


def test_examples_match_their_schemas(contract: dict[str, Any]) -> None:
    assert violations(contract) == []


def test_check_of_examples_finds_a_violation(contract: dict[str, Any]) -> None:
    schemas = contract["components"]["schemas"]
    status = {**schemas["CallbackStatus"], "example": 7}
    components = {**contract["components"], "schemas": {**schemas, "CallbackStatus": status}}
    [violation] = violations({**contract, "components": components})
    assert "7" in violation


def test_no_example_is_written_twice(contract: dict[str, Any]) -> None:
    values = [
        str(example["value"])
        for kind in ("requestBodies", "responses")
        for part in contract["components"][kind].values()
        for example in part["content"]["application/json"]["examples"].values()
        if "value" in example
    ]
    shared = [str(example["value"]) for example in contract["components"]["examples"].values()]
    assert [value for value, times in Counter(values + shared).items() if times > 1] == []


@pytest.mark.parametrize("file", ["openapi.yaml", "callback.arazzo.yaml"])
def test_no_description_loses_its_paragraphs(file: str) -> None:
    """A folded block scalar turns a blank line into a line break."""
    events = yaml.parse((ROOT / file).read_text())
    scalars = [each for each in events if isinstance(each, yaml.ScalarEvent)]
    assert [each.value for each in scalars if each.style == "|"]
    assert [each.value for each in scalars if each.style == ">" and "\n" in each.value] == []


def test_contract_says_that_it_is_unofficial(contract: dict[str, Any]) -> None:
    assert "(unofficial)" in contract["info"]["title"]
    assert "TENIOS Callback SDK" in contract["info"]["contact"]["name"]


@pytest.mark.parametrize("path", ["/callback/init", "/callback/status"])
def test_operation_is_post_with_every_documented_http_status(
    contract: dict[str, Any], path: str
) -> None:
    assert list(contract["paths"][path]) == ["post"]
    assert list(contract["paths"][path]["post"]["responses"]) == [
        "200",
        "400",
        "403",
        "404",
        "500",
        "default",
    ]


def test_link_leads_from_init_response_to_status_request(contract: dict[str, Any]) -> None:
    [link] = contract["components"]["responses"]["CallbackInitialized"]["links"].values()
    target = contract["components"]["links"][link["$ref"].rpartition("/")[2]]
    assert target["operationId"] == contract["paths"]["/callback/status"]["post"]["operationId"]
    assert target["requestBody"] == {
        "access_key": "$request.body#/access_key",
        "id": "$response.body#/id",
    }


def test_versions_of_contract_package_and_control_api_agree(contract: dict[str, Any]) -> None:
    version = tenios_ext.__version__
    control = yaml.safe_load((ROOT / "tenios_simulator/server/control.yaml").read_text())
    assert (contract["info"]["version"], control["info"]["version"]) == (version, version)


def test_changelog_has_unreleased_changes_or_the_current_version() -> None:
    unreleased, *released = re.split(
        r"^## \[(?=\d)", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE
    )
    assert "\n- " in unreleased.partition("## [Unreleased]")[2] or released[0].startswith(
        f"{tenios_ext.__version__}]"
    )


def test_servers_are_the_default_base_url_of_the_client_and_of_the_simulator(
    contract: dict[str, Any],
) -> None:
    assert [server["url"] for server in contract["servers"]] == [SERVICE, "http://127.0.0.1:8311"]


def test_access_key_has_no_format_that_makes_clients_send_asterisks(
    contract: dict[str, Any],
) -> None:
    """For the format password, generators use pydantic's SecretStr, which is sent as asterisks."""
    assert "format" not in schemas_of(contract)["AccessKey"]
    for name in ("InitCallbackRequest", "CallbackStatusRequest"):
        assert schemas_of(contract)[name]["properties"]["access_key"] == {
            "$ref": "#/components/schemas/AccessKey"
        }
