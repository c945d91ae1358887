"""
TENIOS callbacks without surprises: nobody is dialled twice, the key stays secret, and you hear the truth about a call.

::

    from tenios_ext import Tenios

    with Tenios() as tenios:
        outcome = tenios.start_callback("+49 221 4710123").wait()
    print("They talked." if outcome.connected else f"The {outcome.failed_party} was not reached.")
"""

from tenios_client.models import CallbackStatus

from .callback import AsyncCallback, Callback
from .client import AsyncTenios, Tenios
from .clock import Clock
from .errors import (
    BadCredentialsError,
    CallbackTimeoutError,
    InvalidRequestError,
    NotPlacedError,
    NotSentError,
    OutcomeUnknownError,
    RejectedError,
    StatusUnavailableError,
    TeniosError,
)
from .numbers import to_e164
from .outcome import CallbackHandle, Outcome, Sighting, Update
from .pacing import Pacing, default_pacing
from .status import Party, is_final
from .version import __version__

__all__ = [
    "AsyncCallback",
    "AsyncTenios",
    "BadCredentialsError",
    "Callback",
    "CallbackHandle",
    "CallbackStatus",
    "CallbackTimeoutError",
    "Clock",
    "InvalidRequestError",
    "NotPlacedError",
    "NotSentError",
    "Outcome",
    "OutcomeUnknownError",
    "Pacing",
    "Party",
    "RejectedError",
    "Sighting",
    "StatusUnavailableError",
    "Tenios",
    "TeniosError",
    "Update",
    "__version__",
    "default_pacing",
    "is_final",
    "to_e164",
]
