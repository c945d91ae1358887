"""The simulated callbacks and their current status."""

from __future__ import annotations

from sys import getsizeof
from threading import Lock
from typing import TYPE_CHECKING, Any

from attrs import define, evolve, field, frozen

from tenios_ext import is_final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tenios_ext import CallbackStatus

    from .scenario import Action, Scenario

# The limits of what is kept, so that a server can run for months. If one is exceeded, callbacks
# are deleted until nine tenths are left.
_MAX_CALLBACKS = 100_000
_MAX_BYTES = 32 << 20
_KEPT = 0.9
# Seconds by which a status may begin early, because sums of floats depend on their order.
_TOLERANCE = 1e-6


class UnknownCredentialsError(Exception):
    """The account does not exist or does not have this callback configuration."""


class UnknownCallbackError(LookupError):
    """The callback does not exist."""


class ImpossibleActionError(ValueError):
    """The action is not possible with the current status of the callback."""


@frozen
class SimulatedCallback:
    """
    A callback that was started.

    Attributes:
        id: The id in the response to the init request.
        access_key: The access key in the init request.
        callback_config_id: The callback configuration in the init request.
        number: The customer's number in E.164 format.
        delay: Seconds before the agent is called.
        agent_announcement: The text that is read to the agent, with access keys masked, or None.
        dtmf_key: The key that the agent must press before the customer is called, or None.
        started_at: When the init request arrived, in seconds by the simulator's clock.
        scenario: What happens.
    """

    id: int
    access_key: str = field(repr=False)
    # may contain the access key if a test names one after the other
    callback_config_id: str = field(repr=False)
    number: str
    delay: float
    agent_announcement: str | None
    dtmf_key: str | None
    started_at: float
    scenario: Scenario

    @property
    def timeline(self) -> list[tuple[float, CallbackStatus]]:
        """
        Each past and future status with the time at which it begins, in seconds by the simulator's
        clock.
        """
        return [
            (self.started_at + begins, status)
            for begins, status in self.scenario.timeline(delay=self.delay)
        ]

    @property
    def size(self) -> int:
        """Bytes of memory that its text takes."""
        texts = (
            self.access_key,
            self.callback_config_id,
            self.number,
            self.agent_announcement,
            self.dtmf_key,
        )
        return sum(map(getsizeof, texts))

    def history(self, now: float) -> list[tuple[float, CallbackStatus]]:
        """Return the timeline up to *now*. Its last entry is the current status."""
        first, *others = self.timeline
        return [
            first,
            *((begins, status) for begins, status in others if begins <= now + _TOLERANCE),
        ]


@define
class CallbackStore:
    """
    Starts callbacks and returns their current status.

    Attributes:
        accounts: The callback config ids of each access key.
        scenario_for: Returns the scenario of a new callback to a number.
        now: Returns the time of the simulator's clock, in seconds.
        ids: The ids of new callbacks.
        callbacks: The callbacks by id, oldest first.
        size: Bytes of memory that their text takes.
    """

    accounts: Mapping[str, frozenset[str]] = field(repr=False)
    scenario_for: Callable[[str], Scenario]
    now: Callable[[], float]
    ids: Iterator[int] = field(repr=False)
    callbacks: dict[int, SimulatedCallback] = field(factory=dict, init=False)
    size: int = field(default=0, init=False)
    _lock: Lock = field(factory=Lock, init=False, repr=False)

    def authenticate(self, access_key: str, callback_config_id: str | None = None) -> None:
        """
        Raise UnknownCredentialsError unless the account exists and has the callback configuration.
        """
        config_ids = self.accounts.get(access_key)
        if config_ids is None or (
            callback_config_id is not None and callback_config_id not in config_ids
        ):
            raise UnknownCredentialsError

    def add(self, **arguments: Any) -> SimulatedCallback:
        """Start a callback with these arguments of :class:`SimulatedCallback`."""
        with self._lock:
            # First, because a caller's iterator may raise an error, and that must use up no id.
            scenario = self.scenario_for(arguments["number"])
            callback = SimulatedCallback(
                id=next(self.ids), started_at=self.now(), scenario=scenario, **arguments
            )
            self.callbacks[callback.id] = callback
            self.size += callback.size
            self._forget_surplus()
        return callback

    def _forget_surplus(self) -> None:
        """
        Delete callbacks if the limits are exceeded: first those that have ended, in the order in
        which they ended, then the oldest.
        """
        if not self._exceeds(1):
            return
        now = self.now()
        newest = {each.id: each.history(now)[-1] for each in self.callbacks.values()}
        order = sorted(
            newest, key=lambda id_: (0, newest[id_][0]) if is_final(newest[id_][1]) else (1, id_)
        )
        for callback_id in order:
            if not self._exceeds(_KEPT):
                break
            self.size -= self.callbacks.pop(callback_id).size

    def _exceeds(self, share: float) -> bool:
        return len(self.callbacks) > _MAX_CALLBACKS * share or self.size > _MAX_BYTES * share

    def find(self, access_key: str, callback_id: int) -> SimulatedCallback:
        """
        Return a callback of an account. Raises UnknownCredentialsError or UnknownCallbackError.
        """
        self.authenticate(access_key)
        callback = self.get(callback_id)
        if callback.access_key != access_key:
            raise _unknown(callback_id)
        return callback

    def get(self, callback_id: int) -> SimulatedCallback:
        """Return a callback of any account. Raises UnknownCallbackError."""
        try:
            return self.callbacks[callback_id]
        except KeyError:
            raise _unknown(callback_id) from None

    def status(self, callback_id: int) -> CallbackStatus:
        """Return the current status. Raises UnknownCallbackError."""
        return self.get(callback_id).history(self.now())[-1][1]

    def perform(self, callback_id: int, action: Action) -> CallbackStatus:
        """
        Perform an action now and return the new status. The rest of the scenario follows.

        Raises:
            UnknownCallbackError: The callback does not exist.
            ImpossibleActionError: The action is not possible with the current status.
        """
        with self._lock:
            callback = self.get(callback_id)
            now = self.now()
            since, status = callback.history(now)[-1]
            scenario = callback.scenario.after(action, status, max(now - since, 0))
            if scenario is None:
                raise ImpossibleActionError(
                    f"{action} is not possible: the status of callback {callback_id} is {status}."
                )
            self.callbacks[callback_id] = evolve(callback, scenario=scenario)
        return self.status(callback_id)

    def reset(self) -> None:
        """Delete all callbacks. Ids are not reused."""
        with self._lock:
            self.callbacks.clear()
            self.size = 0


def _unknown(callback_id: int) -> UnknownCallbackError:
    return UnknownCallbackError(f"Callback {callback_id} does not exist.")
