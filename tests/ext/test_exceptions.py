"""The exceptions: hierarchy, attributes and pickling."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING, Any

import pytest

from tenios_ext import (
    BadCredentialsError,
    BlockedNumberError,
    CallbackHandle,
    CallbackStatus,
    CallbackTimeoutError,
    ConfigurationError,
    InvalidArgumentError,
    InvalidNumberError,
    NotPlacedError,
    NotSentError,
    NumberInUseError,
    Outcome,
    OutcomeUnknownError,
    RejectedError,
    StatusChange,
    StatusUnavailableError,
    TeniosError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

DETAILS: dict[str, Any] = {
    "http_status": 429,
    "error_code": "TOO_MANY",
    "error_message": "Slow down",
    "fields": ("delay",),
    "retry_after": 7.0,
    "reason": "ReadError: reset",
}
NO_DETAILS: dict[str, Any] = {**dict.fromkeys(DETAILS), "fields": ()}
WITH_DETAILS = [
    TeniosError,
    NotPlacedError,
    InvalidArgumentError,
    InvalidNumberError,
    BlockedNumberError,
    NumberInUseError,
    NotSentError,
    RejectedError,
    BadCredentialsError,
    OutcomeUnknownError,
    StatusUnavailableError,
    ConfigurationError,
]
OUTCOME = Outcome(
    CallbackHandle(10, delay=5, started_at=1_000_000_000),
    (
        StatusChange(CallbackStatus.REQUESTED, 1_000_000_001.0),
        StatusChange(CallbackStatus("ON_HOLD"), 1_000_000_002.5),
    ),
)


def pickled(error: Exception) -> Exception:
    revived = pickle.loads(pickle.dumps(error))
    assert isinstance(revived, Exception)
    return revived


@pytest.mark.parametrize(
    ("error", "parents"),
    [
        (TeniosError, {Exception}),
        (NotPlacedError, {TeniosError}),
        (InvalidArgumentError, {NotPlacedError, ValueError}),
        (InvalidNumberError, {InvalidArgumentError}),
        (BlockedNumberError, {NotPlacedError}),
        (NumberInUseError, {NotPlacedError}),
        (NotSentError, {NotPlacedError}),
        (RejectedError, {NotPlacedError}),
        (BadCredentialsError, {RejectedError}),
        (OutcomeUnknownError, {TeniosError}),
        (StatusUnavailableError, {TeniosError}),
        (CallbackTimeoutError, {TeniosError, TimeoutError}),
        (ConfigurationError, {TeniosError, ValueError}),
    ],
)
def test_tree_of_errors_is_the_documented_one(error: type[Exception], parents: set[type]) -> None:
    assert set(error.__bases__) == parents
    assert error.__module__ == "tenios_ext", "what tracebacks show"


@pytest.mark.parametrize("cls", WITH_DETAILS)
@pytest.mark.parametrize("details", [{}, DETAILS])
@pytest.mark.parametrize("copied", [None, pickled, copy.copy, copy.deepcopy])
def test_error_keeps_its_message_and_attributes(
    cls: type[TeniosError], details: dict[str, Any], copied: Callable[[Exception], Exception] | None
) -> None:
    error: Any = cls("What happened.", **details)
    if copied is not None:
        error = copied(error)
    assert type(error) is cls
    assert str(error) == "What happened."
    assert {name: getattr(error, name) for name in DETAILS} == {**NO_DETAILS, **details}


@pytest.mark.parametrize("copied", [None, pickled, copy.copy, copy.deepcopy])
def test_status_unavailable_error_says_whether_the_credentials_were_refused(
    copied: Callable[[Exception], Exception] | None,
) -> None:
    assert StatusUnavailableError("Try again.").credentials_refused is False
    error: Any = StatusUnavailableError("Refused.", credentials_refused=True, http_status=403)
    if copied is not None:
        error = copied(error)
    assert (error.credentials_refused, error.http_status, str(error)) == (True, 403, "Refused.")


@pytest.mark.parametrize("copied", [None, pickled, copy.copy, copy.deepcopy])
def test_callback_timeout_error_carries_the_outcome(
    copied: Callable[[Exception], Exception] | None,
) -> None:
    error: Any = CallbackTimeoutError("Too late.", outcome=OUTCOME)
    if copied is not None:
        error = copied(error)
    assert type(error) is CallbackTimeoutError
    assert str(error) == "Too late."
    assert error.args == ("Too late.",)
    assert error.outcome == OUTCOME
    assert error.handle == OUTCOME.handle
    assert {name: getattr(error, name) for name in DETAILS} == NO_DETAILS


def test_callback_timeout_error_needs_an_outcome() -> None:
    with pytest.raises(TypeError, match="outcome"):
        CallbackTimeoutError("Too late.")  # type: ignore[call-arg] # the missing argument is the test


def test_notes_survive_pickling() -> None:
    error = OutcomeUnknownError("Lost.")
    error.add_note("Order 4711")
    assert pickled(error).__notes__ == ["Order 4711"]
