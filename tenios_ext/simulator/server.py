"""The simulator over HTTP, in real time: Starlette on uvicorn, small and widely used, the extra ``simulator``."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse

from ..clock import SystemClock
from .simulator import Simulator

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive, Scope, Send

    from .journey import Journey


class FastClock(SystemClock):
    """The machine's clock, going *speed* times as fast."""

    def __init__(self, speed: float) -> None:
        super().__init__()
        self._speed = speed
        self._start = super().now()

    def now(self) -> float:
        """Seconds since the epoch, stretched from the start on."""
        return self._start + (super().now() - self._start) * self._speed


class Application:
    """The simulator as an ASGI application."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whatever its method and path: the service says itself what it does not know."""
        request = Request(scope, receive)
        reply = self._simulator.answer(request.method, request.url.path, await request.body())
        await JSONResponse(reply.body, reply.status, reply.headers)(scope, receive, send)


def serve(*, host: str, port: int, speed: float, journey: Journey | None, ready: Callable[[str], None]) -> None:
    """
    Serve until interrupted.

    Args:
        host: The address to listen on.
        port: The port to listen on; 0 for a free one.
        speed: How many seconds pass in the exchange in one second.
        journey: What happens in each callback.
        ready: Called with the server's address once it listens.
    """
    simulator = Simulator(journey=journey, clock=FastClock(speed))
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family)
    shown = f"[{host}]" if family == socket.AF_INET6 else host
    ready(f"http://{shown}:{listener.getsockname()[1]}")
    config = uvicorn.Config(Application(simulator), log_level="warning", lifespan="off")
    uvicorn.Server(config).run(sockets=[listener])
