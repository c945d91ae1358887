"""
Maps responses and exceptions to results and errors.

Every failure of an init request maps to one of two facts: the callback was not placed, or the
outcome is unknown. An exception that has nothing to do with the request is neither.
"""

from __future__ import annotations

import json
import re
import signal
import sys
import traceback
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from tenios_client.models import CallbackStatus, CallbackStatusResponse, StartedCallback

from ._checks import is_whole
from ._connections import UnexpectedStatusError
from ._exceptions import (
    BadCredentialsError,
    NotSentError,
    OutcomeUnknownError,
    RejectedError,
    StatusUnavailableError,
    TeniosError,
)
from ._models import MAX_ID

if TYPE_CHECKING:
    import httpx
    from tenios_client.types import Response

    from ._attempt import Attempt
    from ._exceptions import ErrorDetails
    from ._secret import Secret

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
# Whose exceptions say something about a request, besides those of Python's own modules.
_LIBRARIES = {
    *("aiohttp", "anyio", "builtins", "eventlet", "gevent", "greenlet", "h11", "httpcore", "httpx"),
    *("httpx_aiohttp", "idna", "socks", "socksio", "tenios_client", "tenios_ext"),
    *("tenios_simulator", "uvloop", "yarl"),
}
CREDENTIALS_HINT = (
    "TENIOS sends this response for a wrong access key and for an unknown callback config id. "
    "Compare both with the TENIOS portal (General Settings, API; and Callback Configurations), and "
    "ask TENIOS support whether the callback function is activated for your account."
)
UNKNOWN_HINT = (
    "Phones may be ringing: do not simply call again, or the same person may be called twice."
)


def callback_id(response: Response[Any]) -> int:
    """
    Return the id in an init response. Raises ValueError if there is none that can be trusted.

    It may be a number, also one such as 10.0, or digits as text. Other text, such as "010", may be
    an id of another kind. An id that stands there twice, or beside an error, is not trusted.
    """
    started = response.parsed
    if not isinstance(started, StartedCallback) or _is_contradictory(response.content, started):
        raise ValueError("The response has no callback id that can be trusted.")
    value: object = started.id
    if (isinstance(value, str) and re.fullmatch(_DECIMAL, value)) or (
        isinstance(value, float) and value.is_integer() and abs(value) <= _LARGEST_EXACT
    ):
        value = int(value)
    if not is_whole(value, MAX_ID):
        raise ValueError("The response has no callback id.")
    return value


def _is_contradictory(content: bytes, started: StartedCallback) -> bool:
    names: list[str] = []
    json.loads(content, object_pairs_hook=lambda pairs: names.extend(name for name, _ in pairs))
    beside = started.additional_properties
    return names.count("id") != 1 or any(
        beside.get(name) not in {None, ""} for name in ("error_code", "error_message")
    )


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
    return 0 < len(text) <= _MAX_STATUS and text.isprintable() and not key.is_in(text)


def foreign_exception(
    error: BaseException, *, outside: BaseException | None
) -> BaseException | None:
    """
    Return the exception that has ended a request and has nothing to do with it, such as a time
    limit of Celery's or what a signal handler has raised; None if there is none.

    Args:
        error: What was raised. The libraries may have taken it for one of the network's.
        outside: What was being handled when the request began, if anything.
    """
    while True:
        origin = type(error).__module__.partition(".")[0]
        if origin not in _LIBRARIES and origin not in sys.stdlib_module_names:
            return error
        cause = error.__cause__ or error.__context__
        if cause is None or cause is outside:
            return error if _is_of_signal_handler(error) else None
        error = cause


def _is_of_signal_handler(error: BaseException) -> bool:
    handlers = map(signal.getsignal, signal.valid_signals())
    codes = {getattr(handler, "__code__", None) for handler in handlers} - {None}
    return any(frame.f_code in codes for frame, _ in traceback.walk_tb(error.__traceback__))


