# Generated from openapi.yaml by openapi-python-client. Do not edit: change the contract and run "make generate".
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

T = TypeVar("T", bound="StartedCallback")


@_attrs_define
class StartedCallback:
    """The callback that was accepted.

    Attributes:
        id (int): The id of a callback, as returned by `initCallback`. A number was chosen because each JSON example in
            TENIOS's [documentation](https://www.tenios.de/en/doc/api-callback) has one, although its table of parameters
            says string. Another operation of TENIOS returns its id as text, so also accept decimal digits in a string.
            Example: 10.
    """

    id: int
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = self.id

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        id = d.pop("id")

        started_callback = cls(
            id=id,
        )

        started_callback.additional_properties = d
        return started_callback

    @property
    def additional_keys(self) -> list[str]:
        return list(self.additional_properties.keys())

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.additional_properties[key] = value

    def __delitem__(self, key: str) -> None:
        del self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
