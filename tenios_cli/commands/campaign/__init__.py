"""``tenios campaign``."""

from . import _files, _manage, _run  # noqa: F401 - each adds its commands
from ._shared import campaign

__all__ = ["campaign"]
