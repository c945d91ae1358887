"""
Connection and server faults to inject into a simulator.

::

    # The next callback is started, but the response is lost.
    simulator.inject(faults.Drop(), on="init")
    # The second to fourth status request for each callback fail.
    simulator.inject(faults.HttpError(503), nth=2, times=3)
    # One status request in ten fails, indefinitely.
    simulator.inject(faults.Malformed(), times=None, probability=0.1)

Requests with invalid fields or credentials are rejected without a fault.
"""

from __future__ import annotations

from itertools import islice
from random import Random
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal, Protocol

from attrs import define, evolve, field, frozen
from attrs.validators import optional

from tenios_ext import CallbackStatus, is_final

from . import _validators

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attrs import Attribute

    from ._response import Response

Operation = Literal["init", "status"]
_MAX_INJECTIONS = 1000
# If there are more counts of requests, the least recently used tenth is deleted.
_MAX_COUNTS = 100_000


class Fault(Protocol):
    """One of the classes in this module. :meth:`Simulator.inject` accepts no others."""

    def apply(self, response: Response, timeline: Sequence[CallbackStatus], /) -> Response:
        """
        Return the faulty response.

        Args:
            response: The correct response.
            timeline: All statuses of the callback, in order; empty for an init request.
        """
        ...


@frozen
class Drop:
    """The request is accepted, and the connection is closed without a response."""

    def apply(self, response: Response, _: Sequence[CallbackStatus]) -> Response:
        """Close the connection."""
        return evolve(response, disconnect="close")


@frozen
class Reset:
    """The request is accepted, and the connection is reset without a response."""

    def apply(self, response: Response, _: Sequence[CallbackStatus]) -> Response:
        """Reset the connection."""
        return evolve(response, disconnect="reset")


@frozen
class Delay:
    """
    The request is accepted, and the response is late.

    Attributes:
        seconds: The delay.
    """

    seconds: float = field(validator=_validators.number(0))

    def apply(self, response: Response, _: Sequence[CallbackStatus]) -> Response:
        """Delay the response."""
        return evolve(response, delay=self.seconds)


@frozen
class HttpError:
    """
    The response is an HTTP error with an HTML body, as from a gateway.

    Attributes:
        status: The HTTP status code, from 400 to 599. Unofficial ones such as 520 are allowed.
        retry_after: The ``Retry-After`` header in seconds; None for no header.
        accepted: Whether the request is accepted despite the error, as when a gateway times out.
    """

    status: int = field(validator=_validators.whole(400, 599))
    retry_after: int | None = field(default=None, validator=optional(_validators.whole(0)))
    accepted: bool = field(default=False, validator=_validators.kind(bool))

    def apply(self, response: Response, _: Sequence[CallbackStatus]) -> Response:
        """Replace the response with the error."""
        headers = {"Content-Type": "text/html"}
        if self.retry_after is not None:
            headers["Retry-After"] = str(self.retry_after)
        page = f"<html><body><h1>{self.status}</h1></body></html>".encode()
        return evolve(response, status=self.status, headers=headers, raw_body=page)


@frozen
class Malformed:
    """The request is accepted, but the response is not JSON."""

    def apply(self, response: Response, _: Sequence[CallbackStatus]) -> Response:
        """Replace the body with text that only begins like JSON."""
        return evolve(response, raw_body=b"{'" + response.content.lstrip(b'{"'))


