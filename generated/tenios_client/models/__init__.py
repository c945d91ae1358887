# Generated from openapi.yaml by openapi-python-client. Do not edit: change the contract and run "make generate".
"""Contains all the data models used in inputs/outputs"""

from .callback_status import CallbackStatus
from .callback_status_request import CallbackStatusRequest
from .callback_status_response import CallbackStatusResponse
from .error_response import ErrorResponse
from .init_callback_request import InitCallbackRequest
from .init_callback_response import InitCallbackResponse

__all__ = (
    "CallbackStatus",
    "CallbackStatusRequest",
    "CallbackStatusResponse",
    "ErrorResponse",
    "InitCallbackRequest",
    "InitCallbackResponse",
)
