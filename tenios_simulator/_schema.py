"""Validation of JSON objects against the schemas of an OpenAPI document."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

import yaml
from jsonschema_rs import Draft202012Validator

from tenios_ext.openapi import contract_text

if TYPE_CHECKING:
    from collections.abc import Mapping

_DECIMAL = r"0|[1-9][0-9]{0,18}"  # a 64-bit integer has 19 digits
_FORM = {"type", "pattern", "format"}


class Violation(NamedTuple):
    """
    What is wrong with an object.

    Attributes:
        kind: Required fields are missing, fields are unknown, a type or format is wrong, or a value
            is not allowed.
        fields: The names of these fields.
    """

    kind: Literal["missing", "unknown", "form", "value"]
    fields: list[str]


@cache
def contract() -> Mapping[str, Any]:
    """Return the parsed contract."""
    return cast("Mapping[str, Any]", yaml.safe_load(contract_text()))


class RequestSchema:
    """
    A schema of an OpenAPI document, of an object without additional properties.

    Attributes:
        fields: The schemas of the fields, by name.
    """

    def __init__(self, document: Mapping[str, Any], name: str) -> None:
        schema = _inlined(document, document["components"]["schemas"][name])
        self._required: list[str] = schema["required"]
        self.fields: dict[str, Any] = schema["properties"]
        self._integers = {
            key for key, each in self.fields.items() if "integer" in each.get("type", ())
        }
        self._validator = Draft202012Validator(schema)

    def with_integers(
        self, document: Mapping[str, Any], *, from_text: bool = False
    ) -> dict[str, Any]:
        """
        Return *document* with floats such as 30.0, which JSON Schema accepts as integers, converted
        to integers; also digits in text if *from_text*, as TENIOS's own Java client sends them.
        """
        return {
            key: _integer(value, from_text=from_text) if key in self._integers else value
            for key, value in document.items()
        }

    def violation(self, document: Mapping[str, Any]) -> Violation | None:
        """Return the first violation in *document*; None if it is valid."""
        if self._validator.is_valid(document):
            return None
        if missing := [name for name in self._required if name not in document]:
            return Violation("missing", missing)
        if unknown := [name for name in document if name not in self.fields]:
            return Violation("unknown", unknown)
        errors = [
            (str(error.instance_path[0]), str(error.schema_path[-1]))
            for error in self._validator.iter_errors(document)
        ]
        field = min(field for field, _ in errors)
        has_form = not any(keyword in _FORM for name, keyword in errors if name == field)
        return Violation("value" if has_form else "form", [field])


def decimal(text: str) -> int | None:
    """
    Return *text* as an int; None if it is not decimal, has leading zeros or exceeds 19 digits.
    """
    return int(text) if re.fullmatch(_DECIMAL, text) else None


def _inlined(document: Mapping[str, Any], node: Any) -> Any:
    """
    Return *node* with references resolved, and with the ranges of OpenAPI's integer formats, which
    JSON Schema ignores.
    """
    if isinstance(node, list):
        return [_inlined(document, each) for each in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _inlined(
            document, document["components"]["schemas"][node["$ref"].rpartition("/")[2]]
        )
    bits = {"int32": 32, "int64": 64}.get(node.get("format", ""))
    bounds = {"maximum": 2 ** (bits - 1) - 1, "minimum": -(2 ** (bits - 1))} if bits else {}
    return {**bounds, **{key: _inlined(document, each) for key, each in node.items()}}


def _integer(value: object, *, from_text: bool) -> object:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    number = decimal(value) if from_text and isinstance(value, str) else None
    return value if number is None else number
