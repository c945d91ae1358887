"""What the generated package makes of values that the contract does not know yet."""

from __future__ import annotations

import pickle

import pytest
from tenios_client.models import CallbackStatus, CallbackStatusResponse, ErrorResponse


def test_unknown_status_survives_as_itself() -> None:
    """A status that TENIOS adds tomorrow arrives as its text, not as a crash."""
    answer = CallbackStatusResponse.from_dict({"status": "ON_HOLD"})
    assert answer.status == "ON_HOLD"
    assert isinstance(answer.status, CallbackStatus)
    assert str(answer.status) == answer.status.name == answer.status.value == "ON_HOLD"
    assert answer.to_dict() == {"status": "ON_HOLD"}
    assert pickle.loads(pickle.dumps(answer.status)) == answer.status
    assert "ON_HOLD" not in CallbackStatus.__members__


def test_unknown_statuses_are_equal_by_value() -> None:
    """Two answers with the same unknown status are the same news."""
    assert len({CallbackStatus("ON_HOLD"), CallbackStatus("ON_HOLD"), CallbackStatus("PARKED")}) == 2


def test_status_that_is_no_text_is_refused() -> None:
    """Only texts are statuses."""
    with pytest.raises(ValueError, match="7 is not a valid CallbackStatus"):
        CallbackStatusResponse.from_dict({"status": 7})


def test_unknown_error_code_survives_as_itself() -> None:
    """The list of error codes is open."""
    answer = ErrorResponse.from_dict({"error_code": "ON_STRIKE", "error_message": "Nobody is here"})
    assert answer.error_code == "ON_STRIKE"
