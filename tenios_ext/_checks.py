"""Checks of arguments: whole numbers, seconds and texts."""

from __future__ import annotations

import math
from typing import TypeGuard

#: The end of the year 9999, in seconds since the epoch.
MAX_TIME = 253_402_300_800.0


def shown(value: object) -> str:
    """Return the repr of a value. Never fails, as repr() does for a huge number."""
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 - the caller's class may raise anything
        return f"a {type(value).__name__} that cannot be shown"


def must_be(name: str, expected: str, value: object) -> str:
    """Return the error message for an invalid value."""
    return f"{name} must be {expected}, got {shown(value)}."


def is_whole(value: object, largest: int) -> TypeGuard[int]:
    """Return whether *value* is an int from 0 to *largest*, and not a bool."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= largest


def is_number(value: object) -> TypeGuard[float]:
    """Return whether *value* is an int or a float, and not a bool."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_one_line(value: object) -> TypeGuard[str]:
    """Return whether *value* is a printable str without surrounding spaces."""
    return isinstance(value, str) and value.isprintable() and value == value.strip() != ""


def one_line_problem(name: str, value: object) -> str | None:
    """Return an error message if a setting is not one line of text."""
    variable = f"TENIOS_{name.upper()}"
    if not isinstance(value, str):
        return f"{name} must be a str, got {type(value).__name__}."
    if not value:
        return f"{name} is empty. Omit it to use {variable}."
    if not is_one_line(value):
        return (
            f"{name} (or {variable}) must be one line without surrounding spaces. Check that it "
            "was copied completely."
        )
    return None


def limit(name: str, value: object) -> float:
    """
    Return a limit in seconds; infinity for None and for huge values.

    Raises:
        TypeError: It is not a number.
        ValueError: It is negative or NaN.
    """
    if value is None:
        return math.inf
    if not is_number(value):
        raise TypeError(f"{name} must be a number of seconds or None, got {type(value).__name__}.")
    if not value >= 0:
        raise ValueError(must_be(name, "a number of seconds, at least 0, or None", value))
    return float(value) if value < MAX_TIME else math.inf
