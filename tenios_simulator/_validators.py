"""
Validators for attrs whose messages name the argument, the expected value and the actual one.

attrs' own validators accept True as a number, and their messages are not meant for users.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from attrs import Attribute

    Validator = Callable[[object, Attribute[Any], object], None]

MAX_FLOAT = sys.float_info.max
MAX_INTEGER = 2**31 - 1


def number(low: float, high: float = MAX_FLOAT) -> Validator:
    """Accept numbers from *low* to *high*; by default, all that are finite."""
    finite = "finite " if high == MAX_FLOAT else ""
    expected = f"from {low:g} to {high:g}" if high < MAX_FLOAT else f"of at least {low:g}"
    return _range(int | float, low, high, f"a {finite}number {expected}")


def whole(low: int, high: int = MAX_INTEGER) -> Validator:
    """Accept whole numbers from *low* to *high*."""
    return _range(int, low, high, f"a whole number from {low} to {high}")


def _range(kind: Any, low: float, high: float, expected: str) -> Validator:

    def validate(_: object, attribute: Attribute[Any], value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, kind) or not low <= value <= high:
            raise _error(attribute, expected, value)

    return validate


def text(_: object, attribute: Attribute[Any], value: object) -> None:
    """Accept non-empty text that UTF-8 can encode."""
    if (
        not isinstance(value, str)
        or not value
        or any("\ud800" <= character <= "\udfff" for character in value)
    ):
        raise _error(attribute, "non-empty, valid Unicode text", value)


def kind(wanted: type) -> Validator:

    def validate(_: object, attribute: Attribute[Any], value: object) -> None:
        if not isinstance(value, wanted):
            raise _error(attribute, f"of type {wanted.__name__}", value)

    return validate


def one_of(*choices: str) -> Validator:

    def validate(_: object, attribute: Attribute[Any], value: object) -> None:
        if value not in choices:
            raise _error(attribute, f"one of {', '.join(map(repr, choices))}", value)

    return validate


def _error(attribute: Attribute[Any], expected: str, value: object) -> ValueError:
    return ValueError(f"{attribute.name} must be {expected}, got {value!r}.")
