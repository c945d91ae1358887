"""
The exchange as TENIOS would answer it over HTTP. Knows of no server: a request comes in as values, and so does the answer.

What a request may look like is read from the contract itself; there is no second description of it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import yaml
from attrs import field, frozen
from jsonschema import Draft202012Validator

from ..contract import contract_text
from .exchange import UnknownCallbackError, UnknownCredentialsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .exchange import Exchange

_LONGEST_INTEGER = 19
# Which sister-API code each keyword of JSON Schema amounts to; any other one is INVALID_VALUE.
_CODES = {"required": "FIELD_IS_REQUIRED", "additionalProperties": "INVALID_FIELD"}
_MESSAGES = {
    "BAD_CREDENTIALS": "Bad credentials",
    "FIELD_IS_REQUIRED": "Field is required",
    "INVALID_FIELD": "Invalid field",
    "INVALID_JSON": "Invalid JSON",
    "INVALID_VALUE": "Invalid value",
    "METHOD_NOT_ALLOWED": "Method not allowed",
    "NOT_FOUND": "Unknown method",
}


@frozen
class Reply:
    """An answer; the body is what becomes JSON."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(factory=dict)


def _error(status: int, code: str, *fields: str, **headers: str) -> Reply:
    return Reply(status, {"error_code": code, "error_message": _MESSAGES[code], "fields": list(fields)}, headers)


class Service:
    """Answers requests to an exchange."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        contract = yaml.safe_load(contract_text())
        schemas = {"components": {"schemas": contract["components"]["schemas"]}}
        self._operations = {
            "/callback/init": (self._init, _Shape(schemas, "InitCallbackRequest")),
            "/callback/status": (self._status, _Shape(schemas, "CallbackStatusRequest")),
        }

    def answer(self, method: str, path: str, body: bytes) -> Reply:
        """The answer to a request."""
        if path not in self._operations:
            return _error(404, "NOT_FOUND")
        if method != "POST":
            return _error(405, "METHOD_NOT_ALLOWED", Allow="POST")
        operation, shape = self._operations[path]
        document = _object(body)
        if document is None:
            return _error(400, "INVALID_JSON")
        document = shape.with_numbers(document)
        try:
            return shape.error(document) or operation(document)
        except UnknownCredentialsError:
            return _error(400, "BAD_CREDENTIALS")
        except UnknownCallbackError:
            return _error(400, "INVALID_VALUE", "id")

    def _init(self, document: Mapping[str, Any]) -> Reply:
        callback = self._exchange.request(
            document["access_key"],
            document["callback_config_id"],
            number=document["callback_number"],
            delay=document["delay"],
        )
        return Reply(200, {"id": callback.id})

    def _status(self, document: Mapping[str, Any]) -> Reply:
        return Reply(200, {"status": str(self._exchange.status(document["access_key"], document["id"]))})


def _object(body: bytes) -> dict[str, Any] | None:
    """The JSON object in *body*; None where it is something else."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


class _Shape:
    """What the contract says of a request's body."""

    def __init__(self, schemas: Mapping[str, Any], name: str) -> None:
        self._validator = Draft202012Validator({"$ref": f"#/components/schemas/{name}", **schemas})
        properties = schemas["components"]["schemas"][name]["properties"]
        self._integers = {
            key for key, schema in properties.items() if self._resolved(schemas, schema).get("type") == "integer"
        }

    @staticmethod
    def _resolved(schemas: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
        name = schema.get("$ref", "").rpartition("/")[2]
        return cast("Mapping[str, Any]", schemas["components"]["schemas"][name] if name else schema)

    def with_numbers(self, document: dict[str, Any]) -> dict[str, Any]:
        """Decimal text where the contract has an integer as that integer: TENIOS's own Java client sends such text."""
        return {key: self._number(value) if key in self._integers else value for key, value in document.items()}

    @staticmethod
    def _number(value: object) -> object:
        is_decimal = isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= _LONGEST_INTEGER
        return int(cast("str", value)) if is_decimal else value

    def error(self, document: Mapping[str, Any]) -> Reply | None:
        """The answer to a body that breaks the contract; None where it keeps it."""
        found = sorted(
            self._validator.iter_errors(document), key=lambda each: (each.validator not in _CODES, str(each.path))
        )
        if not found:
            return None
        code = _CODES.get(str(found[0].validator), "INVALID_VALUE")
        return _error(400, code, *self._fields(code, found[0], document))

    @staticmethod
    def _fields(code: str, error: Any, document: Mapping[str, Any]) -> list[str]:  # noqa: ANN401 - jsonschema's error is untyped inside
        if code == "FIELD_IS_REQUIRED":
            return [name for name in error.validator_value if name not in document]
        if code == "INVALID_FIELD":
            return [name for name in document if name not in error.schema["properties"]]
        return [str(error.path[0])]
