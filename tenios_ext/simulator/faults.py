"""
What can go wrong between a client and TENIOS, as objects.

::

    simulator.inject(faults.Drop(), on="init")                    # the next dial is taken, and never answered
    simulator.inject(faults.HttpError(503), nth=2, times=3)       # the second to fourth question about each callback
    simulator.inject(faults.Malformed(), times=None, probability=0.1)  # one question in ten, for ever

A request that is refused anyway, for its shape or its credentials, meets no fault.
"""

from __future__ import annotations

from collections import Counter
from random import Random
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal, Protocol

from attrs import define, evolve, field, frozen
from attrs.validators import optional
from tenios_client.models import CallbackStatus

from ..status import is_final
from . import checks

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from attrs import Attribute

    from .reply import Reply

Operation = Literal["init", "status"]


class Fault(Protocol):
    """Something that goes wrong with an answer."""

    def spoil(self, reply: Reply, course: Sequence[CallbackStatus]) -> Reply:
        """
        What is sent in place of *reply*.

        Args:
            reply: The true answer.
            course: The statuses through which the callback goes; none for an answer to ``init``.
        """
        ...


@frozen
class Drop:
    """The request is taken; the connection is closed without an answer."""

    def spoil(self, reply: Reply, course: Sequence[CallbackStatus]) -> Reply:  # noqa: ARG002 - a fault's signature
        """Lose the answer."""
        return evolve(reply, lost="dropped")


@frozen
class Reset:
    """The request is taken; the connection is reset without an answer."""

    def spoil(self, reply: Reply, course: Sequence[CallbackStatus]) -> Reply:  # noqa: ARG002 - a fault's signature
        """Lose the answer."""
        return evolve(reply, lost="reset")


@frozen
class Delay:
    """The request is taken; the answer comes so many seconds late."""

    seconds: float = field(validator=checks.number(0))

    def spoil(self, reply: Reply, course: Sequence[CallbackStatus]) -> Reply:  # noqa: ARG002 - a fault's signature
        """Hold the answer back."""
        return evolve(reply, wait=self.seconds)


@frozen
class HttpError:
    """
    Another HTTP status is answered, with a page of HTML as gateways send it.

    Attributes:
        status: 400 to 599; also unofficial ones, such as 520.
        retry_after: The seconds in a ``Retry-After`` header, if any.
        accepted: Whether the request is taken all the same, as behind a gateway that loses patience.
    """

    status: int = field(validator=checks.whole(400, 599))
    retry_after: int | None = field(default=None, validator=optional(checks.whole(0)))
    accepted: bool = field(default=False, validator=checks.kind(bool))

    def spoil(self, reply: Reply, course: Sequence[CallbackStatus]) -> Reply:  # noqa: ARG002 - a fault's signature
        """Answer with the error."""
        headers = {"Content-Type": "text/html"}
        if self.retry_after is not None:
            headers["Retry-After"] = str(self.retry_after)
        page = f"<html><body><h1>{self.status}</h1></body></html>".encode()
        return evolve(reply, status=self.status, headers=headers, raw=page)


@frozen
class Malformed:
    """The request is taken; the answer is no JSON."""

    def spoil(self, reply: Reply, course: Sequence[CallbackStatus]) -> Reply:  # noqa: ARG002 - a fault's signature
        """Answer with something that begins like JSON."""
        return evolve(reply, raw=b"{'" + reply.content.lstrip(b'{"'))


