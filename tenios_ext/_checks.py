"""Checks of values that callers give: whole numbers, seconds and texts."""

from __future__ import annotations

import math
from typing import TypeGuard

#: The end of the year 9999, in seconds since the epoch.
MAX_TIME = 253_402_300_800.0


def shown(value: object) -> str:
    """Return the repr of a value. It never fails, as that of a huge number does."""
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 - a class of the caller's may do anything
        return f"a {type(value).__name__} that cannot be shown"


def is_whole(value: object, largest: int) -> TypeGuard[int]:
    """Return whether *value* is an int, and no bool, from 0 to *largest*."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= largest


def is_number(value: object) -> TypeGuard[float]:
    """Return whether *value* is an int or a float, and neither a bool nor NaN."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value  # noqa: PLR0124 - NaN is not


def is_one_line(value: object) -> TypeGuard[str]:
    """Return whether *value* is a str of printable characters without spaces around it."""
    return isinstance(value, str) and value.isprintable() and value == value.strip() != ""


def one_line_problem(name: str, value: object) -> str | None:
    """Return what is wrong with a setting that must be a text of one line; None if nothing is."""
    variable = f"TENIOS_{name.upper()}"
    if not isinstance(value, str):
        return f"{name} must be a str, got {type(value).__name__}."
    if not value:
        return f"{name} is empty. Leave it out to use {variable}."
    if not is_one_line(value):
        return (
            f"{name} (or {variable}) has spaces or line breaks in or around it. Was it copied "
            "whole?"
        )
    return None


def limit(name: str, value: object) -> float:
    """
    Return a limit in seconds; infinity for None and for more than a float can hold.

    Raises:
        TypeError: It is not a number.
        ValueError: It is negative or NaN.
    """
    if value is None:
        return math.inf
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number of seconds or None, got {type(value).__name__}.")
    if not value >= 0:
        raise ValueError(
            f"{name} must be a number of seconds, 0 or more, or None, got {shown(value)}."
        )
    return float(value) if value < MAX_TIME else math.inf
