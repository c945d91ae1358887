# Generated from openapi.yaml by openapi-python-client. Do not edit: change the contract and run "make generate".
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar

from attrs import define as _attrs_define

T = TypeVar("T", bound="CallbackStatusRequest")


@_attrs_define
class CallbackStatusRequest:
    """Which callback is meant.

    Attributes:
        access_key (str): The secret that names the account. The customer portal shows it under General Settings,
            section API. Example: XXXXX-XXXX-XXXXXX.
        id (int): The id of a callback, as `initCallback` answered it. TENIOS's table calls it a string, but each of its
            JSON examples has a number; a number was chosen. Example: 10.
    """

    access_key: str
    id: int

    def to_dict(self) -> dict[str, Any]:
        access_key = self.access_key

        id = self.id

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "access_key": access_key,
                "id": id,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        access_key = d.pop("access_key")

        id = d.pop("id")

        callback_status_request = cls(
            access_key=access_key,
            id=id,
        )

        return callback_status_request
