"""The simulator as an httpx transport: no socket, and no time but the exchange's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from ..clock import Clock
    from .reply import Reply
    from .service import Service


class InProcessTransport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Hands requests to the service, and its answers, or their loss, back as httpx tells them."""

    def __init__(self, service: Service, clock: Clock) -> None:
        self._service = service
        self._clock = clock

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer."""
        reply = self._reply(request, request.read())
        self._clock.sleep(_patience(request, reply))
        return _response(request, reply)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer."""
        reply = self._reply(request, await request.aread())
        await self._clock.async_sleep(_patience(request, reply))
        return _response(request, reply)

    def _reply(self, request: httpx.Request, body: bytes) -> Reply:
        content_type = request.headers.get("Content-Type", "")
        return self._service.answer(request.method, request.url.path, body, content_type=content_type)


def _limit(request: httpx.Request) -> float:
    limit: float | None = request.extensions.get("timeout", {}).get("read")
    return limit if limit is not None else float("inf")


def _patience(request: httpx.Request, reply: Reply) -> float:
    return min(reply.wait, _limit(request))


def _response(request: httpx.Request, reply: Reply) -> httpx.Response:
    if reply.wait > _limit(request):
        raise httpx.ReadTimeout("The read operation timed out", request=request)
    if reply.lost == "dropped":
        raise httpx.RemoteProtocolError("Server disconnected without sending a response.", request=request)
    if reply.lost == "reset":
        raise httpx.ReadError("Connection reset by peer", request=request)
    headers = {"Content-Type": "application/json", **reply.headers}
    return httpx.Response(reply.status, headers=headers, content=reply.content)
