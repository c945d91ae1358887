"""
Maps responses and exceptions to results and errors.

After a failed init request, either the callback was not placed, or the outcome is unknown. An
unrelated exception is neither.
"""

from __future__ import annotations

import json
import re
import signal
import sys
import traceback
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

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
from ._hosts import is_loopback
from ._models import MAX_ID
from ._settings import SERVICE

if TYPE_CHECKING:
    import httpx
    from tenios_client.types import Response

    from ._attempt import Attempt
    from ._exceptions import ErrorDetails
    from ._secret import Secret
    from ._settings import Settings

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
_LARGEST_EXACT = 2**53 - 1  # Larger floats may be rounded.
# The libraries, besides the standard library, whose exceptions concern the request.
_LIBRARIES = {
    *("aiohttp", "anyio", "builtins", "eventlet", "gevent", "greenlet", "h11", "httpcore", "httpx"),
    *("httpx_aiohttp", "idna", "socks", "socksio", "tenios_client", "tenios_ext"),
    *("tenios_simulator", "uvloop", "yarl"),
}
CREDENTIALS_HINT = (
    "Either the access key or the callback config id is wrong; TENIOS does not say which. Compare "
    "both with the TENIOS portal (General Settings, API; and Callback Configurations). If they are "
    "correct, ask TENIOS support whether callbacks are activated for your account."
)
UNKNOWN_HINT = (
    "Phones may be ringing. Do not call again before you have asked the agent or the customer."
)


def callback_id(response: Response[Any]) -> int:
    """
    Return the id in an init response. Raises ValueError if there is no valid one.

    It may be a number, such as 10 or 10.0, or digits as text, but not other text, such as "010". A
    second id or an error code in the same response makes it invalid.
    """
    started = response.parsed
    value: object = None
    if isinstance(started, StartedCallback) and not _is_contradictory(response.content, started):
        value = started.id
    if (isinstance(value, str) and re.fullmatch(_DECIMAL, value)) or (
        isinstance(value, float) and value.is_integer() and abs(value) <= _LARGEST_EXACT
    ):
        value = int(value)
    if not is_whole(value, MAX_ID):
        raise ValueError("The response has no valid callback id.")
    return value


def _is_contradictory(content: bytes, started: StartedCallback) -> bool:
    names: list[str] = []
    json.loads(content, object_pairs_hook=lambda pairs: names.extend(name for name, _ in pairs))
    errors = map(started.additional_properties.get, ("error_code", "error_message"))
    return names.count("id") != 1 or any(error not in {None, ""} for error in errors)


def callback_status(response: object, key: Secret) -> CallbackStatus:
    """
    Return the status in a status response. Raises ValueError if there is no valid one.

    An unknown status is valid if it is a short printable text.
    """
    if isinstance(response, CallbackStatusResponse):
        status = response.status
        is_text = 0 < len(status) <= _MAX_STATUS and status.isprintable()
        if status in _STATUSES or (is_text and not key.is_in(status)):
            return status
    raise ValueError("The response has no valid status.")


