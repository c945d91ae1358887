"""
Python client for the TENIOS Callback API.

::

    from tenios_ext import NotPlacedError, OutcomeUnknownError, Tenios

    with Tenios() as tenios:
        try:
            callback = tenios.start_callback("+49 221 4710123")
        except NotPlacedError as error:
            print("No phone rings, you may call again:", error)
        except OutcomeUnknownError as error:
            print("Phones may be ringing, do not call again:", error)
        else:
            print("Connected." if callback.wait().connected else "Not connected.")
"""

from typing import TYPE_CHECKING

from tenios_client.models import CallbackStatus

from ._clock import Clock
from ._connections import EventHooks
from ._exceptions import (
    BadCredentialsError,
    BlockedNumberError,
    CallbackTimeoutError,
    ConfigurationError,
    ErrorDetails,
    InvalidArgumentError,
    InvalidNumberError,
    LedgerUnavailableError,
    NotPlacedError,
    NotSentError,
    NumberInUseError,
    OutcomeUnknownError,
    RejectedError,
    StatusUnavailableError,
    TeniosError,
)
from ._models import CallbackHandle, Outcome, Party, StatusChange, is_final
from ._phone import to_e164
from ._polling import PollInterval, default_poll_interval
from ._settings import ClientSettings
from ._sync_client import Callback, Tenios
from ._version import __version__

if TYPE_CHECKING:
    from ._async_client import AsyncCallback, AsyncTenios
    from ._watch_many import StatusUpdate

__all__ = [
    "AsyncCallback",
    "AsyncTenios",
    "BadCredentialsError",
    "BlockedNumberError",
    "Callback",
    "CallbackHandle",
    "CallbackStatus",
    "CallbackTimeoutError",
    "ClientSettings",
    "Clock",
    "ConfigurationError",
    "ErrorDetails",
    "EventHooks",
    "InvalidArgumentError",
    "InvalidNumberError",
    "LedgerUnavailableError",
    "NotPlacedError",
    "NotSentError",
    "NumberInUseError",
    "Outcome",
    "OutcomeUnknownError",
    "Party",
    "PollInterval",
    "RejectedError",
    "StatusChange",
    "StatusUnavailableError",
    "StatusUpdate",
    "Tenios",
    "TeniosError",
    "__version__",
    "default_poll_interval",
    "is_final",
    "to_e164",
]

for _name in __all__:
    if _name.endswith("Error"):  # Tracebacks name where it is imported from.
        globals()[_name].__module__ = __name__


def __getattr__(name: str) -> object:
    if name not in {"AsyncCallback", "AsyncTenios", "StatusUpdate"}:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Imported on first use (PEP 562), because asyncio takes longer to import than the rest of this
    # package.
    from . import _async_client

    return getattr(_async_client, name)
