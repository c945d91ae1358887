"""The simulator over HTTP, in real time: uvicorn, small and widely used, serves; both are in the extra ``simulator``."""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from typing import TYPE_CHECKING

import uvicorn
from starlette.requests import Request
from starlette.responses import Response
from uvicorn.protocols.http.h11_impl import H11Protocol

from ..clock import SystemClock
from .control import PREFIX, Control, read
from .simulator import Simulator

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Collection

    from starlette.types import Receive, Scope, Send

    from .journey import Journey
    from .reply import Reply

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_GRACE_SECONDS = 5
_CONNECTION = "tenios_simulator.connection"


class FastClock(SystemClock):
    """The machine's clock, going *speed* times as fast."""

    def __init__(self, speed: float) -> None:
        super().__init__()
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
        if scope["path"] == "/" or scope["path"].startswith(f"{PREFIX}/"):
            await self._control(scope, receive, send)
            return
        request = Request(scope, receive)
        content_type = request.headers.get("content-type", "")
        reply = self._simulator.answer(request.method, scope["path"], await read(request), content_type=content_type)
        if reply.wait:
            await self._simulator.clock.async_sleep(reply.wait)
        if reply.lost:
            await _lose(request, reply)
        else:
            headers = {"Content-Type": "application/json", **reply.headers}
            await Response(reply.content, reply.status, headers)(scope, receive, send)


async def _lose(request: Request, reply: Reply) -> None:
    connection: asyncio.Transport = request.scope["state"][_CONNECTION]
    if reply.lost == "reset":
        connection.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    connection.abort()
    # Whoever returns before the connection has ended is taken to have forgotten the answer.
    while (await request.receive())["type"] != "http.disconnect":
        pass


class _Protocol(H11Protocol):
    """Tells the application which connection a request came by, so that it can be lost on purpose."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        self.app_state = {**self.app_state, _CONNECTION: transport}
        super().connection_made(transport)


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
    """

    def __init__(
        self, simulator: Simulator, *, host: str = "127.0.0.1", port: int = 0, hosts: Collection[str] = ()
    ) -> None:
        self.simulator = simulator
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, port), family=family)
        shown = f"[{host}]" if family == socket.AF_INET6 else host
        self.address = f"http://{shown}:{self._listener.getsockname()[1]}"
        application = Application(simulator, hosts=[*hosts, host], stopping=lambda: self.should_exit)
        super().__init__(
            uvicorn.Config(
                application,
                http=_Protocol,
                ws="none",
                lifespan="off",
                log_level="warning",
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=_GRACE_SECONDS,
            ),
        )

    def serve_forever(self) -> None:
        """Serve until a signal, or ``should_exit``; answers under way are finished first."""
        with suppress(KeyboardInterrupt):
            self.run(sockets=[self._listener])


def serve(
    *,
    host: str,
    port: int,
    speed: float,
    journey: Journey | None = None,
    hosts: Collection[str] = (),
    ready: Callable[[str], None],
) -> None:
    """
    Serve until interrupted.

    Args:
        host: The address to listen on.
        port: The port to listen on; 0 for a free one.
        speed: How many seconds pass in the exchange in one second.
        journey: What happens in each callback.
        hosts: Names beside those of the loopback under which the control API may be spoken to.
        ready: Called with the server's address once it listens.
    """
    server = Server(Simulator(journey=journey, clock=FastClock(speed)), host=host, port=port, hosts=hosts)
    ready(server.address)
    server.serve_forever()