@frozen
class Truncated:
    """The request is taken; half of the answer's JSON comes."""

    def spoil(self, reply: Reply, course: Sequence[CallbackStatus]) -> Reply:  # noqa: ARG002 - a fault's signature
        """Answer with the first half."""
        whole = reply.content
        return evolve(reply, raw=whole[: len(whole) // 2])


def _unknown(self: object, attribute: Attribute[Any], value: object) -> None:
    checks.text(self, attribute, value)
    if value in set(CallbackStatus):
        raise ValueError(f"{value} is a status that the contract knows.")


@frozen
class UnknownStatus:
    """A status is answered that is not in the contract; for ``status`` only."""

    name: str = field(default="ON_HOLD", validator=_unknown)

    def spoil(self, reply: Reply, course: Sequence[CallbackStatus]) -> Reply:  # noqa: ARG002 - a fault's signature
        """Answer with the unknown status."""
        return evolve(reply, body={"status": self.name})


@frozen
class Jump:
    """The answer is ahead of the callback by two statuses, but never final; for ``status`` only."""

    def spoil(self, reply: Reply, course: Sequence[CallbackStatus]) -> Reply:
        """Answer with a later status."""
        true = course.index(reply.body["status"])
        ahead = [status for status in course[true : true + 3] if not is_final(status)]
        return evolve(reply, body={"status": str(ahead[-1])}) if ahead else reply


@frozen
class Lag:
    """The answer is that of a replica which is one status behind; for ``status`` only."""

    def spoil(self, reply: Reply, course: Sequence[CallbackStatus]) -> Reply:
        """Answer with the status before."""
        true = course.index(reply.body["status"])
        return evolve(reply, body={"status": str(course[max(true - 1, 0)])})


KINDS: dict[str, type[Fault]] = {
    "drop": Drop,
    "reset": Reset,
    "delay": Delay,
    "http_error": HttpError,
    "malformed": Malformed,
    "truncated": Truncated,
    "unknown_status": UnknownStatus,
    "jump": Jump,
    "lag": Lag,
}
_ONCE: int | None = 1
_ABOUT_STATUS = (UnknownStatus, Jump, Lag)


def _fault(_: object, __: Attribute[Any], value: object) -> None:
    if type(value) not in KINDS.values():
        raise ValueError(f"A fault is an object of tenios_ext.simulator.faults, such as faults.Drop(), not {value!r}.")


@frozen(eq=False)  # two alike are two: each counts its own
class Injection:
    """
    A fault and its place.

    Attributes:
        fault: What goes wrong.
        on: Which operation it befalls.
        number: The only customer's number whose callbacks it befalls, as E.164; None for all.
        nth: The first request that it befalls: of the dials, or of the questions about each callback. Counted from 1.
        times: How many requests it befalls from there on; None for all.
        probability: With which it befalls each of those.
    """

    fault: Fault = field(validator=_fault)
    on: Operation = field(default="status", validator=checks.one_of("init", "status"))
    number: str | None = None
    nth: int = field(default=1, validator=checks.whole(1))
    times: int | None = field(default=_ONCE, validator=optional(checks.whole(1)))
    probability: float = field(default=1.0, validator=checks.number(0, 1))

    def __attrs_post_init__(self) -> None:
        if self.on == "init" and isinstance(self.fault, _ABOUT_STATUS):
            raise ValueError(f"{type(self.fault).__name__} is a fault of a status; inject it with on='status'.")

    def covers(self, count: int) -> bool:
        """Whether it may befall the request with this count."""
        return self.nth <= count and (self.times is None or count < self.nth + self.times)


@define
class Faults:
    """The faults that are injected, and how often each has been passed."""

    seed: int
    injections: list[Injection] = field(factory=list, init=False)
    _passed: Counter[tuple[Injection, object]] = field(factory=Counter, init=False)
    _random: Random = field(init=False)
    _lock: Lock = field(factory=Lock, init=False)

    def __attrs_post_init__(self) -> None:
        self.reset()

    def next(self, on: Operation, number: str, about: object, also: Sequence[Injection] = ()) -> Fault | None:
        """
        The fault that befalls the next request, if any: the one that was injected last.

        Args:
            on: The operation.
            number: The customer's number.
            about: What the requests are counted by: the callback, or nothing for a dial.
            also: Faults that come with the number itself.
        """
        found: Fault | None = None
        with self._lock:
            for injection in (*also, *self.injections):
                if injection.on != on or injection.number not in {None, number}:
                    continue
                self._passed[injection, about] += 1
                if injection.covers(self._passed[injection, about]) and self._random.random() < injection.probability:
                    found = injection.fault
        return found

    def add(self, injection: Injection) -> None:
        """Let it befall requests from now on."""
        with self._lock:
            self.injections.append(injection)

    def clear(self) -> None:
        """Let none befall requests any more, but those that come with a number, which go on counting."""
        with self._lock:
            gone = set(self.injections)
            self.injections.clear()
            self._passed = Counter({place: count for place, count in self._passed.items() if place[0] not in gone})

    def forget(self, about: Collection[object]) -> None:
        """Count no more for what is never asked about again."""
        with self._lock:
            self._passed = Counter({place: count for place, count in self._passed.items() if place[1] not in about})

    def reset(self) -> None:
        """Be as in the beginning."""
        with self._lock:
            self.injections.clear()
            self._passed.clear()
            self._random = Random(self.seed)  # noqa: S311 - faults are to be repeatable, not secret
