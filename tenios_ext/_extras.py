"""The error for an extra that is not installed."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def requires_extra(extra: str, kind: type[Exception] | None = None) -> Iterator[None]:
    """
    Name the extra to install if a module is not found.

    Args:
        extra: The extra that contains the module.
        kind: The error to raise instead of ModuleNotFoundError.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        error.msg = f"{error.name} is not installed. Run: pip install 'tenios-callback[{extra}]'"
        if kind is None:
            raise
        raise kind(error.msg) from None
