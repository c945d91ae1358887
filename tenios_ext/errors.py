"""
Every exception that this package raises on its own account.

::

    TeniosError
    ├── NotPlacedError                  no telephone rings because of this call; it may be made again
    │   ├── InvalidRequestError         an argument is wrong (also a ValueError); nothing was sent
    │   ├── NotSentError                no connection was made; nothing was sent
    │   └── RejectedError               TENIOS said no
    │       └── BadCredentialsError     … to the access key or to the callback config id
    ├── OutcomeUnknownError             the telephones may be ringing; do not simply call again
    ├── StatusUnavailableError          the status of a callback could not be had
    └── CallbackTimeoutError            the caller's limit has passed (also a TimeoutError); the callback goes on

Starting a callback raises from the first two branches only, everything about a running callback from the last two, so an
``except NotPlacedError`` around both can never take trouble with a running callback for leave to dial again.

No exception carries the access key. To keep that true in tracebacks that show local variables, too, the exceptions of the
HTTP library, which hold the request, are not chained: their type and text are in ``reason``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tenios_client.models import CallbackStatus

    from .outcome import CallbackHandle, Outcome


class TeniosError(Exception):
    """
    The root of all errors of this package.

    Attributes:
        http_status: The HTTP status of the answer; None where there was none.
        error_code: The answer's ``error_code``, such as ``BAD_CREDENTIALS``; None where it had none.
        error_message: The answer's ``error_message``; None where it had none.
        fields: The names of the request's fields that the answer called wrong.
        retry_after: Seconds that the answer's ``Retry-After`` header asked to wait; None where it had none.
        reason: What the network or the HTTP library reported, in its words; None where it reported nothing.
    """

    def __init__(
        self,
        message: str,
        *,
        http_status: int | None = None,
        error_code: str | None = None,
        error_message: str | None = None,
        fields: tuple[str, ...] = (),
        retry_after: float | None = None,
        reason: str | None = None,
    ) -> None:
        super().__init__(message)
        self.http_status = http_status
        self.error_code = error_code
        self.error_message = error_message
        self.fields = fields
        self.retry_after = retry_after
        self.reason = reason

    def __reduce__(self) -> tuple[Any, ...]:
        return _revive, (type(self), self.args, self.__dict__)


def _revive(cls: type[TeniosError], args: tuple[str, ...], state: dict[str, Any]) -> TeniosError:
    error = cls.__new__(cls, *args)
    error.args = args  # A TimeoutError is an OSError, which leaves this to __init__.
    error.__dict__.update(state)
    return error


class NotPlacedError(TeniosError):
    """No callback was started by this call, for certain. It may be made again, corrected where the error says so."""


class InvalidRequestError(NotPlacedError, ValueError):
    """An argument is wrong. Nothing was sent."""


class NotSentError(NotPlacedError):
    """No connection to TENIOS was made. Nothing was sent."""


class RejectedError(NotPlacedError):
    """TENIOS refused to start the callback."""


class BadCredentialsError(RejectedError):
    """
    TENIOS refused the access key or the callback config id.

    TENIOS gives the same answer to both (source: its documentation of the Callback API), so the message names both.
    """


class OutcomeUnknownError(TeniosError):
    """
    The request may have reached TENIOS, and no usable answer came back. The telephones may be ringing.

    TENIOS documents no idempotency key and no way to look a callback up without its id, so nobody can find out by program.
    Calling again may ring the same person twice: ask a human, or the customer, first.
    """


class StatusUnavailableError(TeniosError):
    """
    The status of a callback could not be had; the callback itself is not touched by that.

    Attributes:
        credentials_refused: True where the answer said that the access key is wrong; asking again is of no use then.
    """

    credentials_refused: bool = False


class CallbackTimeoutError(TeniosError, TimeoutError):
    """
    The limit that the caller gave has passed. The callback itself goes on; ``tenios.callback(error.handle)`` picks it up.

    Attributes:
        handle: The callback that was followed.
        last_status: The newest status that was seen; None where none was.
        outcome: What was seen up to now.
    """

    handle: CallbackHandle
    last_status: CallbackStatus | None
    outcome: Outcome
