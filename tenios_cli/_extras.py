"""What a command says if an extra is missing."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from ._errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def requires_extra(extra: str) -> Iterator[None]:
    """
    Raise CommandError with a message that names *extra* if a module cannot be imported. Serves as a
    decorator, too.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise CommandError(
            f"{error.name} is missing, which is in an extra: pip install 'tenios-callback[{extra}]'"
        ) from None
