"""What attrs' own validators do not say in a sentence: values that could never happen are a mistake in somebody's test."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from attrs import Attribute

    Check = Callable[[object, Attribute[Any], object], None]


def number(low: float, high: float = sys.float_info.max) -> Check:
    """A number within bounds."""

    def check(_: object, attribute: Attribute[Any], value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise ValueError(f"{attribute.name} is a number from {low:g} to {high:g}, not {value!r}.")

    return check


def whole(low: int, high: int = 2**31 - 1) -> Check:
    """A whole number within bounds."""

    def check(_: object, attribute: Attribute[Any], value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"{attribute.name} is a whole number from {low} to {high}, not {value!r}.")

    return check


def text(_: object, attribute: Attribute[Any], value: object) -> None:
    """Text that is not empty."""
    if not isinstance(value, str) or not value:
        raise ValueError(f"{attribute.name} is text, not {value!r}.")
