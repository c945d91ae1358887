"""The simulator as a test uses it: an exchange in process, its virtual clock, and clients that are wired to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from ..client import AsyncTenios, Tenios
from .exchange import Exchange
from .journey import Journey
from .service import Service
from .virtual_clock import VirtualClock

if TYPE_CHECKING:
    from ..clock import Clock

ACCESS_KEY = "SIMULATOR-ACCESS-KEY"
CALLBACK_CONFIG_ID = "SIMULATOR-CONFIG"
_ADDRESS = "http://localhost"


class Simulator:
    """
    A telephone exchange with one account.

    Args:
        journey: What happens in each callback; by default both answer and talk.
        clock: Its time; by default a virtual one, which the clients' sleeping advances.
    """

    def __init__(self, *, journey: Journey | None = None, clock: Clock | None = None) -> None:
        self.clock = clock if clock is not None else VirtualClock()
        accounts = {ACCESS_KEY: frozenset({CALLBACK_CONFIG_ID})}
        self.exchange = Exchange(accounts, journey or Journey.answered(), self.clock.now)
        self.service = Service(self.exchange)

    @property
    def dialled(self) -> list[str]:
        """The numbers that were to be called, in the order of the requests."""
        return [callback.number for callback in self.exchange.callbacks.values()]

    def client(self) -> Tenios:
        """A client of this simulator, in process."""
        return Tenios(
            ACCESS_KEY,
            CALLBACK_CONFIG_ID,
            base_url=_ADDRESS,
            transport=httpx.MockTransport(self._answer),
            clock=self.clock,
        )

    def async_client(self) -> AsyncTenios:
        """A client of this simulator for asyncio, in process."""
        return AsyncTenios(
            ACCESS_KEY,
            CALLBACK_CONFIG_ID,
            base_url=_ADDRESS,
            transport=httpx.MockTransport(self._answer),
            clock=self.clock,
        )

    def _answer(self, request: httpx.Request) -> httpx.Response:
        reply = self.service.answer(request.method, request.url.path, request.content)
        return httpx.Response(reply.status, json=reply.body, headers=reply.headers)
