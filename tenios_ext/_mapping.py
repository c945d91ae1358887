"""
Maps arguments to request models, and responses and exceptions to results and errors.

Every failure of an init request maps to one of two facts: the callback was not placed, or the
outcome is unknown.
"""

from __future__ import annotations

import re
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from tenios_client.models import (
    CallbackStatus,
    CallbackStatusRequest,
    CallbackStatusResponse,
    InitCallbackRequest,
    StartedCallback,
)
from tenios_client.types import UNSET

from ._exceptions import (
    BadCredentialsError,
    InvalidArgumentError,
    NotSentError,
    OutcomeUnknownError,
    RejectedError,
    StatusUnavailableError,
    TeniosError,
)
from ._models import MAX_DELAY, MAX_ID
from ._phone import to_e164
from ._transport import KEY_IS_ADDED_LATER, UnexpectedStatusError

if TYPE_CHECKING:
    import httpx

    from ._attempt import Attempt
    from ._exceptions import ErrorDetails
    from ._settings import Secret, Settings

_BAD_REQUEST = 400
_UNAUTHORIZED = {401, 403}
_REJECTED = _UNAUTHORIZED | {_BAD_REQUEST, 404, 405, 413, 415, 422, 429}
_MAX_QUOTE = 200
_MAX_TEXT = 2000
_MAX_FIELDS = 20
_MAX_STATUS = 64
_STATUSES = frozenset(CallbackStatus)
_MAX_DIGITS = 19
_DECIMAL = r"0|[1-9][0-9]{0,18}"
_LARGEST_EXACT = 2**53 - 1  # The floats from here on may be rounded numbers.
_DTMF_KEYS = frozenset("0123456789*#")
CREDENTIALS_HINT = (
    "TENIOS sends this response for a wrong access key and for an unknown callback config id. "
    "Compare both with the TENIOS portal (General Settings, API; and Callback Configurations), and "
    "ask TENIOS support whether the callback function is activated for your account."
)
UNKNOWN_HINT = (
    "Phones may be ringing: do not simply call again, or the same person may be called twice."
)


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
    Return the request that starts a callback, without the access key. Raises InvalidArgumentError
    if an argument is wrong.
    """
    try:
        return _init_request(
            settings,
            number,
            delay=delay,
            agent_announcement=agent_announcement,
            dtmf_key=dtmf_key,
            callback_config_id=callback_config_id,
        )
    except InvalidArgumentError as error:
        # The key may have been given in the wrong place.
        message = _cleaned(str(error), settings.access_key)
    raise InvalidArgumentError(message)


def status_request(callback_id: int) -> CallbackStatusRequest:
    """Return the request for the status of a callback, without the access key."""
    return CallbackStatusRequest(access_key=KEY_IS_ADDED_LATER, id=callback_id)


def _init_request(
    settings: Settings,
    number: str,
    *,
    delay: float | timedelta,
    agent_announcement: str | None,
    dtmf_key: str | None,
    callback_config_id: str | None,
) -> InitCallbackRequest:
    config_id = (
        callback_config_id if callback_config_id is not None else settings.callback_config_id
    )
    if not config_id:
        raise InvalidArgumentError(
            "There is no callback config id. Pass callback_config_id=..., or set "
            "TENIOS_CALLBACK_CONFIG_ID. You find it in the TENIOS portal on the page Callback "
            "Configurations.",
        )
    given: object = number
    try:
        e164 = to_e164(
            number,
            region=settings.region,
            allowed_regions=settings.allowed_regions,
            allow_special_numbers=settings.allow_special_numbers,
        )
    except (TypeError, ValueError) as error:
        # The message may quote a part of the number.
        has_key = isinstance(given, str) and settings.access_key.redact(given) != given
        message = "number has the access key in it." if has_key else str(error)
        raise InvalidArgumentError(message) from None
    if settings.allowed_numbers is not None and e164 not in settings.allowed_numbers:
        raise InvalidArgumentError(
            f"{e164} is not one of this client's allowed numbers. Nothing was sent."
        )
    return InitCallbackRequest(
        access_key=KEY_IS_ADDED_LATER,
        callback_config_id=_text("callback_config_id", config_id),
        callback_number=e164,
        delay=_whole_seconds(delay),
        agent_announcement=UNSET
        if agent_announcement is None
        else _text("agent_announcement", agent_announcement),
        dtmf_key_to_trigger_customer_call=UNSET if dtmf_key is None else _dtmf_key(dtmf_key),
    )


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise InvalidArgumentError(f"{name} must be a str, got {type(value).__name__}.")
    if not value.strip():
        raise InvalidArgumentError(f"{name} is empty. Leave it out instead.")
    try:
        value.encode()
    except UnicodeEncodeError:
        message = f"{name} has half a character (a lone surrogate) in it, which cannot be sent."
    else:
        return value
    raise InvalidArgumentError(message)


def _dtmf_key(value: object) -> str:
    if not isinstance(value, str) or value not in _DTMF_KEYS:
        raise InvalidArgumentError("dtmf_key must be one phone key: '0' to '9', '*' or '#'.")
    return value


def _whole_seconds(delay: object) -> int:
    seconds: object = delay.total_seconds() if isinstance(delay, timedelta) else delay
    if (
        isinstance(seconds, bool)
        or not isinstance(seconds, (int, float))
        or seconds != seconds // 1
    ):
        raise InvalidArgumentError(
            f"delay must be a whole number of seconds, or a timedelta of such, got {delay!r}."
        )
    if not 0 <= seconds <= MAX_DELAY:
        raise InvalidArgumentError(
            f"delay must be between 0 and {MAX_DELAY} seconds, got {delay!r}."
        )
    return int(seconds)


def callback_id(response: object) -> int:
    """
    Return the id in an init response. Raises ValueError if there is none that can be trusted.

    It may be a number, also one such as 10.0, or digits as text. Other text, such as "010", may be
    an id of another kind.
    """
    value: object = response.id if isinstance(response, StartedCallback) else None
    if (isinstance(value, str) and re.fullmatch(_DECIMAL, value)) or (
        isinstance(value, float) and value.is_integer() and abs(value) <= _LARGEST_EXACT
    ):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_ID:
        raise ValueError("The response has no callback id.")
    return value


def callback_status(response: object, key: Secret) -> CallbackStatus:
    """
    Return the status in a status response. Raises ValueError if there is none.

    A status that this version does not know is returned as it is, if it is a short printable text.
    """
    status = response.status if isinstance(response, CallbackStatusResponse) else None
    if status is None or not (status in _STATUSES or _is_presentable(status, key)):
        raise ValueError("The response has no valid status.")
    return status


def _is_presentable(text: str, key: Secret) -> bool:
    return 0 < len(text) <= _MAX_STATUS and text.isprintable() and key.redact(text) == text


def map_init_error(error: Exception, key: Secret, attempt: Attempt) -> TeniosError:
    """
    Return the error to raise when *error* ended an init request. What was sent is known from
    *attempt* alone.
    """
    try:
        return _map_init_error(error, key, attempt)
    except Exception as trouble:  # noqa: BLE001 - whatever the response or an exception of the caller's does, the caller hears of it
        return OutcomeUnknownError(
            f"The request may have reached TENIOS ({type(error).__name__}, "
            f"{type(trouble).__name__}). {UNKNOWN_HINT}",
            http_status=attempt.http_status,
        )


def map_status_error(error: Exception, key: Secret, attempt: Attempt) -> StatusUnavailableError:
    """Return the error to raise when *error* ended a status request."""
    try:
        return _map_status_error(error, key, attempt)
    except Exception as trouble:  # noqa: BLE001 - as above
        return StatusUnavailableError(
            f"The status could not be fetched ({type(error).__name__}, {type(trouble).__name__}). "
            "Try again later.",
            http_status=attempt.http_status,
        )


def _map_init_error(error: Exception, key: Secret, attempt: Attempt) -> TeniosError:
    if attempt.nothing_sent:
        reason = _reason(error, key)
        return NotSentError(
            f"Could not connect to TENIOS, so nothing was sent ({reason}). Call again later.",
            reason=reason,
        )
    if isinstance(error, UnexpectedStatusError):
        return map_rejection(error.response, key)
    reason = _reason(error, key)
    return OutcomeUnknownError(
        f"The request may have reached TENIOS, but no usable response came back ({reason}). "
        f"{UNKNOWN_HINT}",
        http_status=attempt.http_status,
        reason=reason,
    )


def _map_status_error(error: Exception, key: Secret, attempt: Attempt) -> StatusUnavailableError:
    if not isinstance(error, UnexpectedStatusError):
        reason = _reason(error, key)
        return StatusUnavailableError(
            f"The status could not be fetched ({reason}). Try again later.",
            http_status=attempt.http_status,
            reason=reason,
        )
    details = error_fields(error.response, key)
    if _is_credentials(details):
        return StatusUnavailableError(
            f"TENIOS refused the status request ({_quote(details)}). {CREDENTIALS_HINT}",
            credentials_refused=True,
            **details,
        )
    return StatusUnavailableError(
        f"TENIOS did not return the status ({_quote(details)}).", **details
    )


def map_rejection(response: httpx.Response, key: Secret) -> TeniosError:
    """Return the error to raise for an init response that is not a 200."""
    details = error_fields(response, key)
    if _is_credentials(details):
        return BadCredentialsError(
            f"TENIOS refused the credentials ({_quote(details)}). {CREDENTIALS_HINT}", **details
        )
    if response.status_code in _REJECTED:
        return RejectedError(
            f"TENIOS refused to start the callback ({_quote(details)}).", **details
        )
    return OutcomeUnknownError(
        f"TENIOS's response does not say whether the callback was started ({_quote(details)}). "
        f"{UNKNOWN_HINT}",
        **details,
    )


def error_fields(response: httpx.Response, key: Secret) -> ErrorDetails:
    """Return the attributes of an error, as far as the response has them in the documented form."""
    try:
        body = response.json()
    except Exception:  # noqa: BLE001 - whatever is wrong with the body, the status is known
        body = None
    body = body if isinstance(body, dict) else {}
    code, message, fields = (body.get(name) for name in ("error_code", "error_message", "fields"))
    names = [name for name in fields if isinstance(name, str)] if isinstance(fields, list) else []
    return {
        "http_status": response.status_code,
        "error_code": _cleaned(code, key) if isinstance(code, str) else None,
        "error_message": _cleaned(message, key) if isinstance(message, str) else None,
        "fields": tuple(_cleaned(name, key) for name in names[:_MAX_FIELDS]),
        "retry_after": _retry_after(response.headers),
    }


def _is_credentials(details: ErrorDetails) -> bool:
    status = details["http_status"]
    return status in _UNAUTHORIZED or (
        status == _BAD_REQUEST and details["error_code"] == "BAD_CREDENTIALS"
    )


def _quote(details: ErrorDetails) -> str:
    texts = [details["error_code"], details["error_message"], ", ".join(details["fields"])]
    return _shorten(
        ": ".join([f"HTTP {details['http_status']}", *(text for text in texts if text)])
    )


def _retry_after(headers: httpx.Headers) -> float | None:
    """
    Return the seconds, from either form of the header (RFC 9110, 10.2.3). A date counts from the
    response's own Date.
    """
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdecimal():
        return float(value[:_MAX_DIGITS])
    try:
        return max(
            0.0,
            (parsedate_to_datetime(value) - parsedate_to_datetime(headers["Date"])).total_seconds(),
        )
    except (ArithmeticError, LookupError, TypeError, ValueError):
        return None


def _reason(error: Exception, key: Secret) -> str:
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - an exception of the caller's own may fail even here
        text = ""
    return _shown(f"{type(error).__name__}: {text}" if text else type(error).__name__, key)


def _shown(text: str, key: Secret) -> str:
    return _shorten(_cleaned(text, key))


def _cleaned(text: str, key: Secret) -> str:
    """Return *text* without the key, printable on any terminal, and of a bounded length."""
    printable = "".join(each if each.isprintable() else " " for each in key.redact(text))
    return _shorten(printable, _MAX_TEXT)


def _shorten(text: str, length: int = _MAX_QUOTE) -> str:
    return text if len(text) <= length else text[:length] + "…"