def map_init_error(error: Exception, key: Secret, attempt: Attempt) -> TeniosError:
    """
    Return the error to raise when *error* ended an init request. What was sent is known from
    *attempt* alone.
    """
    if attempt.may_ring and isinstance(error, UnexpectedStatusError):
        return _map_refusal(error.response, key)
    reason = _reason(error, key)
    if not attempt.may_ring:
        return NotSentError(
            f"Could not connect to TENIOS, so nothing was sent ({reason}). Call again later.",
            reason=reason,
        )
    return OutcomeUnknownError(
        f"The request may have reached TENIOS, but no usable response came back ({reason}). "
        f"{UNKNOWN_HINT}",
        http_status=attempt.http_status,
        reason=reason,
    )


def map_status_error(error: Exception, key: Secret, attempt: Attempt) -> StatusUnavailableError:
    """Return the error to raise when *error* ended a status request."""
    if not isinstance(error, UnexpectedStatusError):
        reason = _reason(error, key)
        return StatusUnavailableError(
            f"The status could not be fetched ({reason}). Try again later.",
            http_status=attempt.http_status,
            reason=reason,
        )
    details = _details(error.response, key)
    if _is_credentials(details):
        return StatusUnavailableError(
            f"TENIOS refused the status request ({_quote(details)}). {CREDENTIALS_HINT}",
            credentials_refused=True,
            **details,
        )
    return StatusUnavailableError(
        f"TENIOS did not return the status ({_quote(details)}).", **details
    )


def _map_refusal(response: httpx.Response, key: Secret) -> TeniosError:
    details = _details(response, key)
    # A refusal with the id of a callback contradicts itself.
    is_plain = _document(response).get("id") is None
    if is_plain and _is_credentials(details):
        return BadCredentialsError(
            f"TENIOS refused the credentials ({_quote(details)}). {CREDENTIALS_HINT}", **details
        )
    if is_plain and response.status_code in _REJECTED:
        return RejectedError(
            f"TENIOS refused to start the callback ({_quote(details)}).", **details
        )
    return OutcomeUnknownError(
        f"TENIOS's response does not say whether the callback was started ({_quote(details)}). "
        f"{UNKNOWN_HINT}",
        **details,
    )


def _document(response: httpx.Response) -> dict[str, Any]:
    """Return the JSON object in a response; an empty one if there is none."""
    try:
        body = response.json()
    except Exception:  # noqa: BLE001 - whatever is wrong with the body, the status is known
        return {}
    return body if isinstance(body, dict) else {}


def _details(response: httpx.Response, key: Secret) -> ErrorDetails:
    """Return the attributes of an error, as far as the response has them in the documented form."""
    body = _document(response)
    code, message, fields = (body.get(name) for name in ("error_code", "error_message", "fields"))
    names = [name for name in fields if isinstance(name, str)] if isinstance(fields, list) else []
    return {
        "http_status": response.status_code,
        "error_code": cleaned(code, key) if isinstance(code, str) else None,
        "error_message": cleaned(message, key) if isinstance(message, str) else None,
        "fields": tuple(cleaned(name, key) for name in names[:_MAX_FIELDS]),
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
        wait = parsedate_to_datetime(value) - parsedate_to_datetime(headers["Date"])
        return max(0.0, wait.total_seconds())
    except (ArithmeticError, LookupError, TypeError, ValueError):
        return None


def _reason(error: Exception, key: Secret) -> str:
    try:
        text = f": {error}" if str(error) else ""
    except Exception:  # noqa: BLE001 - an exception of the caller's own may fail even here
        text = ""
    return _shorten(cleaned(type(error).__name__ + text, key))


def cleaned(text: str, key: Secret) -> str:
    """Return *text* without the key, printable on any terminal, and of a bounded length."""
    printable = "".join(each if each.isprintable() else " " for each in key.redact(text))
    return _shorten(printable, _MAX_TEXT)


def _shorten(text: str, length: int = _MAX_QUOTE) -> str:
    return text if len(text) <= length else text[:length] + "…"
