"""What campaigns need of a ledger, and programs do not. It may change in any release."""

from ._schema import Schema

__all__ = ["Schema"]