@frozen
class Truncated:
    """The request is accepted, but the response's JSON is cut in half."""

    def apply(self, response: Response, _: Sequence[CallbackStatus]) -> Response:
        """Cut the body in half."""
        content = response.content
        return evolve(response, raw_body=content[: len(content) // 2])


def _unknown_status(self: object, attribute: Attribute[Any], value: object) -> None:
    _validators.text(self, attribute, value)
    if value in set(CallbackStatus):
        raise ValueError(
            f"{attribute.name} must be a status that is not in the contract, got {value!r}."
        )


@frozen
class UnknownStatus:
    """
    The response has a status that is not in the contract. For status requests only.

    Attributes:
        name: The status.
    """

    name: str = field(default="ON_HOLD", validator=_unknown_status)

    def apply(self, response: Response, _: Sequence[CallbackStatus]) -> Response:
        """Replace the status with the unknown one."""
        return evolve(response, body={"status": self.name})


@frozen
class SkippedStatus:
    """
    The response has a status two ahead of the true one, but never a final one. For status requests
    only.
    """

    def apply(self, response: Response, timeline: Sequence[CallbackStatus]) -> Response:
        """Replace the status with a later one."""
        current = timeline.index(response.body["status"])
        candidates = [status for status in timeline[current : current + 3] if not is_final(status)]
        return evolve(response, body={"status": str(candidates[-1])}) if candidates else response


@frozen
class StaleStatus:
    """
    The response has the status before the true one, as from an out-of-date replica. For status
    requests only.
    """

    def apply(self, response: Response, timeline: Sequence[CallbackStatus]) -> Response:
        """Replace the status with the previous one."""
        current = timeline.index(response.body["status"])
        return evolve(response, body={"status": str(timeline[max(current - 1, 0)])})


KINDS: dict[str, type[Fault]] = {
    "drop": Drop,
    "reset": Reset,
    "delay": Delay,
    "http_error": HttpError,
    "malformed": Malformed,
    "truncated": Truncated,
    "unknown_status": UnknownStatus,
    "skipped_status": SkippedStatus,
    "stale_status": StaleStatus,
}
_STATUS_FAULTS = (UnknownStatus, SkippedStatus, StaleStatus)
_DEFAULT_TIMES: int | None = 1


def _fault(_: object, attribute: Attribute[Any], value: object) -> None:
    if type(value) not in KINDS.values():
        raise ValueError(
            f"{attribute.name} must be an instance of a class in tenios_simulator.faults, such as "
            f"faults.Drop(), got {value!r}."
        )


@frozen(eq=False)  # Two injections of the same fault count their requests separately.
class Injection:
    """
    A fault and the requests to which it applies.

    Attributes:
        fault: The fault.
        on: The operation, "init" or "status".
        number: The customer's number in E.164 format; None for all numbers.
        nth: The first request to which it applies, counted from 1. Status requests are counted for
            each callback.
        times: The number of consecutive requests to which it applies; None for all that follow.
        probability: The probability that it applies to each of these requests.
    """

    fault: Fault = field(validator=_fault)
    on: Operation = field(default="status", validator=_validators.one_of("init", "status"))
    number: str | None = None
    nth: int = field(default=1, validator=_validators.whole(1))
    times: int | None = field(default=_DEFAULT_TIMES, validator=optional(_validators.whole(1)))
    probability: float = field(default=1.0, validator=_validators.number(0, 1))

    def __attrs_post_init__(self) -> None:
        if self.on == "init" and isinstance(self.fault, _STATUS_FAULTS):
            raise ValueError(
                f"{type(self.fault).__name__} applies to status requests only. Set `on` to "
                "'status' instead of 'init'."
            )

    def covers(self, count: int) -> bool:
        """Return whether the fault may apply to the *count*-th request."""
        return self.nth <= count and (self.times is None or count < self.nth + self.times)


@define
class Faults:
    """
    The injected faults, and the number of requests that each has seen.

    Args:
        seed: The seed of the probabilities.
    """

    seed: int
    injections: list[Injection] = field(factory=list, init=False)
    _counts: dict[tuple[Injection, int | None], int] = field(factory=dict, init=False)
    _random: Random = field(init=False)
    _lock: Lock = field(factory=Lock, init=False)

    def __attrs_post_init__(self) -> None:
        self.reset()

    def next(
        self, on: Operation, number: str, callback_id: int | None, also: Sequence[Injection] = ()
    ) -> Fault | None:
        """
        Count a request and return the fault that applies to it. The fault that was injected last
        takes precedence.

        Args:
            on: The operation.
            number: The customer's number.
            callback_id: The callback; None for an init request.
            also: The faults of a magic number.
        """
        found: Fault | None = None
        with self._lock:
            for injection in (*also, *self.injections):
                if injection.on != on or injection.number not in {None, number}:
                    continue
                count = self._count(injection, callback_id)
                if injection.covers(count) and self._random.random() < injection.probability:
                    found = injection.fault
        return found

    def _count(self, injection: Injection, callback_id: int | None) -> int:
        key = injection, callback_id
        count = self._counts.pop(key, 0) + 1
        self._counts[key] = count  # now the most recently used
        if len(self._counts) > _MAX_COUNTS:
            # Counts of init requests are few, and deleting one would bring back a fault.
            of_callbacks = (each for each in self._counts if each[1] is not None)
            for unused in list(islice(of_callbacks, max(_MAX_COUNTS // 10, 1))):
                del self._counts[unused]
        return count

    def add(self, injection: Injection) -> None:
        """Apply a fault from now on. Raises ValueError if there are already 1,000."""
        with self._lock:
            if len(self.injections) >= _MAX_INJECTIONS:
                raise ValueError(
                    f"{_MAX_INJECTIONS} faults are already injected. Clear the faults or reset the "
                    "simulator."
                )
            self.injections.append(injection)

    def clear(self) -> None:
        """Remove all injected faults. Those of magic numbers keep their counts."""
        with self._lock:
            removed = set(self.injections)
            self.injections.clear()
            self._counts = {
                key: count for key, count in self._counts.items() if key[0] not in removed
            }

    def reset(self) -> None:
        """Remove all faults and counts, and restore the seed."""
        with self._lock:
            self.injections.clear()
            self._counts.clear()
            self._random = Random(self.seed)  # noqa: S311 - reproducible faults need a seed, not a secret
