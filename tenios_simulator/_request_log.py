"""The record of requests, in which access keys are masked wherever they stand in a request."""

from __future__ import annotations

from collections import deque
from itertools import count
from sys import getsizeof
from threading import Lock
from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from ._response import Response
    from .faults import Fault, Operation

_MAX_REQUESTS = 10_000
_MAX_BYTES = 32 << 20
_MASK = "***"
# Replaces each character of a secret while others are still being searched for. A lone surrogate is
# in no JSON that was accepted.
_PLACEHOLDER = "\ud800"


@frozen
class RecordedRequest:
    """
    A request that the simulator received, and its response.

    Attributes:
        index: The number of the request, counted from 1. A reset does not restart it.
        timestamp: When it was received, in seconds by the simulator's clock.
        operation: "init" or "status".
        body: The body; None if it was not a JSON object. Access keys are masked, and so are fields
            that are not in the contract, objects and lists.
        response: The response, after any fault.
        fault: The fault that was applied; None if none was.
        callback_id: The callback that was started or polled; None if the request was rejected.
    """

    index: int
    timestamp: float
    operation: Operation
    body: Mapping[str, Any] | None
    response: Response
    fault: Fault | None = None
    callback_id: int | None = None


class RequestLog:
    """
    The last requests. At most 10,000 are kept, and at most 32 MiB of their bodies and those of
    their responses.

    Attributes:
        size: How much memory the bodies take, in bytes.
    """

    def __init__(self) -> None:
        self.size = 0
        self._requests: deque[RecordedRequest] = deque()
        self._sizes: deque[int] = deque()
        self._indexes = count(1)
        self._lock = Lock()

    @property
    def requests(self) -> list[RecordedRequest]:
        """The requests, oldest first."""
        with self._lock:
            return list(self._requests)

    def add(
        self,
        now: Callable[[], float],
        operation: Operation,
        body: Mapping[str, Any] | None,
        response: Response,
        *,
        fault: Fault | None,
        callback_id: int | None,
    ) -> None:
        """Add a request. Index and time are read under one lock, so that both go up."""
        size = _memory(body) + _memory(response.body) + _memory(response.raw_body)
        with self._lock:
            index = next(self._indexes)
            self._requests.append(
                RecordedRequest(index, now(), operation, body, response, fault, callback_id)
            )
            self._sizes.append(size)
            self.size += size
            while len(self._requests) > _MAX_REQUESTS or self.size > _MAX_BYTES:
                self._requests.popleft()
                self.size -= self._sizes.popleft()

    def clear(self) -> None:
        """Remove all requests. Indexes are not reused."""
        with self._lock:
            self._requests.clear()
            self._sizes.clear()
            self.size = 0


def _memory(value: object) -> int:
    """
    Return how many bytes of memory *value* takes, which for an object with many fields are far more
    than in JSON.
    """
    inner = (
        [*value, *value.values()]
        if isinstance(value, dict)
        else value
        if isinstance(value, list)
        else ()
    )
    return getsizeof(value) + sum(map(_memory, inner))


class Redactor:
    """
    Masks access keys: those of all accounts, and whatever a request has in its ``access_key``.

    Args:
        keys: The access keys of the accounts.
        known_fields: The names of the contract's fields, which stay readable even if an access key
            is a part of them.
        document: The body of the request.
    """

    def __init__(
        self, keys: Iterable[str], known_fields: Collection[str], document: Mapping[str, Any] | None
    ) -> None:
        self._known_fields = known_fields
        given = document.get("access_key", "") if document else ""
        # A key inside an object or a list could be any part of it, so the whole request is masked.
        # It is invalid anyway.
        self._masks_all = isinstance(given, dict | list)
        found = {*keys, str(given), str(given).strip()} - {""}
        # Only those that occur in the request: to search each field for the keys of many accounts
        # would take seconds.
        if document is not None:
            texts = [
                str(value) for value in document.values() if isinstance(value, str | int | float)
            ]
            everything = _PLACEHOLDER.join([*document, *texts])
            found = {secret for secret in found if secret in everything}
        self._secrets = sorted(found, key=len, reverse=True)  # One may be a part of another.

    def text(self, text: str) -> str:
        """Return *text* with keys masked. It does not get longer."""
        for secret in self._secrets:
            text = text.replace(secret, _PLACEHOLDER * min(len(secret), len(_MASK)))
        return text.replace(_PLACEHOLDER, "*")

    def body(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """
        Return the body of a request with keys masked, and the values of all fields that are not in
        the contract.
        """
        return {self._name(name): self._value(name, value) for name, value in document.items()}

    def response(self, response: Response) -> Response:
        """
        Return *response* with keys masked in the names of fields, which it repeats from the
        request.
        """
        names = response.body.get("fields")
        if not names:
            return response
        return evolve(
            response, body={**response.body, "fields": [self._name(name) for name in names]}
        )

    def _value(self, name: str, value: object) -> object:
        if (
            self._masks_all
            or name == "access_key"
            or name not in self._known_fields
            or isinstance(value, dict | list)
        ):
            return _MASK
        if isinstance(value, str):
            return self.text(value)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return _MASK if is_number and self.text(str(value)) != str(value) else value

    def _name(self, name: str) -> str:
        return name if name in self._known_fields else _MASK if self._masks_all else self.text(name)
