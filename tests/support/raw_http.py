"""HTTP requests as bytes on a socket, for cases that an HTTP client cannot send or observe."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, TypeVar

from support.simulator_api import INIT_BODY

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenios_simulator import Server

_Found = TypeVar("_Found")

#: A valid request to ``POST /callback/init``.
INIT: dict[str, Any] = {**INIT_BODY, "delay": 0}


def raw_request(path: str, document: dict[str, Any], *headers: str) -> bytes:
    """
    Return a POST request as bytes. It is complete unless *headers* has another ``Content-Length``.
    """
    body = json.dumps(document).encode()
    lines = [
        "Host: localhost",
        "Content-Type: application/json",
        *(headers or [f"Content-Length: {len(body)}"]),
    ]
    return "\r\n".join([f"POST {path} HTTP/1.1", *lines, "", ""]).encode() + body


def socket_address(server: Server) -> tuple[str, int]:
    return "127.0.0.1", int(server.address.rpartition(":")[2])


def wait_until(find: Callable[[], _Found]) -> _Found:
    """
    Return the first true result of *find*, which is polled because the server offers nothing to
    wait for.
    """
    while not (found := find()):
        time.sleep(0.01)
    return found
