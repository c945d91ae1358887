"""What the sync and the async client share. Imports neither of them."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from ._exceptions import NotSentError
from ._models import MAX_ID, CallbackHandle
from ._polling import back_off

if TYPE_CHECKING:
    from tenios_client.models import CallbackStatus

    from ._clock import Clock
    from ._exceptions import StatusUnavailableError, TeniosError
    from ._polling import PollState

DEFAULT_TIMEOUT = 30.0
# How many requests Callback.status() makes before it gives up, and the seconds before its second
# one.
STATUS_ATTEMPTS = 3
# Callback.status() waits for no longer than this, since it may be called in a web request
# (seconds).
_MAX_RETRY_PAUSE = 5.0
_FIRST_RETRY_AFTER = 0.5
_REDIRECTION, _TOO_MANY_REQUESTS, _SERVER_ERROR = 300, 429, 500
_MAX_DIGITS = len(str(MAX_ID))

logger = logging.getLogger("tenios_ext")
logger.addHandler(logging.NullHandler())


class HttpClient(Protocol):
    """An httpx client, sync or async."""

    @property
    def is_closed(self) -> bool:
        """Whether it was closed."""
        ...


def describe(client: object) -> str:
    """Return the client's repr, also while a traceback shows one that could not be made."""
    settings = vars(client).get("_settings")
    return (
        f"{type(client).__name__}({settings.base_url!r})"
        if settings
        else f"{type(client).__name__}()"
    )


def raise_if_closed(http: HttpClient) -> None:
    """Raise NotSentError if the client was closed."""
    if http.is_closed:
        raise NotSentError("This client is closed, so nothing was sent. Make a new one.")


def warn_if_open(client: object) -> None:
    """Warn that a client was not closed."""
    http = vars(client).get("_http")  # There is none if the client could not be made.
    if http is not None and not http.is_closed:
        warnings.warn(f"{client!r} was not closed", ResourceWarning, stacklevel=3, source=client)


def to_handle(callback: int | str | CallbackHandle, clock: Clock) -> CallbackHandle:
    """
    Return the handle of a callback that is given by its id or handle. Raises TypeError or
    ValueError.
    """
    if isinstance(callback, CallbackHandle):
        return callback
    is_digits = (
        isinstance(callback, str)
        and callback.isascii()
        and callback.isdecimal()
        and len(callback) <= _MAX_DIGITS
    )
    number: Any = int(callback) if is_digits else callback
    if isinstance(number, bool) or not isinstance(number, int | str):
        raise TypeError(
            f"A callback must be given by its id or its handle, got {type(callback).__name__}."
        )
    if isinstance(number, str) or not 0 <= number <= MAX_ID:
        raise ValueError(
            f"A callback id must be a whole number from 0 to {MAX_ID}, got {callback!r}."
        )
    return CallbackHandle(number, started_at=clock.now())


def log_start(callback_id: int) -> None:
    """Log that a callback was started."""
    logger.info("callback %d started", callback_id, extra={"callback_id": callback_id})


def record_status(state: PollState, status: CallbackStatus, now: float) -> CallbackStatus | None:
    """Record and log a status; return it if it is a change."""
    if not state.record_status(status, now):
        return None
    callback_id = state.handle.id
    extra = {"callback_id": callback_id, "callback_status": str(status)}
    logger.info("callback %d is %s", callback_id, status, extra=extra)
    return status


def log_start_failure(error: TeniosError) -> None:
    """Log that no callback was confirmed."""
    logger.warning("callback not confirmed: %s", error, extra={"error": type(error).__name__})


def log_status_failure(error: StatusUnavailableError, callback_id: int, attempt: int) -> None:
    """Log that a status could not be fetched."""
    logger.info(
        "status unavailable: %s", error, extra={"callback_id": callback_id, "attempt": attempt}
    )


def retry_pause(error: StatusUnavailableError, attempt: int) -> float:
    """
    Return the seconds until the next attempt. Raises *error* if that would be of no use, or takes
    too long.
    """
    status = error.http_status
    if (
        status is not None
        and _REDIRECTION <= status < _SERVER_ERROR
        and status != _TOO_MANY_REQUESTS
    ):
        raise error
    pause = back_off(_FIRST_RETRY_AFTER, failures=attempt - 1, retry_after=error.retry_after)
    if pause > _MAX_RETRY_PAUSE:
        raise error
    return pause


def reraise(interruption: BaseException, *, note: str | None = None) -> NoReturn:
    """
    Let Ctrl-C and cancellation through, without the HTTP library's frames, whose variables hold the
    key.
    """
    interruption.__context__ = None
    if note is not None:
        interruption.add_note(note)
    raise interruption.with_traceback(None)
