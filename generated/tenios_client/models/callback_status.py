# Generated from openapi.yaml by openapi-python-client. Do not edit: change the contract and run "make generate".
from enum import StrEnum
from typing import Self


class CallbackStatus(StrEnum):
    ACCEPTED = "ACCEPTED"
    CALLING_A = "CALLING_A"
    CALLING_B = "CALLING_B"
    CALL_A_FAILED = "CALL_A_FAILED"
    CALL_B_FAILED = "CALL_B_FAILED"
    CONNECTED = "CONNECTED"
    DISCONNECTED = "DISCONNECTED"
    REQUESTED = "REQUESTED"

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        """A value that the contract does not list yet is kept as it is; its name is its value."""
        if not isinstance(value, str):
            return None
        member = str.__new__(cls, value)
        member._name_ = member._value_ = value
        return member

    def __reduce_ex__(self, proto: object) -> tuple[type[Self], tuple[str]]:
        """Up to Python 3.11.3, enum copies and unpickles by name, which only finds listed values."""
        return type(self), (str(self.value),)

    def __str__(self) -> str:
        return str(self.value)
