"""The generated models accept values that the contract does not list."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING

import pytest
from tenios_client.models import CallbackError, CallbackStatus, CallbackStatusResponse

if TYPE_CHECKING:
    from collections.abc import Callable


def test_unknown_status_is_kept_as_a_callback_status() -> None:
    response = CallbackStatusResponse.from_dict({"status": "ON_HOLD"})
    assert response.status == "ON_HOLD"
    assert isinstance(response.status, CallbackStatus)
    assert str(response.status) == response.status.name == response.status.value == "ON_HOLD"
    assert response.to_dict() == {"status": "ON_HOLD"}
    assert "ON_HOLD" not in CallbackStatus.__members__


@pytest.mark.parametrize("status", [CallbackStatus.CONNECTED, CallbackStatus("ON_HOLD")])
@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda status: pickle.loads(pickle.dumps(status))]
)
def test_status_is_copied_and_pickled(
    status: CallbackStatus, copied: Callable[[CallbackStatus], CallbackStatus]
) -> None:
    result = copied(status)
    assert type(result) is CallbackStatus
    assert result.name == result.value == status.value


def test_unknown_statuses_are_equal_by_value() -> None:
    assert (
        len({CallbackStatus("ON_HOLD"), CallbackStatus("ON_HOLD"), CallbackStatus("PARKED")}) == 2
    )


def test_status_that_is_not_text_is_refused() -> None:
    with pytest.raises(ValueError, match="7 is not a valid CallbackStatus"):
        CallbackStatusResponse.from_dict({"status": 7})


def test_unknown_error_code_is_kept() -> None:
    response = CallbackError.from_dict(
        {"error_code": "UNDOCUMENTED_CODE", "error_message": "Some text"}
    )
    assert response.error_code == "UNDOCUMENTED_CODE"
