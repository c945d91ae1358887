# Generated from openapi.yaml by openapi-python-client. Do not edit: change the contract and run "make generate".
"""Contains all the data models used in inputs/outputs"""

from .callback_error import CallbackError
from .callback_status import CallbackStatus
from .callback_status_request import CallbackStatusRequest
from .callback_status_response import CallbackStatusResponse
from .init_callback_request import InitCallbackRequest
from .started_callback import StartedCallback

__all__ = (
    "CallbackError",
    "CallbackStatus",
    "CallbackStatusRequest",
    "CallbackStatusResponse",
    "InitCallbackRequest",
    "StartedCallback",
)
