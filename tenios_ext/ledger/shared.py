"""Internal names that campaigns use. They may change in any release."""

from ._schema import Schema

__all__ = ["Schema"]