def foreign_exception(
    error: BaseException, *, outside: BaseException | None
) -> BaseException | None:
    """
    Return the unrelated exception that has ended a request, such as a time limit of Celery or the
    exception of a signal handler; None if there is none.

    Args:
        error: The exception. A library may have mapped it to a network error.
        outside: The exception that was being handled when the request began.
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


def map_init_error(error: Exception, settings: Settings, attempt: Attempt) -> TeniosError:
    """Return the error of an init request. Only *attempt* proves what was sent."""
    if attempt.may_ring and isinstance(error, UnexpectedStatusError):
        return _map_refusal(error.response, settings)
    reason, server = _reason(error, settings.access_key), _server(settings)
    if not attempt.may_ring:
        is_local = is_loopback(urlsplit(settings.base_url).hostname or "")
        advice = "Is `tenios simulate` running?" if is_local else "Call again later."
        message = f"Could not connect to {server}, so nothing was sent ({reason}). {advice}"
        return NotSentError(message, reason=reason)
    message = f"The request may have reached {server}, but there was no valid response ({reason})."
    message += f" {UNKNOWN_HINT}"
    return OutcomeUnknownError(message, http_status=attempt.http_status, reason=reason)


def map_status_error(
    error: Exception, settings: Settings, attempt: Attempt
) -> StatusUnavailableError:
    server = _server(settings)
    if not isinstance(error, UnexpectedStatusError):
        reason = _reason(error, settings.access_key)
        message = f"The status could not be fetched from {server} ({reason}). Try again later."
        return StatusUnavailableError(message, http_status=attempt.http_status, reason=reason)
    details = _details(error.response, settings.access_key)
    message = f"{server} did not return the status ({_quote(details)})."
    is_refused = _is_credentials(details)
    if is_refused:
        message += f" {CREDENTIALS_HINT}"
    return StatusUnavailableError(message, credentials_refused=is_refused, **details)


def _map_refusal(response: httpx.Response, settings: Settings) -> TeniosError:
    details, server = _details(response, settings.access_key), _server(settings)
    quote = _quote(details)
    # A rejection that contains a callback id, perhaps in broken JSON, is contradictory.
    body = _document(response)
    has_id = b'"id"' in response.content if not body else body.get("id") is not None
    if response.status_code not in _REJECTED or has_id:
        message = f"The response of {server} does not say whether the callback was started"
        return OutcomeUnknownError(f"{message} ({quote}). {UNKNOWN_HINT}", **details)
    if _is_credentials(details):
        message = f"{server} rejected the credentials ({quote}). {CREDENTIALS_HINT}"
        return BadCredentialsError(message, **details)
    return RejectedError(f"{server} rejected the request ({quote}).", **details)


def _server(settings: Settings) -> str:
    """Return how messages name the server, so that they show a wrong base URL."""
    url = settings.base_url
    return "TENIOS" if url == SERVICE else cleaned(url, settings.access_key)


def _document(response: httpx.Response) -> dict[str, Any]:
    """Return the JSON object in a response, or an empty one."""
    try:
        body = response.json()
    except Exception:  # noqa: BLE001 - the body may be anything
        return {}
    return body if isinstance(body, dict) else {}


def _details(response: httpx.Response, key: Secret) -> ErrorDetails:
    """Return the attributes of an error, as far as they have the documented form."""
    body = _document(response)
    code, message, fields = (body.get(name) for name in ("error_code", "error_message", "fields"))
    names = fields[:_MAX_FIELDS] if isinstance(fields, list) else []
    return {
        "http_status": response.status_code,
        "error_code": cleaned(code, key) if isinstance(code, str) else None,
        "error_message": cleaned(message, key) if isinstance(message, str) else None,
        "fields": tuple(cleaned(name, key) for name in names if isinstance(name, str)),
        "retry_after": _retry_after(response.headers),
    }


def _is_credentials(details: ErrorDetails) -> bool:
    status, code = details["http_status"], details["error_code"]
    return status in _UNAUTHORIZED or (status == _BAD_REQUEST and code == "BAD_CREDENTIALS")


def _quote(details: ErrorDetails) -> str:
    texts = [details["error_code"], details["error_message"], ", ".join(details["fields"])]
    return _shorten(": ".join([f"HTTP {details['http_status']}", *filter(None, texts)]))


def _retry_after(headers: httpx.Headers) -> float | None:
    """
    Return the seconds in Retry-After (RFC 9110, 10.2.3). A date is relative to the Date header, if
    there is one.
    """
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdecimal():
        return float(value[:_MAX_DIGITS])
    try:
        now = parsedate_to_datetime(headers.get("Date") or format_datetime(datetime.now(UTC)))
        wait = parsedate_to_datetime(value) - now
        return max(0.0, wait.total_seconds())
    except (ArithmeticError, LookupError, TypeError, ValueError):
        return None


def _reason(error: Exception, key: Secret) -> str:
    try:
        text = f": {error}" if str(error) else ""
    except Exception:  # noqa: BLE001 - the caller's exception may raise even here
        text = ""
    return _shorten(cleaned(type(error).__name__ + text, key))


def cleaned(text: str, key: Secret) -> str:
    """Return *text* without the key, printable and shortened."""
    printable = "".join(each if each.isprintable() else " " for each in key.redact(text))
    return _shorten(printable, _MAX_TEXT)


def _shorten(text: str, length: int = _MAX_QUOTE) -> str:
    return text if len(text) <= length else text[:length] + "…"
