"""The telephone exchange: which callbacks there are, and how far each of them is. Pure, but for the clock that it is given."""

from __future__ import annotations

from itertools import count
from threading import Lock
from typing import TYPE_CHECKING

from attrs import define, evolve, field, frozen

from ..status import is_final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tenios_client.models import CallbackStatus

    from .journey import Journey, Move

_FIRST_ID = 10
# A server that runs for months keeps no more callbacks than these that are over, give or take a tenth.
_REMEMBERED = 100_000
# Sums of seconds differ in their last bits with the order of summing: a status that begins within this time has begun.
_INSTANT = 1e-6


class UnknownCredentialsError(Exception):
    """There is no such account, or the account has no such callback configuration."""


class UnknownCallbackError(LookupError):
    """The account has no such callback."""


class ImpossibleMoveError(ValueError):
    """Nobody can make this move now."""


@frozen
class SimulatedCallback:
    """
    A callback that was requested.

    Attributes:
        id: As ``init`` answered it.
        access_key: The account's.
        config_id: The callback configuration's.
        number: The customer's, as E.164.
        delay: Seconds before the agent is called.
        announcement: What is read aloud to the agent, if anything; a key in it is masked.
        dtmf_key: The key that the agent was to press, if any.
        requested_at: Seconds, by the exchange's clock.
        journey: What happens.
    """

    id: int
    access_key: str = field(repr=False)
    config_id: str = field(repr=False)  # whoever makes up an account may have put the key into it
    number: str
    delay: float
    announcement: str | None
    dtmf_key: str | None
    requested_at: float
    journey: Journey

    @property
    def timeline(self) -> list[tuple[float, CallbackStatus]]:
        """Each status of the whole course with the time, by the exchange's clock, when it begins."""
        return [(self.requested_at + begins, status) for begins, status in self.journey.timeline(delay=self.delay)]

    def history(self, now: float) -> list[tuple[float, CallbackStatus]]:
        """The part of the timeline that has happened, at the least its beginning; the last is the present status."""
        first, *others = self.timeline
        return [first, *((begins, status) for begins, status in others if begins <= now + _INSTANT)]


@define
class Exchange:
    """
    Takes requests and knows how far each callback is.

    Attributes:
        accounts: The callback config ids of each access key.
        journey_for: What happens in a callback to a number.
        now: The exchange's clock; seconds.
        callbacks: By id, in the order of the requests: all that are not over, and of those that are at least the last 100,000.
    """

    accounts: Mapping[str, frozenset[str]] = field(repr=False)
    journey_for: Callable[[str], Journey]
    now: Callable[[], float]
    callbacks: dict[int, SimulatedCallback] = field(factory=dict, init=False)
    _ids: Iterator[int] = field(factory=lambda: count(_FIRST_ID), init=False, repr=False)
    _look_at: int = field(factory=lambda: _REMEMBERED + _REMEMBERED // 10, init=False, repr=False)
    _lock: Lock = field(factory=Lock, init=False, repr=False)

    def check(self, access_key: str, config_id: str | None = None) -> None:
        """Raise UnknownCredentialsError where there is no such account, or it has no such configuration."""
        config_ids = self.accounts.get(access_key)
        if config_ids is None or (config_id is not None and config_id not in config_ids):
            raise UnknownCredentialsError

    def request(
        self,
        access_key: str,
        config_id: str,
        *,
        number: str,
        delay: float = 0,
        announcement: str | None = None,
        dtmf_key: str | None = None,
    ) -> SimulatedCallback:
        """Take a callback. Raises UnknownCredentialsError."""
        self.check(access_key, config_id)
        with self._lock:
            journey = self.journey_for(number)
            callback = SimulatedCallback(
                next(self._ids),
                access_key,
                config_id,
                number=number,
                delay=delay,
                announcement=announcement,
                dtmf_key=dtmf_key,
                requested_at=self.now(),
                journey=journey,
            )
            self.callbacks[callback.id] = callback
        return callback

    def forget_old(self) -> set[int]:
        """Forget callbacks beyond the last 100,000 that have ended, where it is time to look; say which."""
        with self._lock:
            if len(self.callbacks) < self._look_at:
                return set()
            newest = {each.id: each.history(self.now())[-1] for each in self.callbacks.values()}
            ended = sorted((since, callback_id) for callback_id, (since, status) in newest.items() if is_final(status))
            forgotten = {callback_id for _, callback_id in ended[: max(len(ended) - _REMEMBERED, 0)]}
            for callback_id in forgotten:
                del self.callbacks[callback_id]
            self._look_at = len(self.callbacks) + _REMEMBERED // 10
        return forgotten

    def find(self, access_key: str, callback_id: int) -> SimulatedCallback:
        """A callback of an account. Raises UnknownCredentialsError or UnknownCallbackError."""
        self.check(access_key)
        callback = self.callbacks.get(callback_id)
        if callback is None or callback.access_key != access_key:
            raise UnknownCallbackError(f"There is no callback {callback_id}.")
        return callback

    def status(self, callback_id: int) -> CallbackStatus:
        """How far a callback is now. Raises UnknownCallbackError."""
        return self.any(callback_id).history(self.now())[-1][1]

    def play(self, callback_id: int, move: Move) -> CallbackStatus:
        """
        Let a party of a callback do something now; what follows comes in the course of its journey.

        Returns:
            The status to which this leads.

        Raises:
            UnknownCallbackError: There is no such callback.
            ImpossibleMoveError: It is not a moment for this move.
        """
        with self._lock:
            callback = self.any(callback_id)
            now = self.now()
            since, status = callback.history(now)[-1]
            journey = callback.journey.after(move, status, max(now - since, 0))
            if journey is None:
                raise ImpossibleMoveError(f"{move} is impossible while the callback is {status}.")
            self.callbacks[callback_id] = evolve(callback, journey=journey)
        return self.status(callback_id)

    def reset(self) -> None:
        """Forget all callbacks; ids go on, so that an old one never means a new callback."""
        with self._lock:
            self.callbacks.clear()

    def any(self, callback_id: int) -> SimulatedCallback:
        """A callback, whosever it is. Raises UnknownCallbackError."""
        try:
            return self.callbacks[callback_id]
        except KeyError:
            raise UnknownCallbackError(f"There is no callback {callback_id}.") from None
