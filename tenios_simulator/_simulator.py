"""The simulator's main class."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import count, islice
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from tenios_ext import AsyncTenios, CallbackStatus, Tenios, to_e164

from ._api import ApiHandler
from ._clocks import ScaledClock, VirtualClock
from ._engine import CallbackStore
from ._magic_numbers import MAGIC_NUMBERS
from ._transport import InProcessTransport
from .faults import Faults, Injection
from .scenario import Scenario

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tenios_ext import Clock, EventHooks, PollInterval
    from tenios_ext.ledger import Ledger

    from ._engine import SimulatedCallback
    from ._request_log import RecordedRequest
    from ._response import Response
    from .faults import Fault, Operation
    from .scenario import Action

ACCESS_KEY = "SIMULATOR-ACCESS-KEY"
CALLBACK_CONFIG_ID = "SIMULATOR-CONFIG"
BASE_URL = "http://localhost"
_MAX_NUMBERS = 10_000  # with their own scenario
_MAX_RESTARTED = 10_000  # scenarios of an iterable


class ClientSettings(TypedDict, total=False):
    """Settings of :class:`.Tenios` for the clients of a simulator."""

    callback_config_id: str
    region: str | None
    allowed_numbers: Collection[str] | None
    allowed_regions: Collection[str] | None
    allow_special_numbers: bool | None
    one_call_per_number: bool | None
    timeout: float
    poll_interval: PollInterval | float
    event_hooks: EventHooks | None
    ledger: Ledger


class Simulator:
    """
    Simulates TENIOS in this process.

    Args:
        scenario: What happens in each callback; by default :meth:`Scenario.answered`. An iterable,
            such as a list or :meth:`Scenario.random`, gives each callback the next scenario, and
            the last one stays.
        real_time: Whether to use the system's clock. By default, time is virtual: it passes only
            when a client sleeps, and sleeping takes no real time.
        clock: Another clock.
        accounts: The callback config ids of each access key; by default one account with ACCESS_KEY
            and CALLBACK_CONFIG_ID.
        seed: The seed of faults that are injected with a probability.
        first_id: The id of the first callback; by default the id in TENIOS's examples. ``tenios
            simulate`` starts with a random id, so that an id that was stored before a restart is
            unknown.

    Attributes:
        clock: The simulator's clock. ``clock.sleep(60)`` advances it by a minute.

    Raises:
        ValueError: *scenario* is empty or not a scenario, *accounts* lacks an access key or a
            callback config id, or both *clock* and *real_time* are set.
    """

    def __init__(
        self,
        *,
        scenario: Scenario | Iterable[Scenario] | None = None,
        real_time: bool = False,
        clock: Clock | None = None,
        accounts: Mapping[str, Collection[str]] | None = None,
        seed: int = 0,
        first_id: int = 10,
    ) -> None:
        self.clock = _clock(clock, real_time=real_time)
        checked_accounts = _accounts(
            accounts if accounts is not None else {ACCESS_KEY: [CALLBACK_CONFIG_ID]}
        )
        self._initial_scenarios = _Scenarios(
            scenario if scenario is not None else Scenario.answered()
        )
        self._scenarios = self._initial_scenarios
        self._scenarios_by_number: dict[str, _Scenarios] = {}
        self._faults = Faults(seed)
        self._store = CallbackStore(
            checked_accounts, self._scenario_for, self.clock.now, count(first_id)
        )
        self._handler = ApiHandler(self._store, self._faults, self._faults_of)

    @property
    def dialled(self) -> list[str]:
        """
        The customer's number of each callback in E.164 format, in order. A number that was called
        twice is listed twice.
        """
        return [callback.number for callback in self.callbacks]

    @property
    def rung(self) -> list[str]:
        """
        The numbers of the customers whose phones have rung so far. They do not ring if the agent
        cannot be reached.
        """
        now = self.clock.now()
        return [
            callback.number
            for callback in self.callbacks
            if CallbackStatus.CALLING_B in (status for _, status in callback.history(now))
        ]

    @property
    def callbacks(self) -> list[SimulatedCallback]:
        """
        The callbacks, oldest first.

        At most 100,000 are kept, with at most 32 MiB of text such as announcements. If there are
        more, a tenth is deleted: first those that have ended, in the order in which they ended,
        then the oldest. Status requests for a deleted callback are rejected.
        """
        return list(self._store.callbacks.values())

    @property
    def requests(self) -> list[RecordedRequest]:
        """
        The last requests, oldest first, with their responses. Access keys are masked.

        At most 10,000 are kept, and at most 32 MiB of request and response bodies.
        """
        return self._handler.log.requests

    def callback(self, callback_id: int) -> SimulatedCallback:
        """Return a callback. Raises UnknownCallbackError if it does not exist."""
        return self._store.get(callback_id)

    def status(self, callback_id: int) -> CallbackStatus:
        """
        Return the true status of a callback, unaffected by faults. Raises UnknownCallbackError if
        it does not exist.
        """
        return self._store.status(callback_id)

    def set_scenario(
        self, scenario: Scenario | Iterable[Scenario] | None, *, number: str | None = None
    ) -> None:
        """
        Set the scenario of new callbacks.

        Args:
            scenario: A scenario, or an iterable that gives each callback the next one. None
                restores the initial scenario, or removes the scenario of *number*.
            number: A customer's number with its country code, in any spelling. By default, the
                scenario applies to all numbers that are not magic and have no scenario.

        Raises:
            TypeError: *number* is not a str.
            ValueError: *number* is not a phone number with a country code, *scenario* is not a
                scenario, or 10,000 numbers already have a scenario.
        """
        if number is None and scenario is None:
            self._restart_scenarios()
        elif number is None:
            self._scenarios = _Scenarios(scenario)
        elif scenario is None:
            self._scenarios_by_number.pop(to_e164(number), None)
        else:
            by_number, e164 = self._scenarios_by_number, to_e164(number)
            scenarios = _Scenarios(scenario)
            if e164 not in by_number and len(by_number) >= _MAX_NUMBERS:
                raise ValueError(
                    f"{_MAX_NUMBERS} numbers already have a scenario. Remove some with "
                    "set_scenario(None, number=...), or reset the simulator."
                )
            by_number[e164] = scenarios

    def perform(self, callback_id: int, action: Action) -> CallbackStatus:
        """
        Perform an action of the agent or the customer now, and return the new status.

        Raises:
            UnknownCallbackError: The callback does not exist.
            ImpossibleActionError: The action is not possible with the current status.
        """
        return self._store.perform(callback_id, action)

    def inject(
        self,
        fault: Fault,
        *,
        on: Operation = "status",
        number: str | None = None,
        nth: int = 1,
        times: int | None = 1,
        probability: float = 1.0,
    ) -> Injection:
        """
        Make requests fail from now on.

        Args:
            fault: An instance of a class in :mod:`tenios_simulator.faults`.
            on: The operation, "init" or "status".
            number: Applies the fault to this customer's number only. It has its country code, in
                any spelling.
            nth: The first request that fails, counted from 1. Status requests are counted for each
                callback. The 100,000 most recently used counts are kept.
            times: The number of consecutive requests that fail; None for all that follow.
            probability: The probability that each of these requests fails.

        Raises:
            TypeError: *number* is not a str.
            ValueError: *number* is not a phone number with a country code, another argument is out
                of range, the fault does not apply to this operation, or 1,000 faults are already
                injected.
        """
        e164 = to_e164(number) if number is not None else None
        injection = Injection(
            fault, on=on, number=e164, nth=nth, times=times, probability=probability
        )
        self._faults.add(injection)
        return injection

    @property
    def injections(self) -> list[Injection]:
        """The injected faults, oldest first."""
        return list(self._faults.injections)

    def clear_faults(self) -> None:
        """Remove all injected faults, but not those of magic numbers."""
        self._faults.clear()

    def reset(self) -> None:
        """
        Delete callbacks, requests, faults and scenarios, and restore the initial scenario and seed.

        The clock, callback ids and the index of requests continue, so that an old id never refers
        to a new callback. If the initial scenario is an iterable, its first 10,000 scenarios are
        used again, then those that have not been used.
        """
        self._store.reset()
        self._handler.log.clear()
        self._faults.reset()
        self._scenarios_by_number.clear()
        self._restart_scenarios()

    def handle_request(
        self, method: str, path: str, body: bytes, *, content_type: str = "application/json"
    ) -> Response:
        """Return the response to an HTTP request. Use it to write your own server."""
        return self._handler.handle(method, path, body, content_type=content_type)

    @property
    def transport(self) -> InProcessTransport:
        """
        An httpx transport, sync and async, for your own clients. Pass them ``clock`` as well.
        """
        return InProcessTransport(self.handle_request, self.clock)

    def client(self, **settings: Unpack[ClientSettings]) -> Tenios:
        """
        Return a client of this simulator, with *settings* such as ``region="DE"``.

        It has no ledger unless you pass ``ledger=...``: it ignores ``TENIOS_LEDGER``, which is for
        real callbacks.
        """
        return Tenios(**self._arguments(settings))

    def async_client(self, **settings: Unpack[ClientSettings]) -> AsyncTenios:
        """Return an asyncio client of this simulator; see :meth:`client`."""
        return AsyncTenios(**self._arguments(settings))

    def _arguments(self, settings: ClientSettings) -> dict[str, Any]:
        access_key, callback_config_id = self.account
        return {
            "access_key": access_key,
            "callback_config_id": callback_config_id,
            "base_url": BASE_URL,
            "transport": self.transport,
            "clock": self.clock,
            "ledger": False,
            **settings,
        }

    @property
    def account(self) -> tuple[str, str]:
        """The access key and the callback config id of its clients."""
        key, config_ids = next(iter(self._store.accounts.items()))
        return key, min(config_ids)

    def _restart_scenarios(self) -> None:
        self._initial_scenarios.restart()
        self._scenarios = self._initial_scenarios

    def _scenario_for(self, number: str) -> Scenario:
        if number in self._scenarios_by_number:
            return next(self._scenarios_by_number[number])
        magic = MAGIC_NUMBERS.get(number)
        return magic.scenario if magic else next(self._scenarios)

    def _faults_of(self, number: str) -> Sequence[Injection]:
        magic = MAGIC_NUMBERS.get(number)
        return magic.faults if magic else ()


def _clock(clock: Clock | None, *, real_time: bool) -> Clock:
    if clock is None:
        # ScaledClock never goes back, so statuses do not either.
        return ScaledClock(1) if real_time else VirtualClock()
    if real_time:
        raise ValueError(
            f"real_time=True and clock={clock!r} cannot be combined. Pass only one of them."
        )
    return clock


def _accounts(accounts: Mapping[str, Collection[str]]) -> dict[str, frozenset[str]]:
    is_complete = accounts and all(
        key and ids and all(ids) and not isinstance(ids, str) for key, ids in accounts.items()
    )
    if not is_complete:
        # The value contains access keys, so it is not in the message.
        raise ValueError(
            "accounts must map at least one access key to its callback config ids, such as "
            "{'KEY': ['CONFIG']}."
        )
    return {key: frozenset(ids) for key, ids in accounts.items()}


def _checked(scenario: object) -> Scenario:
    if isinstance(scenario, Scenario):
        return scenario
    raise ValueError(
        f"scenario must be a Scenario, such as Scenario.agent_busy(), got {scenario!r}."
    )


class _Scenarios(Iterator[Scenario]):
    """
    Yields each scenario once, then the last one forever. Can be restarted; only the first 10,000
    are repeated, to limit memory.

    Not a generator, because a generator ends when its source raises an error.
    """

    def __init__(self, scenario: object) -> None:
        scenarios = scenario if isinstance(scenario, Iterable) else [scenario]
        if isinstance(scenarios, Collection):
            # Check them now. Other iterables may be endless and are checked when they are used.
            scenarios = [_checked(each) for each in scenarios]
        self._source = map(_checked, scenarios)
        self._first = list(islice(self._source, 1))
        self._index = 0
        if not self._first:
            raise ValueError(
                "scenario is an empty iterable. Pass at least one scenario, such as "
                "Scenario.answered()."
            )
        self._newest = self._first[0]

    def __next__(self) -> Scenario:
        if self._index < len(self._first):
            self._newest = self._first[self._index]
        else:
            self._newest = next(self._source, self._newest)
            if len(self._first) < _MAX_RESTARTED:
                self._first.append(self._newest)
        self._index += 1
        return self._newest

    def restart(self) -> None:
        self._index = 0
