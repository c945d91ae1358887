"""Serves the simulator over HTTP with uvicorn."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from contextlib import suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING, Literal

import uvicorn
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from ._control_api import ControlAPI
from ._http import PREFIX, read_body
from ._protocol import CONNECTION, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.types import Receive, Scope, Send
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

    from .._simulator import Simulator

_SHUTDOWN_TIMEOUT = 5  # seconds
_MAX_PORT = 65_535
_HOST_NAME = re.compile(r"[\w.-]+", re.ASCII)
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


def _disconnect(scope: Scope, receive: Receive, how: Literal["close", "reset"]) -> None:
    connection: asyncio.Transport = scope["state"][CONNECTION]
    if how == "reset":
        with suppress(OSError):  # the client has already disconnected
            connection.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE
            )
    connection.abort()
    # Without this, uvicorn may log that the application sent no response: it also sets it, but
    # possibly later, and for pipelined requests only on the last one.
    cycle: RequestResponseCycle = receive.__self__  # type: ignore[attr-defined] # uvicorn's receive is a bound method
    cycle.disconnected = True


class Server(uvicorn.Server):
    """
    Serves a simulator over HTTP. It listens immediately; :meth:`serve_forever` responds to
    requests.

    Args:
        simulator: The simulator; usually ``Simulator(real_time=True)``.
        host: The address to listen on.
        port: The port to listen on; 0 for a free one.
        allowed_hosts: Values of the ``Host`` header that the control API allows besides the
            loopback interface and *host*.

    Attributes:
        address: The URL of the server, such as ``http://127.0.0.1:8311``.

    Raises:
        OSError: The server cannot listen on this address and port.
        ValueError: *host* is empty, *port* is out of range, or one of *allowed_hosts* is not a host
            name.
    """

    def __init__(
        self,
        simulator: Simulator,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        allowed_hosts: Collection[str] = (),
    ) -> None:
        if not host:
            raise ValueError(
                "host must not be empty. Use 0.0.0.0 to listen on all addresses of this machine."
            )
        if not 0 <= port <= _MAX_PORT:
            raise ValueError(f"port must be from 0 to {_MAX_PORT}, got {port}.")
        for name in allowed_hosts:
            _check_host(name)
        self.simulator = simulator
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, port), family=family)
        self.address = _url(host, self._listener)
        self._control_api = ControlAPI(
            simulator, allowed_hosts=[*allowed_hosts, host], is_stopping=lambda: self.should_exit
        )
        super().__init__(
            uvicorn.Config(
                self._respond,
                interface="asgi3",
                http=Protocol,
                loop="asyncio",  # also if uvloop is installed
                ws="none",
                lifespan="off",
                log_config=None,  # left to the program that uses the server
                log_level="warning",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=_SHUTDOWN_TIMEOUT,
            ),
        )

    def serve_forever(self) -> None:
        """
        Serve until a signal arrives or ``should_exit`` is set. Pending responses are then sent for
        up to five seconds.
        """
        with suppress(KeyboardInterrupt):
            self.run(sockets=[self._listener])

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Route a request to TENIOS's operations or to the control API."""
        try:
            if scope["path"] == "/" or scope["path"].startswith(f"{PREFIX}/"):
                await self._control_api(scope, receive, send)
            else:
                await self._handle_request(scope, receive, send)
        except ClientDisconnect:
            pass  # An incomplete request is not handled, so it starts no callback.
        except asyncio.CancelledError:
            # uvicorn cancels requests that are still running after the shutdown timeout.
            _disconnect(scope, receive, "close")

    async def _handle_request(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = await read_body(request)
        content_type = request.headers.get("content-type", "")
        response = self.simulator.handle_request(
            request.method, scope["path"], body, content_type=content_type
        )
        if response.delay:
            await self.simulator.clock.async_sleep(response.delay)
        if response.disconnect:
            _disconnect(scope, receive, response.disconnect)
        else:
            headers = {"Content-Type": "application/json", **response.headers}
            await Response(response.content, response.status, headers)(scope, receive, send)


def _check_host(host: str) -> None:
    try:
        if not _HOST_NAME.fullmatch(host):
            ip_address(host)
    except ValueError:
        raise ValueError(
            "An allowed host must be a host name without a scheme or port, such as 'simulator', "
            f"got {host!r}."
        ) from None


def _url(host: str, listener: socket.socket) -> str:
    bound, port = listener.getsockname()[:2]
    is_ipv6 = listener.family == socket.AF_INET6
    # A listener on all addresses also listens on the loopback interface.
    if ip_address(bound).is_unspecified:
        host = "::1" if is_ipv6 else "127.0.0.1"
    return f"http://[{host}]:{port}" if is_ipv6 else f"http://{host}:{port}"
