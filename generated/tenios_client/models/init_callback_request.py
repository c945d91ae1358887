# Generated from openapi.yaml by openapi-python-client. Do not edit: change the contract and run "make generate".
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar

from attrs import define as _attrs_define

from ..types import UNSET, Unset

T = TypeVar("T", bound="InitCallbackRequest")


@_attrs_define
class InitCallbackRequest:
    """The callback to start.

    Attributes:
        access_key (str): The secret that identifies the account. It is shown in TENIOS's customer portal under General
            Settings, section API. Keep it out of logs, as you do with passwords. It has no `format: password`, because some
            generated clients then send asterisks instead. Example: XXXXX-XXXX-XXXXXX.
        callback_config_id (str): The id of the callback configuration, which has the agent's number. It is shown in
            TENIOS's customer portal, on the page Callback Configurations. Example: XXXXX-XXXX-XXXXXX.
        callback_number (str): The customer's phone number in E.164 form: a plus sign, the country code and the number,
            7 to 15 digits in all and no separators. TENIOS documents no format; its example has this form. Example:
            +491234567890.
        delay (int): Seconds to wait before the agent is called; 0 to call at once. TENIOS documents no upper limit.
            This contract has the largest 32-bit integer, 2147483647, so that every generated client can hold the value. A
            number was chosen because each JSON example in TENIOS's [documentation](https://www.tenios.de/en/doc/api-
            callback) has one, although its table of parameters says string. Example: 30.
        agent_announcement (str | Unset): A text that is read to the agent before the customer is called, in a voice for
            the language of the text. By default, nothing is read. TENIOS documents no limit. This contract has 5000
            characters, some minutes of speech. Example: A customer asks for a call about order 4711..
        dtmf_key_to_trigger_customer_call (str | Unset): The key the agent must press before the customer is called: a
            digit, `*` or `#`. By default, the customer is called as soon as the agent has answered. Example: 1.
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
