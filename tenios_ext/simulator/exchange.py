"""The telephone exchange: which callbacks there are, and how far each of them is. Pure, but for the clock that it is given."""

from __future__ import annotations

from itertools import count
from threading import Lock
from typing import TYPE_CHECKING

from attrs import define, field, frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tenios_client.models import CallbackStatus

    from .journey import Journey

_FIRST_ID = 10


class UnknownCredentialsError(Exception):
    """There is no such account, or the account has no such callback configuration."""


class UnknownCallbackError(Exception):
    """The account has no such callback."""


@frozen
class SimulatedCallback:
    """A callback that was requested; times are seconds by the exchange's clock."""

    id: int
    access_key: str = field(repr=False)
    number: str
    delay: float
    requested_at: float
    journey: Journey


@define
class Exchange:
    """
    Takes requests and knows how far each callback is.

    Attributes:
        accounts: The callback config ids of each access key.
        journey: What happens in the callbacks that are requested from now on.
        now: The exchange's clock; seconds.
    """

    accounts: Mapping[str, frozenset[str]] = field(repr=False)
    journey: Journey
    now: Callable[[], float]
    callbacks: dict[int, SimulatedCallback] = field(factory=dict, init=False)
    _ids: Iterator[int] = field(factory=lambda: count(_FIRST_ID), init=False, repr=False)
    _lock: Lock = field(factory=Lock, init=False, repr=False)

    def request(self, access_key: str, config_id: str, *, number: str, delay: float) -> SimulatedCallback:
        """Take a callback. Raises UnknownCredentialsError."""
        if config_id not in self.accounts.get(access_key, frozenset()):
            raise UnknownCredentialsError
        with self._lock:
            callback = SimulatedCallback(next(self._ids), access_key, number, delay, self.now(), self.journey)
            self.callbacks[callback.id] = callback
        return callback

    def status(self, access_key: str, callback_id: int) -> CallbackStatus:
        """How far a callback is. Raises UnknownCredentialsError or UnknownCallbackError."""
        if access_key not in self.accounts:
            raise UnknownCredentialsError
        callback = self.callbacks.get(callback_id)
        if callback is None or callback.access_key != access_key:
            raise UnknownCallbackError
        return callback.journey.status_at(self.now() - callback.requested_at, delay=callback.delay)
