"""The simulator over HTTP, in real time: uvicorn, small and widely used, serves; both are in the extra ``simulator``."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from contextlib import suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING, Literal

import uvicorn
from starlette.requests import ClientDisconnect
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ..clock import SystemClock
from .control import PREFIX, Control, read
from .simulator import Simulator

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from starlette.types import Receive, Scope, Send
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

    from .journey import Journey
    from .reply import Reply

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_GRACE_SECONDS = 5
_FASTEST = 1_000_000
_LAST_PORT = 65_535
_UPGRADE = re.compile(rb"^upgrade(?=[ \t]*:)", re.IGNORECASE | re.MULTILINE)
_NAME = re.compile(r"[\w.-]+", re.ASCII)
# Who listens on all addresses is reached at the loopback's, among others.
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what to do when a user has chosen it
_CONNECTION = "tenios_simulator.connection"


class FastClock(SystemClock):
    """The machine's clock, going *speed* times as fast."""

    def __init__(self, speed: float) -> None:
        super().__init__()
        if not 0 < speed <= _FASTEST:
            raise ValueError(f"The speed is a number greater than 0 and not above {_FASTEST}, not {speed}.")
        self._speed = speed
        self._start = super().now()

    def now(self) -> float:
        """Seconds since the epoch, stretched from the start on."""
        return self._start + (super().now() - self._start) * self._speed

    def sleep(self, seconds: float) -> None:
        """Wait for as long as *seconds* take at this speed."""
        super().sleep(seconds / self._speed)

    async def async_sleep(self, seconds: float) -> None:
        """Wait for as long as *seconds* take at this speed, and let other tasks go on meanwhile."""
        await super().async_sleep(seconds / self._speed)


class Application:
    """
    The simulator as an ASGI application: TENIOS's operations, the control API, the console.

    Args:
        simulator: What answers.
        hosts: Names beside those of the loopback under which the control API may be spoken to.
        stopping: Whether the server is about to end.
    """

    def __init__(
        self, simulator: Simulator, *, hosts: Collection[str] = (), stopping: Callable[[], bool] = lambda: False
    ) -> None:
        self._simulator = simulator
        self._control = Control(simulator, hosts=hosts, stopping=stopping)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; what is not ours the exchange answers, whatever its method and path."""
        try:
            if scope["path"] == "/" or scope["path"].startswith(f"{PREFIX}/"):
                await self._control(scope, receive, send)
            else:
                await self._serve(scope, receive, send)
        except ClientDisconnect:
            pass  # A part of a request is none: nobody is dialled for it.
        except asyncio.CancelledError:
            # The server ends and has waited for long enough: whoever is not done loses the connection, as with any server.
            _lose(scope, receive, "dropped")

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await read(receive)
        content_type = next((value for name, value in scope["headers"] if name == b"content-type"), b"").decode(
            "latin-1"
        )
        reply = self._simulator.answer(scope["method"], scope["path"], body, content_type=content_type)
        if reply.wait:
            await self._simulator.clock.async_sleep(reply.wait)
        if reply.lost:
            _lose(scope, receive, reply.lost)
        else:
            await _answer(send, reply)


async def _answer(send: Send, reply: Reply) -> None:
    content = reply.content
    headers = {"Content-Type": "application/json", "Content-Length": str(len(content)), **reply.headers}
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": raw})
    await send({"type": "http.response.body", "body": content})


def _lose(scope: Scope, receive: Receive, how: Literal["dropped", "reset"]) -> None:
    connection: asyncio.Transport = scope["state"][_CONNECTION]
    if how == "reset":
        with suppress(OSError):  # Whoever has gone by now need not be told.
            connection.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    connection.abort()
    # Else uvicorn would take the answer for forgotten. Its own notice of the connection's end may come too late, and of several
    # requests that came at once only the last has it.
    cycle: RequestResponseCycle = receive.__self__  # type: ignore[attr-defined] # a method of it
    cycle.disconnected = True


class _Protocol(HttpToolsProtocol):
    """
    Tells the application which connection a request came by, so that it can be lost on purpose.

    Takes no notice of an offer to speak another protocol, as Java's own client makes it; httptools would lose the request's body
    (uvicorn's issue 2722). Where the same word begins a line of a body, that is no JSON anyway.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        self.app_state = {**self.app_state, _CONNECTION: transport}
        # asyncio does so only for sockets that it has made itself; without it each answer waits 40 ms for an acknowledgement.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        super().data_received(_UPGRADE.sub(b"Ignored", data))


class Server(uvicorn.Server):
    """
    A server of a simulator.

    Args:
        simulator: What answers.
        host: The address to listen on.
        port: The port to listen on; 0 for a free one.
        hosts: Names beside those of the loopback under which the control API may be spoken to.

    Attributes:
        simulator: What answers.
        address: Where it listens, such as ``http://127.0.0.1:8311``.

    Raises:
        OSError: It cannot listen there.
        ValueError: *host* is empty, which would be every address of this machine; *port* is none; one of *hosts* is no name of
            a host, such as a URL.
    """

    def __init__(
        self, simulator: Simulator, *, host: str = "127.0.0.1", port: int = 0, hosts: Collection[str] = ()
    ) -> None:
        if not host:
            raise ValueError("The host to listen on is empty; 0.0.0.0 is every address of this machine.")
        if not 0 <= port <= _LAST_PORT:
            raise ValueError(f"A port is a number from 0 to {_LAST_PORT}, not {port}.")
        for name in hosts:
            _check_name(name)
        self.simulator = simulator
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, port), family=family)
        reached = _EVERYWHERE.get(host, host)
        shown = f"[{reached}]" if family == socket.AF_INET6 else reached
        self.address = f"http://{shown}:{self._listener.getsockname()[1]}"
        application = Application(simulator, hosts=[*hosts, host], stopping=lambda: self.should_exit)
        super().__init__(
            uvicorn.Config(
                application,
                http=_Protocol,
                loop="asyncio",  # the same wherever, also where uvloop is installed
                ws="none",
                lifespan="off",
                log_config=None,  # as the program that serves has it
                log_level="warning",
                access_log=False,
                proxy_headers=False,  # Nothing here asks where a request comes from.
                server_header=False,
                timeout_graceful_shutdown=_GRACE_SECONDS,
            ),
        )

    def serve_forever(self) -> None:
        """Serve until a signal, or ``should_exit``; answers under way are finished first, those of the next five seconds."""
        with suppress(KeyboardInterrupt):
            self.run(sockets=[self._listener])


def _check_name(host: str) -> None:
    try:
        if not _NAME.fullmatch(host):
            ip_address(host)
    except ValueError:
        raise ValueError(
            f"A host that is allowed is a name without scheme and port, such as simulator, not {host!r}."
        ) from None


def make_server(
    *, host: str, port: int, speed: float, journey: Journey | None = None, hosts: Collection[str] = ()
) -> Server:
    """
    A server of a simulator in real time.

    Args:
        host: The address to listen on.
        port: The port to listen on; 0 for a free one.
        speed: How many seconds pass in the exchange in one second.
        journey: What happens in each callback.
        hosts: Names beside those of the loopback under which the control API may be spoken to.

    Raises:
        OSError: It cannot listen there.
        ValueError: As Server and FastClock say it.
    """
    return Server(Simulator(journey=journey, clock=FastClock(speed)), host=host, port=port, hosts=hosts)
