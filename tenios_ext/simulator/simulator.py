"""The simulator as a test uses it: an exchange in process, its virtual clock, and clients that are wired to it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import chain, repeat, tee
from typing import TYPE_CHECKING

from tenios_client.models import CallbackStatus

from ..client import AsyncTenios, Tenios
from ..numbers import to_e164
from .exchange import Exchange
from .faults import Faults, Injection
from .journey import Journey
from .magic import MAGIC_NUMBERS
from .service import Service
from .transport import InProcessTransport
from .virtual_clock import VirtualClock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..clock import Clock
    from .exchange import SimulatedCallback
    from .faults import Fault, Operation
    from .journey import Move
    from .record import Asked
    from .reply import Reply

ACCESS_KEY = "SIMULATOR-ACCESS-KEY"
CALLBACK_CONFIG_ID = "SIMULATOR-CONFIG"
BASE_URL = "http://localhost"


class Simulator:
    """
    A telephone exchange.

    Args:
        journey: What happens in each callback, by default that both answer and talk; or one journey for each callback in turn,
            a list or what :meth:`Journey.population` gives (when they run out, the last one stays).
        clock: Its time; by default a virtual one, which the clients' sleeping advances.
        accounts: The callback config ids of each access key; by default the one account of ACCESS_KEY and CALLBACK_CONFIG_ID.
        seed: Of the faults that are injected with a probability.

    Raises:
        ValueError: There is no account, no journey, or something is neither.
    """

    def __init__(
        self,
        *,
        journey: Journey | Iterable[Journey] | None = None,
        clock: Clock | None = None,
        accounts: Mapping[str, Collection[str]] | None = None,
        seed: int = 0,
    ) -> None:
        self.clock = clock if clock is not None else VirtualClock()
        known = _accounts(accounts if accounts is not None else {ACCESS_KEY: [CALLBACK_CONFIG_ID]})
        self._journeys, self._first = tee(_endless(journey if journey is not None else Journey.answered()))
        self._journeys_of: dict[str, Iterator[Journey]] = {}
        self._faults = Faults(seed)
        self._exchange = Exchange(known, self._journey_for, self.clock.now)
        self._service = Service(self._exchange, self._faults, self._faults_of)

    # What a test asks.

    @property
    def dialled(self) -> list[str]:
        """The numbers of ``callbacks``, as E.164 and in order; one as often as it was dialled."""
        return [callback.number for callback in self.callbacks]

    @property
    def rung(self) -> list[str]:
        """The numbers of the customers whose telephones have rung by now: not those whose agent was not reached."""
        now = self.clock.now()
        return [
            callback.number
            for callback in self.callbacks
            if CallbackStatus.CALLING_B in (status for _, status in callback.history(now))
        ]

    @property
    def callbacks(self) -> list[SimulatedCallback]:
        """The callbacks, in the order of the requests, with what was asked for; of those that are over, 100,000 or more."""
        return list(self._exchange.callbacks.values())

    @property
    def asked(self) -> list[Asked]:
        """The last 10,000 requests, in order, without their access keys, each with its answer and what went wrong."""
        return list(self._service.asked)

    # What a test decides.

    def set_journey(self, journey: Journey | Iterable[Journey] | None, *, number: str | None = None) -> None:
        """
        Decide what happens in the callbacks that are started from now on.

        Args:
            journey: A journey, one for each callback in turn, or None for what it was in the beginning.
            number: The number for whose callbacks this holds, in any spelling with its country code, and be it a magic one; None
                for all that are neither magic nor have a journey of their own.

        Raises:
            InvalidRequestError: *number* is no number.
            ValueError: *journey* is no journey.
        """
        if number is None and journey is None:
            self._begin_anew()
        elif number is None:
            self._journeys = _endless(journey)
        elif journey is None:
            self._journeys_of.pop(to_e164(number), None)
        else:
            self._journeys_of[to_e164(number)] = _endless(journey)

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
        Let something go wrong.

        Args:
            fault: What; see :mod:`tenios_ext.simulator.faults`.
            on: "init" or "status".
            number: Only for callbacks to this number, in any spelling with its country code.
            nth: From which dial on, or from which question about each callback, counted from now on.
            times: For how many of them in a row; None for all that follow.
            probability: For each of those.

        Raises:
            ValueError: This fault cannot befall that operation, or a number is out of range.
        """
        e164 = to_e164(number) if number is not None else None
        injection = Injection(fault, on=on, number=e164, nth=nth, times=times, probability=probability)
        self._faults.add(injection)
        return injection

    @property
    def injections(self) -> list[Injection]:
        """The faults that were injected, in order."""
        return list(self._faults.injections)

    def clear_faults(self) -> None:
        """Let nothing go wrong any more, but with magic numbers, whose faults go on where they are."""
        self._faults.clear()

    def play(self, callback_id: int, move: Move) -> CallbackStatus:
        """
        Let a party do something now, and say to which status this leads.

        Raises:
            UnknownCallbackError: There is no such callback.
            ImpossibleMoveError: It is not a moment for this move.
        """
        return self._exchange.play(callback_id, move)

    def callback(self, callback_id: int) -> SimulatedCallback:
        """One of the callbacks. Raises UnknownCallbackError."""
        return self._exchange.any(callback_id)

    def status(self, callback_id: int) -> CallbackStatus:
        """How far a callback is in truth, whatever faults make of it. Raises UnknownCallbackError."""
        return self._exchange.status(callback_id)

    def reset(self) -> None:
        """
        Forget callbacks, requests, faults and journeys, and begin anew with the journeys and the seed of the beginning.

        Time, ids and the count of requests go on, so that an old id never means a new callback.
        """
        self._exchange.reset()
        self._service.asked.clear()
        self._faults.reset()
        self._journeys_of.clear()
        self._begin_anew()

    # Ways in.

    def answer(self, method: str, path: str, body: bytes, *, content_type: str = "application/json") -> Reply:
        """What the simulator answers to a request; for a server of another kind than ours."""
        return self._service.answer(method, path, body, content_type=content_type)

    @property
    def transport(self) -> InProcessTransport:
        """An httpx transport, sync and async, that leads here; give it and ``clock`` to a client with settings of your own."""
        return InProcessTransport(self._service, self.clock)

    def client(self) -> Tenios:
        """A client of this simulator, in process."""
        key, config_id = self.account
        return Tenios(key, config_id, base_url=BASE_URL, transport=self.transport, clock=self.clock)

    def async_client(self) -> AsyncTenios:
        """A client of this simulator for asyncio, in process."""
        key, config_id = self.account
        return AsyncTenios(key, config_id, base_url=BASE_URL, transport=self.transport, clock=self.clock)

    @property
    def account(self) -> tuple[str, str]:
        """The access key and the callback config id of its clients."""
        key, config_ids = next(iter(self._exchange.accounts.items()))
        return key, min(config_ids)

    def _begin_anew(self) -> None:
        self._journeys, self._first = tee(self._first)

    def _journey_for(self, number: str) -> Journey:
        if number in self._journeys_of:
            return next(self._journeys_of[number])
        magic = MAGIC_NUMBERS.get(number)
        return magic.journey if magic else next(self._journeys)

    def _faults_of(self, number: str) -> Sequence[Injection]:
        magic = MAGIC_NUMBERS.get(number)
        return magic.faults if magic else ()


