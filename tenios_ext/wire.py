"""
From arguments to the generated request models, and from what came back to an answer or an error.

Whatever goes wrong while a callback is started ends in one of two facts: it was certainly not placed, or nobody knows.
"""

from __future__ import annotations

import re
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import httpx
from tenios_client.models import (
    CallbackStatusRequest,
    CallbackStatusResponse,
    InitCallbackRequest,
    InitCallbackResponse,
)
from tenios_client.types import UNSET

from .errors import (
    BadCredentialsError,
    InvalidRequestError,
    NotSentError,
    OutcomeUnknownError,
    RejectedError,
    StatusUnavailableError,
    TeniosError,
)
from .numbers import to_e164
from .transport import NotConnected, NotOk

if TYPE_CHECKING:
    from tenios_client.models import CallbackStatus

    from .settings import Secret, Settings

LARGEST_DELAY = 2**31 - 1
_NOT_CONNECTED = (NotConnected, httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
# What reading a body raises; only that of a 200 is read before anything else is known of it.
_UNREADABLE = (LookupError, RecursionError, TypeError, ValueError)
_BAD_REQUEST = 400
_UNAUTHORIZED = {401, 403}
_REJECTED = _UNAUTHORIZED | {_BAD_REQUEST, 404, 405, 413, 415, 422, 429}
_LONGEST_QUOTE = 200
_LONGEST_ID = 19

CREDENTIALS_HINT = (
    "TENIOS gives this answer to a wrong access key and to an unknown callback config id. Compare both with the TENIOS portal "
    "(General Settings, API; and Callback Configurations), and ask TENIOS's support whether the callback function is "
    "activated for the account."
)
UNKNOWN_HINT = "The telephones may be ringing: do not simply call again, or the same person may be called twice."


def init_request(
    settings: Settings,
    number: str,
    *,
    delay: float | timedelta,
    agent_announcement: str | None,
    dtmf_key: str | None,
    callback_config_id: str | None,
) -> InitCallbackRequest:
    """The request that starts a callback. Raises InvalidRequestError where an argument is wrong."""
    config_id = callback_config_id if callback_config_id is not None else settings.callback_config_id
    if not config_id:
        raise InvalidRequestError(
            "There is no callback config id. Pass callback_config_id=... or set TENIOS_CALLBACK_CONFIG_ID; "
            "it is in the TENIOS portal on the page Callback Configurations.",
        )
    e164 = to_e164(number, region=settings.region)
    if settings.allowed_numbers is not None and e164 not in settings.allowed_numbers:
        raise InvalidRequestError(f"{e164} is not among the allowed numbers of this client; nobody was called.")
    if agent_announcement is not None and not agent_announcement.strip():
        raise InvalidRequestError("agent_announcement is empty; leave it out to announce nothing.")
    if dtmf_key is not None and not re.fullmatch(r"[0-9*#]", dtmf_key):
        raise InvalidRequestError(f"dtmf_key is one key of a telephone, '0' to '9', '*' or '#', not {dtmf_key!r}.")
    return InitCallbackRequest(
        access_key=settings.access_key,
        callback_config_id=config_id,
        callback_number=e164,
        delay=_seconds(delay),
        agent_announcement=agent_announcement if agent_announcement is not None else UNSET,
        dtmf_key_to_trigger_customer_call=dtmf_key if dtmf_key is not None else UNSET,
    )


def status_request(settings: Settings, callback_id: int) -> CallbackStatusRequest:
    """The request that asks about a callback."""
    return CallbackStatusRequest(access_key=settings.access_key, id=callback_id)


def _seconds(delay: object) -> int:
    seconds: object = delay.total_seconds() if isinstance(delay, timedelta) else delay
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or seconds != seconds // 1:
        raise InvalidRequestError(f"delay is a whole number of seconds or a timedelta of such, not {delay!r}.")
    if not 0 <= seconds <= LARGEST_DELAY:
        raise InvalidRequestError(f"delay is between 0 and {LARGEST_DELAY} seconds, not {delay!r}.")
    return int(seconds)


def callback_id(answer: object) -> int:
    """The id in an answer to ``init``, which may be a number or its decimal text. Raises ValueError without one."""
    value = answer.id if isinstance(answer, InitCallbackResponse) else None
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= _LONGEST_ID:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("The answer has no callback id.")
    return value


def callback_status(answer: object) -> CallbackStatus:
    """The status in an answer to ``status``. Raises ValueError without one."""
    if not isinstance(answer, CallbackStatusResponse) or not answer.status:
        raise ValueError("The answer has no status.")
    return answer.status


def dial_failure(error: Exception, key: Secret) -> TeniosError:
    """What it means that *error* ended the attempt to start a callback."""
    if isinstance(error, NotOk):
        return _refusal(error.response, key)
    reason = _reason(error, key)
    if isinstance(error, _NOT_CONNECTED):
        return NotSentError(
            f"TENIOS was not reached, and nothing was sent ({reason}). Call again later.", reason=reason
        )
    return OutcomeUnknownError(
        f"The request may have reached TENIOS, but no usable answer came back ({reason}). {UNKNOWN_HINT}",
        http_status=200 if isinstance(error, _UNREADABLE) else None,
        reason=reason,
    )


def status_failure(error: Exception, key: Secret) -> StatusUnavailableError:
    """What it means that *error* ended a question for the status."""
    if not isinstance(error, NotOk):
        reason = _reason(error, key)
        return StatusUnavailableError(f"The status could not be had ({reason}). Ask again later.", reason=reason)
    facts = _facts(error.response, key)
    failure = StatusUnavailableError(f"TENIOS did not give the status ({_quote(facts)}).", **facts)
    failure.credentials_refused = _is_credentials(facts)
    if failure.credentials_refused:
        failure.args = (f"TENIOS refused to give the status ({_quote(facts)}). {CREDENTIALS_HINT}",)
    return failure


def _refusal(response: httpx.Response, key: Secret) -> TeniosError:
    facts = _facts(response, key)
    if _is_credentials(facts):
        return BadCredentialsError(f"TENIOS refused the credentials ({_quote(facts)}). {CREDENTIALS_HINT}", **facts)
    if response.status_code in _REJECTED:
        return RejectedError(f"TENIOS refused to start the callback ({_quote(facts)}).", **facts)
    return OutcomeUnknownError(
        f"TENIOS's answer does not say whether the callback was started ({_quote(facts)}). {UNKNOWN_HINT}",
        **facts,
    )


def _is_credentials(facts: dict[str, Any]) -> bool:
    code_says_so = facts["http_status"] == _BAD_REQUEST and facts["error_code"] == "BAD_CREDENTIALS"
    return code_says_so or facts["http_status"] in _UNAUTHORIZED


def _facts(response: httpx.Response, key: Secret) -> dict[str, Any]:
    """The attributes of an error, as far as the answer has them in the documented shape."""
    try:
        body = response.json()
    except Exception:  # noqa: BLE001 - whatever is wrong with the body, the status is known
        body = None
    body = body if isinstance(body, dict) else {}
    texts = {name: body.get(name) for name in ("error_code", "error_message")}
    fields = body.get("fields")
    return {
        "http_status": response.status_code,
        **{name: key.hidden_in(text) if isinstance(text, str) else None for name, text in texts.items()},
        "fields": tuple(key.hidden_in(f) for f in fields if isinstance(f, str)) if isinstance(fields, list) else (),
        "retry_after": _retry_after(response.headers),
    }


def _quote(facts: dict[str, Any]) -> str:
    parts = [f"HTTP {facts['http_status']}", facts["error_code"], facts["error_message"], ", ".join(facts["fields"])]
    text = ": ".join(part for part in parts if part)
    return text if len(text) <= _LONGEST_QUOTE else text[:_LONGEST_QUOTE] + "…"


def _retry_after(headers: httpx.Headers) -> float | None:
    """Seconds, from either form of the header (RFC 9110, 10.2.3); a date is measured from the answer's own Date."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdecimal():
        return float(value[:_LONGEST_ID])
    try:
        return max(0.0, (parsedate_to_datetime(value) - parsedate_to_datetime(headers["Date"])).total_seconds())
    except (KeyError, TypeError, ValueError):
        return None


def _reason(error: Exception, key: Secret) -> str:
    text = key.hidden_in(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)
    return text if len(text) <= _LONGEST_QUOTE else text[:_LONGEST_QUOTE] + "…"
