# Generated from openapi.yaml by openapi-python-client. Do not edit: change the contract and run "make generate".
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="CallbackError")


@_attrs_define
class CallbackError:
    """Why a request failed. Ignore other fields: TENIOS's other operations also return `success`, as a boolean or as text.

    Attributes:
        error_code (str): A machine-readable code. Other codes are possible. These are known:

            - `BAD_CREDENTIALS`: the access key is wrong or the callback configuration is unknown. The only one that TENIOS
              documents for this API; the others are documented for its other APIs.
            - `FIELD_IS_REQUIRED`: a field is missing. For a missing field, TENIOS's other pages also show `INVALID_JSON`;
            the
              simulator always returns `FIELD_IS_REQUIRED`.
            - `INVALID_FIELD`: the value of a field is not allowed. The message names the field and the value.
            - `INVALID_JSON`: the body is not valid JSON, or a field is missing.
            - `INVALID_VALUE`: a field has the wrong type or format.
             Example: BAD_CREDENTIALS.
        error_message (str): A human-readable message in English. Example: Bad credentials.
        fields (list[str] | Unset): The names of the invalid request fields; empty or absent if the error is not about a
            field. Example: ['callback_number'].
    """

    error_code: str
    error_message: str
    fields: list[str] | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        error_code = self.error_code

        error_message = self.error_message

        fields: list[str] | Unset = UNSET
        if not isinstance(self.fields, Unset):
            fields = self.fields

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "error_code": error_code,
                "error_message": error_message,
            }
        )
        if fields is not UNSET:
            field_dict["fields"] = fields

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        error_code = d.pop("error_code")

        error_message = d.pop("error_message")

        fields = cast(list[str], d.pop("fields", UNSET))

        callback_error = cls(
            error_code=error_code,
            error_message=error_message,
            fields=fields,
        )

        callback_error.additional_properties = d
        return callback_error

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