def _accounts(accounts: object) -> dict[str, frozenset[str]]:
    known = accounts if isinstance(accounts, Mapping) else {}
    if not known or not all(_is_text(key) and _are_texts(ids) for key, ids in known.items()):
        raise ValueError("accounts gives each access key its callback config ids, at least one: {'KEY': ['CONFIG']}.")
    return {key: frozenset(ids) for key, ids in known.items()}


def _are_texts(values: object) -> bool:
    return (
        isinstance(values, Collection) and not isinstance(values, str) and 0 < len(values) == sum(map(_is_text, values))
    )


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _endless(journey: object) -> Iterator[Journey]:
    if not isinstance(journey, Iterable):
        return repeat(_checked(journey))
    # What is there already is looked at now, what is made one by one when its turn comes.
    journeys = iter([_checked(each) for each in journey]) if isinstance(journey, Collection) else map(_checked, journey)
    first = next(journeys, None)
    if first is None:
        raise ValueError("There is no journey in what was given as journeys.")
    return _InTurn(chain([first], journeys), first)


def _checked(journey: object) -> Journey:
    if isinstance(journey, Journey):
        return journey
    raise ValueError(f"A journey is made by a constructor, such as Journey.agent_busy(), not {journey!r}.")


class _InTurn(Iterator[Journey]):
    """One journey for each callback; when they run out, the last one stays. A generator would be over after its first error."""

    def __init__(self, journeys: Iterator[Journey], first: Journey) -> None:
        self._journeys = journeys
        self._newest = first

    def __next__(self) -> Journey:
        self._newest = next(self._journeys, self._newest)
        return self._newest
