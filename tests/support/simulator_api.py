"""Requests to a simulator without a client and without HTTP."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tenios_simulator import ACCESS_KEY, CALLBACK_CONFIG_ID

if TYPE_CHECKING:
    from tenios_simulator import Simulator

INIT = "/callback/init"
STATUS = "/callback/status"
#: A valid init request.
INIT_BODY = {
    "access_key": ACCESS_KEY,
    "callback_config_id": CALLBACK_CONFIG_ID,
    "callback_number": "+492214710123",
    "delay": 30,
}


def post(simulator: Simulator, path: str, body: object) -> tuple[int, Any]:
    """Send *body*, as bytes or as JSON; return the status and the body of the response."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = simulator.handle_request("POST", path, content)
    return response.status, response.body


def poll(simulator: Simulator, callback_id: object) -> tuple[int, Any]:
    """Send a status request. Return the status and body of the response."""
    return post(simulator, STATUS, {"access_key": ACCESS_KEY, "id": callback_id})
