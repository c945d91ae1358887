"""The simulator as an httpx transport, without sockets and with the simulator's clock."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenios_ext import Clock

    from ._response import Response


class InProcessTransport(httpx.MockTransport):  # TENIOS_OFFLINE allows these
    """
    Passes requests to a simulator. Raises httpx's errors if a response is lost or late.

    Args:
        handle: :meth:`Simulator.handle_request`.
        clock: The simulator's clock.
    """

    def __init__(self, handle: Callable[..., Response], clock: Clock) -> None:
        super().__init__(self.handle_request)
        self._handle = handle
        self._clock = clock

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Return the response to *request*."""
        response = self._respond(request, request.read())
        self._clock.sleep(min(response.delay, _read_timeout(request)))
        return _to_httpx(request, response)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return the response to *request*."""
        response = self._respond(request, await request.aread())
        await self._clock.async_sleep(min(response.delay, _read_timeout(request)))
        return _to_httpx(request, response)

    def _respond(self, request: httpx.Request, body: bytes) -> Response:
        content_type = request.headers.get("Content-Type", "")
        return self._handle(request.method, request.url.path, body, content_type=content_type)


def _read_timeout(request: httpx.Request) -> float:
    timeout: float | None = request.extensions.get("timeout", {}).get("read")
    return timeout if timeout is not None else math.inf


def _to_httpx(request: httpx.Request, response: Response) -> httpx.Response:
    if response.delay > _read_timeout(request):
        raise httpx.ReadTimeout("The read operation timed out", request=request)
    if response.disconnect == "close":
        raise httpx.RemoteProtocolError(
            "Server disconnected without sending a response.", request=request
        )
    if response.disconnect == "reset":
        raise httpx.ReadError("Connection reset by peer", request=request)
    headers = {"Content-Type": "application/json", **response.headers}
    return httpx.Response(response.status, headers=headers, content=response.content)
