"""What an OpenAPI description says of a request's body: jsonschema, the reference implementation for Python, judges."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import yaml
from jsonschema import Draft202012Validator, FormatChecker, ValidationError
from jsonschema.validators import extend

from ..contract import contract_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_LONGEST_INTEGER = 19
# Which sister-API code each keyword of JSON Schema amounts to; any other one is INVALID_VALUE.
_CODES = {"required": "FIELD_IS_REQUIRED", "additionalProperties": "INVALID_FIELD"}


def _pattern(_: object, pattern: str, text: object, __: object) -> Iterator[ValidationError]:
    # In ECMA's dialect, which JSON Schema means, `$` is the end; in Python's it also comes before a last line break.
    if isinstance(text, str) and not re.search(re.sub(r"\$$", r"\\Z", pattern), text):
        yield ValidationError(f"does not match {pattern!r}")


_FORMATS = FormatChecker(formats=())
for _bits in (32, 64):
    _FORMATS.checks(f"int{_bits}")(lambda value, bits=_bits: not isinstance(value, int) or value.bit_length() < bits)

_Validator = extend(Draft202012Validator, {"pattern": _pattern})  # type: ignore[no-untyped-call] # untyped there


@cache
def contract() -> Mapping[str, Any]:
    """The contract as data."""
    return cast("Mapping[str, Any]", yaml.safe_load(contract_text()))


def _inlined(document: Mapping[str, Any], node: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
    """*node* with each reference replaced by what it refers to: looking them up takes longer than all the judging."""
    if isinstance(node, list):
        return [_inlined(document, each) for each in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _inlined(document, document["components"]["schemas"][node["$ref"].rpartition("/")[2]])
    return {key: _inlined(document, each) for key, each in node.items()}


class Shape:
    """One of the schemas of an OpenAPI document."""

    def __init__(self, document: Mapping[str, Any], name: str) -> None:
        schema = _inlined(document, document["components"]["schemas"][name])
        self._validator = _Validator(schema, format_checker=_FORMATS)
        self._integers = {key for key, each in schema["properties"].items() if "integer" in each.get("type", ())}

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
        found = sorted(
            self._validator.iter_errors(document), key=lambda each: (each.validator not in _CODES, str(each.path))
        )
        if not found:
            return None
        code = _CODES.get(str(found[0].validator), "INVALID_VALUE")
        return code, self._fields(code, found[0], document)

    @staticmethod
    def _fields(code: str, error: Any, document: Mapping[str, Any]) -> list[str]:  # noqa: ANN401 - jsonschema's error is untyped inside
        if code == "FIELD_IS_REQUIRED":
            return [name for name in error.validator_value if name not in document]
        if code == "INVALID_FIELD":
            return [name for name in document if name not in error.schema["properties"]]
        return [str(name) for name in list(error.path)[:1]]


def _number(value: object) -> object:
    is_decimal = isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= _LONGEST_INTEGER
    return int(cast("str", value)) if is_decimal else value
