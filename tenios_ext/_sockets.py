"""
Connections for threads: httpcore's, with name resolution and all addresses of a host inside the
time limit of a connection.
"""

from __future__ import annotations

import socket
from typing import Any, NoReturn

import httpcore

from ._attempt import share
from ._clock import running_time
from ._hosts import is_address
from ._threads import in_thread


class SocketBackend(httpcore.SyncBackend):
    """Makes connections for threads."""

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, *arguments: Any, **options: Any
    ) -> httpcore.NetworkStream:
        end = None if timeout is None else running_time() + timeout
        addresses = (
            [host]
            if is_address(host)
            else in_thread(addresses_of, host, port, late=too_late, seconds=timeout, daemon=True)
        )
        while True:
            seconds = share(end, len(addresses))
            try:
                return super().connect_tcp(addresses.pop(0), port, seconds, *arguments, **options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if not addresses:
                    raise


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
