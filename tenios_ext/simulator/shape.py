"""What an OpenAPI description says of a request's body; jsonschema-rs judges, as in schemathesis, and costs next to nothing."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, cast

import yaml
from jsonschema_rs import Draft202012Validator

from ..contract import contract_text

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONGEST_INTEGER = 19


@cache
def contract() -> Mapping[str, Any]:
    """The contract as data."""
    return cast("Mapping[str, Any]", yaml.safe_load(contract_text()))


def _inlined(document: Mapping[str, Any], node: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
    """*node* with its references resolved, and with the bounds of OpenAPI's formats, which JSON Schema ignores."""
    if isinstance(node, list):
        return [_inlined(document, each) for each in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _inlined(document, document["components"]["schemas"][node["$ref"].rpartition("/")[2]])
    bits = {"int32": 32, "int64": 64}.get(node.get("format", ""))
    bounds = {"maximum": 2 ** (bits - 1) - 1, "minimum": -(2 ** (bits - 1))} if bits else {}
    return {**bounds, **{key: _inlined(document, each) for key, each in node.items()}}


class Shape:
    """
    One of the schemas of an OpenAPI document, an object with named fields and no others.

    Attributes:
        known: The fields' schemas, by name.
    """

    def __init__(self, document: Mapping[str, Any], name: str) -> None:
        schema = _inlined(document, document["components"]["schemas"][name])
        self._required: list[str] = schema["required"]
        self.known: dict[str, Any] = schema["properties"]
        self._integers = {key for key, each in self.known.items() if "integer" in each.get("type", ())}
        self._validator = Draft202012Validator(schema)

    def with_numbers(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Decimal text where the schema has an integer as that integer: TENIOS's own Java client sends such text."""
        return {key: _number(value) if key in self._integers else value for key, value in document.items()}

    def with_integers(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Integers that are written with a fraction of nothing, which JSON Schema takes for integers, as such."""
        return {
            key: int(value) if key in self._integers and isinstance(value, float) and value.is_integer() else value
            for key, value in document.items()
        }

    def error(self, document: Mapping[str, Any]) -> tuple[str, list[str]] | None:
        """TENIOS's error code and the fields at fault where *document* breaks the schema; None where it keeps it."""
        if self._validator.is_valid(document):
            return None
        if missing := [name for name in self._required if name not in document]:
            return "FIELD_IS_REQUIRED", missing
        if unknown := [name for name in document if name not in self.known]:
            return "INVALID_FIELD", unknown
        fields = {str(error.instance_path[0]) for error in self._validator.iter_errors(document)}
        return "INVALID_VALUE", [min(fields)]


def decimal(text: str) -> int | None:
    """The number that *text* is in decimal digits, no more of them than 64 bits hold; None where it is something else."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _LONGEST_INTEGER else None


def _number(value: object) -> object:
    number = decimal(value) if isinstance(value, str) else None
    return value if number is None else number
