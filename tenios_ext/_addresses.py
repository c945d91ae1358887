"""The addresses of a host."""

from __future__ import annotations

import ipaddress
import socket
from typing import NoReturn

import httpcore


def is_address(host: str) -> bool:
    """Return whether *host* is an IP address, and no name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def addresses_of(host: str, port: int) -> list[str]:
    """Return the addresses of a host."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError(str(error)) from error
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def too_late() -> NoReturn:
    """Raise ConnectTimeout, since the system's resolver takes too long."""
    raise httpcore.ConnectTimeout("The host's name could not be resolved in time.")
