"""
The exceptions of this package.

::

    TeniosError
    ├── NotPlacedError                no phone rings because of this call; you may call again
    │   ├── InvalidArgumentError      an argument is invalid (also a ValueError); nothing was sent
    │   │   └── InvalidNumberError    … the number: invalid, special or not allowed
    │   ├── BlockedNumberError        the number is blocked in the ledger; nothing was sent
    │   ├── NumberInUseError          another call to the number is in progress; nothing was sent
    │   ├── NotSentError              no connection; nothing was sent
    │   └── RejectedError             TENIOS rejected the request
    │       └── BadCredentialsError   … because of the access key or the callback config id
    ├── OutcomeUnknownError           phones may be ringing; do not call again
    ├── StatusUnavailableError        the status of a callback could not be fetched
    ├── CallbackTimeoutError          a limit of watch or wait has passed (also a TimeoutError)
    ├── LedgerUnavailableError        the database of a ledger is not available
    └── ConfigurationError            a setting is missing or invalid (also a ValueError)

Only ``start_callback`` raises errors of the first two branches, and it raises no others. So an
``except NotPlacedError`` around starting and following a callback does not catch errors of a
running callback.

No exception contains the access key. Those of the HTTP library contain the request, so they are not
chained; ``reason`` has their type and text.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

if TYPE_CHECKING:
    from ._models import CallbackHandle, Outcome


class ErrorDetails(TypedDict, total=False):
    """The attributes of each error; see :class:`TeniosError`."""

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
        http_status: The HTTP status of the response; None without a response.
        error_code: The ``error_code`` in the response, such as ``BAD_CREDENTIALS``, or None.
        error_message: The ``error_message`` in the response, or None.
        fields: The names of the request fields that TENIOS rejected.
        retry_after: Seconds to wait, from the ``Retry-After`` header of the response or of a
            :class:`NumberInUseError`; else None.
        reason: The error of the network, the HTTP library or the database, or None.
    """

    def __init__(self, message: str, **details: Unpack[ErrorDetails]) -> None:
        super().__init__(message)
        self.http_status = details.get("http_status")
        self.error_code = details.get("error_code")
        self.error_message = details.get("error_message")
        self.fields = details.get("fields", ())
        self.retry_after = details.get("retry_after")
        self.reason = details.get("reason")


class NotPlacedError(TeniosError):
    """This call started no callback. You may call again, with corrected arguments if needed."""


class InvalidArgumentError(NotPlacedError, ValueError):
    """An argument is invalid. Nothing was sent."""


class InvalidNumberError(InvalidArgumentError):
    """
    The number is invalid or ambiguous, or the settings do not allow it. Nothing was sent.

    In a web app, the visitor should enter another number. Other InvalidArgumentErrors are mistakes
    in the program.
    """


class BlockedNumberError(NotPlacedError):
    """The number is blocked in the ledger; see :meth:`.Ledger.block`. Nothing was sent."""


class NumberInUseError(NotPlacedError):
    """
    A callback to the number with another key may be in progress, and ``one_call_per_number`` is
    set. Nothing was sent.

    ``retry_after`` is the maximum time in seconds until that callback has ended. You may call again
    earlier if its end is seen earlier.
    """


class NotSentError(NotPlacedError):
    """No connection to TENIOS was made. Nothing was sent."""


class RejectedError(NotPlacedError):
    """TENIOS rejected the request. No callback was started."""


class BadCredentialsError(RejectedError):
    """
    TENIOS rejected the access key or the callback config id.

    It sends the same response for both (source: its documentation of the Callback API).
    """


class OutcomeUnknownError(TeniosError):
    """
    The request may have reached TENIOS, but there was no valid response. Phones may be ringing.

    The API cannot tell you whether a callback was started: it has no idempotency key and no search.
    Ask the agent or the customer before you call again.
    """


class StatusUnavailableError(TeniosError):
    """
    The status of a callback could not be fetched. The callback itself is not affected.

    Attributes:
        credentials_refused: Whether TENIOS rejected the access key. If true, do not poll again.
    """

    def __init__(
        self, message: str, *, credentials_refused: bool = False, **details: Unpack[ErrorDetails]
    ) -> None:
        super().__init__(message, **details)
        self.credentials_refused = credentials_refused


class CallbackTimeoutError(TeniosError, TimeoutError):
    """
    A limit of ``watch`` or ``wait`` has passed. The callback is still running. To resume, use
    ``tenios.callback(error.handle)``.

    Attributes:
        outcome: The outcome so far.
    """

    def __init__(self, message: str, *, outcome: Outcome) -> None:
        super().__init__(message)
        self.outcome = outcome

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), outcome=self.outcome), self.args, self.__dict__

    @property
    def handle(self) -> CallbackHandle:
        """The handle of the callback."""
        return self.outcome.handle


class LedgerUnavailableError(TeniosError):
    """The database of a ledger is not available. ``start_callback`` raises NotSentError instead."""


class ConfigurationError(TeniosError, ValueError):
    """A setting is missing or invalid. Raised when you create a client or a ledger."""
