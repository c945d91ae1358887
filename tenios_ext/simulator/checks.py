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
    """Text that is not empty, and that JSON can hold."""
    if not isinstance(value, str) or not value or any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError(f"{attribute.name} is text, not {value!r}.")


def kind(wanted: type) -> Check:
    """An object of a class."""

    def check(_: object, attribute: Attribute[Any], value: object) -> None:
        if not isinstance(value, wanted):
            raise ValueError(f"{attribute.name} is a {wanted.__name__}, not {value!r}.")  # noqa: TRY004 - as all others here

    return check


def one_of(*choices: str) -> Check:
    """One of some words."""

    def check(_: object, attribute: Attribute[Any], value: object) -> None:
        if value not in choices:
            raise ValueError(f"{attribute.name} is one of {', '.join(choices)}, not {value!r}.")

    return check
