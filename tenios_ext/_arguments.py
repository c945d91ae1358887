"""Checks the arguments of a call and creates the request from them."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

from tenios_client.models import CallbackStatusRequest, InitCallbackRequest
from tenios_client.types import UNSET

from ._checks import is_one_line, is_whole, must_be
from ._connections import KEY_IS_ADDED_LATER
from ._exceptions import InvalidArgumentError, InvalidNumberError
from ._models import MAX_DELAY, MAX_ID, CallbackHandle
from ._responses import cleaned
from ._settings import Settings, read_number

if TYPE_CHECKING:
    from ._clock import Clock

_DTMF_KEYS = frozenset("0123456789*#")
_MAX_DIGITS = len(str(MAX_ID))
#: Characters, as in the contract.
_MAX_ANNOUNCEMENT = 5000


def to_handle(callback: object, clock: Clock) -> CallbackHandle:
    """Return the handle for an id or a handle. Raises TypeError or ValueError."""
    if isinstance(callback, CallbackHandle):
        return callback
    if isinstance(callback, bool) or not isinstance(callback, int | str):
        raise TypeError(must_be("callback", "an id or a CallbackHandle", callback))
    if isinstance(callback, str) and callback.isascii() and callback.isdecimal():
        callback = int(callback[: _MAX_DIGITS + 1])
    return CallbackHandle(callback, started_at=clock.now())  # type: ignore[arg-type] # it is checked


def status_request(callback_id: int) -> CallbackStatusRequest:
    return CallbackStatusRequest(access_key=KEY_IS_ADDED_LATER, id=callback_id)


def init_request(
    settings: Settings,
    number: str,
    *,
    delay: float | timedelta,
    agent_announcement: str | None,
    dtmf_key: str | None,
    callback_config_id: str | None,
) -> InitCallbackRequest:
    """
    Return the request that starts a callback, without the access key.

    Raises:
        InvalidNumberError: The number is refused.
        InvalidArgumentError: An argument is invalid. The message does not contain the access key,
            even if it was passed as the wrong argument.
    """
    kind = InvalidArgumentError
    try:
        config_id = _config_id(callback_config_id, settings)
        kind = InvalidNumberError
        e164 = _number(number, settings)
        kind = InvalidArgumentError
        return InitCallbackRequest(
            access_key=KEY_IS_ADDED_LATER,
            callback_config_id=config_id,
            callback_number=e164,
            delay=_whole_seconds(delay),
            agent_announcement=(
                UNSET if agent_announcement is None else check_announcement(agent_announcement)
            ),
            dtmf_key_to_trigger_customer_call=UNSET if dtmf_key is None else _dtmf_key(dtmf_key),
        )
    except (TypeError, ValueError) as error:
        message = cleaned(str(error), settings.access_key)
    raise kind(message)


def _number(number: object, settings: Settings) -> str:
    e164 = read_number(
        number,
        settings.access_key,
        region=settings.region,
        allowed_regions=settings.allowed_regions,
        allow_special_numbers=settings.allow_special_numbers,
    )
    if settings.allowed_numbers is not None and e164 not in settings.allowed_numbers:
        raise ValueError(f"{e164} is not one of this client's allowed numbers. Nothing was sent.")
    return e164


def _config_id(config_id: object, settings: Settings) -> str:
    if config_id is None:
        config_id = settings.callback_config_id
    if config_id is None or config_id == "":
        raise ValueError(
            "The callback config id is missing. Pass callback_config_id=..., or set "
            "TENIOS_CALLBACK_CONFIG_ID. You find it in the TENIOS portal on the page Callback "
            "Configurations."
        )
    if not is_one_line(config_id):
        expected = "a str of one line without surrounding spaces"
        raise ValueError(must_be("callback_config_id", expected, config_id))
    return config_id


def check_announcement(text: object) -> str:
    """Return a valid announcement. Raises ValueError for others."""
    if not isinstance(text, str) or re.search("[\0\ud800-\udfff]", text):
        expected = "a str without NUL and half characters (lone surrogates)"
        raise ValueError(must_be("agent_announcement", expected, text))
    if not text.strip():
        raise ValueError("agent_announcement is empty. Leave it out instead.")
    if len(text) > _MAX_ANNOUNCEMENT:
        expected = f"at most {_MAX_ANNOUNCEMENT} characters"
        raise ValueError(f"agent_announcement must have {expected}, got {len(text)}.")
    return text


def _dtmf_key(value: object) -> str:
    if not isinstance(value, str) or value not in _DTMF_KEYS:
        raise ValueError(must_be("dtmf_key", "one phone key: '0' to '9', '*' or '#'", value))
    return value


def _whole_seconds(delay: object) -> int:
    seconds: object = delay.total_seconds() if isinstance(delay, timedelta) else delay
    if isinstance(seconds, float) and seconds.is_integer():
        seconds = int(seconds)
    if not is_whole(seconds, MAX_DELAY):
        expected = f"a whole number of seconds from 0 to {MAX_DELAY}"
        raise ValueError(must_be("delay", f"{expected}, or a timedelta of whole seconds", delay))
    return seconds
