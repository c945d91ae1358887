# Generated from openapi.yaml by openapi-python-client. Do not edit: change the contract and run "make generate".
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar

from attrs import define as _attrs_define

from ..types import UNSET, Unset

T = TypeVar("T", bound="InitCallbackRequest")


@_attrs_define
class InitCallbackRequest:
    """Whom to call, when, and on whose behalf.

    Attributes:
        access_key (str): The secret that names the account. The customer portal shows it under General Settings,
            section API. Example: XXXXX-XXXX-XXXXXX.
        callback_config_id (str): The id of a callback configuration, which names the agent's number. The customer
            portal shows it on the page Callback Configurations. Example: XXXXX-XXXX-XXXXXX.
        callback_number (str): The customer's telephone number in E.164 form: a plus sign, the country code and the
            number, at most 15 digits and nothing else. TENIOS's documentation says "phone number" only and shows this form.
            Example: +491234567890.
        delay (int): How many seconds to wait before the agent is called; 0 calls at once. TENIOS's table calls it a
            string, but each of its JSON examples has a number; a number was chosen. No upper limit is documented. Example:
            30.
        agent_announcement (str | Unset): A text that is read aloud to the agent who answers, before the customer is
            called. The voice follows the language of the text. Optional; nothing is read aloud without it. Example: A
            customer asks for a call about order 4711..
        dtmf_key_to_trigger_customer_call (str | Unset): The key that the agent must press before the customer is
            called: a digit, `*` or `#`. Optional; without it the customer is called as soon as the agent has answered.
            Example: 1.
    """

    access_key: str
    callback_config_id: str
    callback_number: str
    delay: int
    agent_announcement: str | Unset = UNSET
    dtmf_key_to_trigger_customer_call: str | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        access_key = self.access_key

        callback_config_id = self.callback_config_id

        callback_number = self.callback_number

        delay = self.delay

        agent_announcement = self.agent_announcement

        dtmf_key_to_trigger_customer_call = self.dtmf_key_to_trigger_customer_call

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "access_key": access_key,
                "callback_config_id": callback_config_id,
                "callback_number": callback_number,
                "delay": delay,
            }
        )
        if agent_announcement is not UNSET:
            field_dict["agent_announcement"] = agent_announcement
        if dtmf_key_to_trigger_customer_call is not UNSET:
            field_dict["dtmf_key_to_trigger_customer_call"] = (
                dtmf_key_to_trigger_customer_call
            )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        access_key = d.pop("access_key")

        callback_config_id = d.pop("callback_config_id")

        callback_number = d.pop("callback_number")

        delay = d.pop("delay")

        agent_announcement = d.pop("agent_announcement", UNSET)

        dtmf_key_to_trigger_customer_call = d.pop(
            "dtmf_key_to_trigger_customer_call", UNSET
        )

        init_callback_request = cls(
            access_key=access_key,
            callback_config_id=callback_config_id,
            callback_number=callback_number,
            delay=delay,
            agent_announcement=agent_announcement,
            dtmf_key_to_trigger_customer_call=dtmf_key_to_trigger_customer_call,
        )

        return init_callback_request
