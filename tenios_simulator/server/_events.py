"""The console's events, serialized once for all listeners."""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import TYPE_CHECKING

from ._serializers import serialize_callback, serialize_injection, serialize_request, shorten

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from .._simulator import Simulator

_INTERVAL = 0.1  # seconds
_MAX_LISTED = 50  # callbacks, requests and faults


class EventSource:
    """
    Creates the event streams of a simulator.

    Args:
        simulator: The simulator whose state is sent.
        is_stopping: Returns whether the server is shutting down, so that the streams end.
    """

    def __init__(self, simulator: Simulator, *, is_stopping: Callable[[], bool]) -> None:
        self._simulator = simulator
        self._is_stopping = is_stopping
        self._next_check = 0.0
        self._snapshot: object = None
        self._event = ""
        self._run = secrets.token_hex(4)
        self._is_time_simulated = getattr(simulator.clock, "speed", 0) != 1

    async def stream(self) -> AsyncIterator[str]:
        """
        Yield the newest callbacks, requests and faults after each change.

        Events are complete, so a browser that misses some is up to date after the next. Their id
        changes when the simulator is restarted.
        """
        yield f"retry: 500\nid: {self._run}\n\n"
        sent = None
        while not self._is_stopping():
            self._update()
            if self._event != sent:
                sent = self._event
                yield sent
            await asyncio.sleep(_INTERVAL)

    def _update(self) -> None:
        time = asyncio.get_running_loop().time()
        if time < self._next_check:
            return  # another listener has just updated it
        self._next_check = time + _INTERVAL
        now = self._simulator.clock.now()
        callbacks = self._simulator.callbacks[-_MAX_LISTED:]
        requests = self._simulator.requests[-_MAX_LISTED:]
        injections = self._simulator.injections[-_MAX_LISTED:]
        # Time changes nothing in a callback but its history.
        snapshot = (
            callbacks,
            [len(callback.history(now)) for callback in callbacks],
            requests,
            injections,
        )
        if snapshot == self._snapshot:
            return
        state = {
            "callbacks": [serialize_callback(callback, now) for callback in callbacks],
            "requests": [serialize_request(request) for request in requests],
            "faults": [serialize_injection(injection) for injection in injections],
        }
        shown: dict[str, object] = {
            name: [shorten(item) for item in items] for name, items in state.items()
        }
        shown["is_time_simulated"] = self._is_time_simulated
        self._event = f"data: {json.dumps(shown)}\n\n"
        self._snapshot = snapshot
