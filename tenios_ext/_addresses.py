"""Resolves the names of hosts."""

from __future__ import annotations

import socket
from typing import NoReturn

import httpcore

#: The maximum time to connect to one of several addresses (seconds).
ADDRESS_SECONDS = 1.0


def addresses_of(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError(str(error)) from error
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def too_late(reason: str) -> NoReturn:
    raise httpcore.ConnectTimeout(f"The name of the host could not be resolved: {reason}")
