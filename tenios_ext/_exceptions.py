"""
The exceptions of this package.

::

    TeniosError
    ├── NotPlacedError                no phone rings because of this call; it may be made again
    │   ├── InvalidArgumentError      an argument is wrong (also a ValueError); nothing was sent
    │   ├── BlockedNumberError        the number is blocked in the ledger; nothing was sent
    │   ├── NumberInUseError          the number may be in another call; nothing was sent
    │   ├── NotSentError              no connection was made; nothing was sent
    │   └── RejectedError             TENIOS refused
    │       └── BadCredentialsError   … the access key or the callback config id
    ├── OutcomeUnknownError           phones may be ringing; do not simply call again
    ├── StatusUnavailableError        the status of a callback could not be fetched
    ├── CallbackTimeoutError          the caller's limit has passed (also a TimeoutError)
    ├── LedgerUnavailableError        the database of a ledger could not be read or changed
    └── ConfigurationError            a setting is missing or wrong (also a ValueError)

``start_callback`` raises errors from the first two branches only, and nothing else does. An
``except NotPlacedError`` around starting and watching a callback therefore never mistakes trouble
with a running callback for permission to call again.

No exception carries the access key. The HTTP library's exceptions hold the request with the key in
it, and tracebacks with local variables would show it, so they are not chained; ``reason`` has their
type and text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict, Unpack

if TYPE_CHECKING:
    from tenios_client.models import CallbackStatus

    from ._models import CallbackHandle, Outcome


class ErrorDetails(TypedDict, total=False):
    """The attributes that each error has; see :class:`TeniosError`."""

    http_status: int | None
    error_code: str | None
    error_message: str | None
    fields: tuple[str, ...]
    retry_after: float | None
    reason: str | None


class TeniosError(Exception):
    """
    The base class of all errors in this package.

    Attributes:
        http_status: The HTTP status of the response; None if there was no response.
        error_code: The response's ``error_code``, such as ``BAD_CREDENTIALS``; None if it had none.
        error_message: The response's ``error_message``; None if it had none.
        fields: The names of the request fields that the response called wrong.
        retry_after: Seconds to wait, from the response's ``Retry-After`` header, or of a
            :class:`NumberInUseError`; else None.
        reason: What the network or the HTTP library reported, in its words; None if it reported
            nothing.
    """

    def __init__(self, message: str, **details: Unpack[ErrorDetails]) -> None:
        super().__init__(message)
        self.http_status = details.get("http_status")
        self.error_code = details.get("error_code")
        self.error_message = details.get("error_message")
        self.fields = details.get("fields", ())
        self.retry_after = details.get("retry_after")
        self.reason = details.get("reason")

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickle, (type(self), self.args, self.__dict__)


def _unpickle(cls: type[TeniosError], args: tuple[str, ...], state: dict[str, Any]) -> TeniosError:
    error = cls.__new__(cls, *args)
    error.args = args  # A TimeoutError is an OSError, which sets them in __init__ only.
    error.__dict__.update(state)
    return error


class NotPlacedError(TeniosError):
    """
    No callback was started by this call. It may be made again, corrected if the error says so.
    """


class InvalidArgumentError(NotPlacedError, ValueError):
    """An argument is wrong. Nothing was sent."""


class BlockedNumberError(NotPlacedError):
    """The number is blocked in the ledger; see :meth:`.Ledger.block`. Nothing was sent."""


class NumberInUseError(NotPlacedError):
    """
    A callback to the number may be in progress under another key, and the client has
    ``one_call_per_number`` set. Nothing was sent.

    ``retry_after`` says after how many seconds it cannot be any more, by its delay and the longest
    call. If the callback is seen to end earlier, the number is free from then on.
    """


class NotSentError(NotPlacedError):
    """No connection to TENIOS was made. Nothing was sent."""


class RejectedError(NotPlacedError):
    """TENIOS refused to start the callback."""


class BadCredentialsError(RejectedError):
    """
    TENIOS refused the access key or the callback config id.

    TENIOS sends the same response for both (source: its documentation of the Callback API), so the
    message names both.
    """


class OutcomeUnknownError(TeniosError):
    """
    The request may have reached TENIOS, but no usable response came back. Phones may be ringing.

    TENIOS documents neither an idempotency key nor a way to find a callback without its id, so no
    program can find out. Calling again may ring the same person twice: ask the agent or the
    customer first.
    """


class StatusUnavailableError(TeniosError):
    """
    The status of a callback could not be fetched. The callback itself is not affected.

    Attributes:
        credentials_refused: Whether TENIOS refused the access key. If so, polling again is of no
            use.
    """

    def __init__(
        self, message: str, *, credentials_refused: bool = False, **details: Unpack[ErrorDetails]
    ) -> None:
        super().__init__(message, **details)
        self.credentials_refused = credentials_refused


class CallbackTimeoutError(TeniosError, TimeoutError):
    """
    The limit that the caller set has passed. The callback goes on;
    ``tenios.callback(error.handle)`` picks it up again.

    Attributes:
        outcome: What was seen of the callback until then.
    """

    def __init__(self, message: str, *, outcome: Outcome) -> None:
        super().__init__(message)
        self.outcome = outcome

    @property
    def handle(self) -> CallbackHandle:
        """The callback."""
        return self.outcome.handle

    @property
    def last_status(self) -> CallbackStatus | None:
        """The newest status that was seen; None if none was."""
        return self.outcome.status


class LedgerUnavailableError(TeniosError):
    """
    The database of a ledger could not be read or changed. ``start_callback`` raises NotSentError
    instead.
    """


class ConfigurationError(TeniosError, ValueError):
    """A setting is missing or wrong. Raised when a client or ledger is made."""
