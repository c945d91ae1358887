# Generated from openapi.yaml by openapi-python-client. Do not edit: change the contract and run "make generate".
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.callback_status import CallbackStatus

T = TypeVar("T", bound="CallbackStatusResponse")


@_attrs_define
class CallbackStatusResponse:
    """The current status of a callback.

    Attributes:
        status (CallbackStatus): The status of a callback. `CALL_A_FAILED`, `CALL_B_FAILED` and `DISCONNECTED` are final
            *(inferred)*.

            The list is open, since TENIOS may add statuses: accept a status that is not in it, and treat it as not final.

            - `REQUESTED`: requested.
            - `ACCEPTED`: accepted. No phone is ringing yet, and `delay` may still be running *(inferred)*.
            - `CALLING_A`: the agent is being called.
            - `CALL_A_FAILED`: the call to the agent was not successful. Final.
            - `CALLING_B`: the agent has answered *(inferred)*, and the customer is being called.
            - `CALL_B_FAILED`: the call to the customer was not successful. Final.
            - `CONNECTED`: agent and customer are connected.
            - `DISCONNECTED`: agent and customer were connected and the call has ended. Final.
             Example: REQUESTED.
    """

    status: CallbackStatus
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        status = self.status.value

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "status": status,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        status = CallbackStatus(d.pop("status"))

        callback_status_response = cls(
            status=status,
        )

        callback_status_response.additional_properties = d
        return callback_status_response

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
