"""The ``tenios`` command."""

import sys
from typing import Any, NoReturn, cast

__all__ = ["main"]


def _exit_without_click() -> NoReturn:
    sys.exit("click is not installed. Run: pip install 'tenios-callback[cli]'")


try:
    from ._main import main
except ModuleNotFoundError as error:
    if error.name != "click":
        raise
    main = cast("Any", _exit_without_click)
