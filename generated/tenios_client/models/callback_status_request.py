# Generated from openapi.yaml by openapi-python-client. Do not edit: change the contract and run "make generate".
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar

from attrs import define as _attrs_define

T = TypeVar("T", bound="CallbackStatusRequest")


@_attrs_define
class CallbackStatusRequest:
    """The callback whose status to return.

    Attributes:
        access_key (str): The secret that identifies the account. It is shown in TENIOS's customer portal under General
            Settings, section API. Keep it out of logs, as you do with passwords. It has no `format: password`, because some
            generated clients then send asterisks instead. Example: XXXXX-XXXX-XXXXXX.
        id (int): The id of a callback, as returned by `initCallback`. A number was chosen because each JSON example in
            TENIOS's [documentation](https://www.tenios.de/en/doc/api-callback) has one, although its table of parameters
            says string. Another operation of TENIOS returns its id as text, so also accept decimal digits in a string.
            Example: 10.
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
