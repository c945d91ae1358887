"""The recorded requests, with access keys masked wherever they occur."""

from __future__ import annotations

from collections import deque
from itertools import count
from sys import getsizeof
from threading import Lock
from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen

from tenios_ext.shared import MASK, redact

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from ._response import Response
    from .faults import Fault, Operation

_MAX_REQUESTS = 10_000
_MAX_BYTES = 32 << 20


@frozen
class RecordedRequest:
    """
    A request that the simulator received, and its response.

    Attributes:
        index: The number of the request, counted from 1. A reset does not restart it.
        timestamp: When it was received, in seconds by the simulator's clock.
        operation: "init" or "status".
        body: The body; None if it was not a JSON object. Access keys, fields that are not in the
            contract, objects and lists are masked.
        response: The response, after any fault.
        fault: The fault that was applied, or None.
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
    The last requests: at most 10,000, and at most 32 MiB of request and response bodies.

    Attributes:
        size: Bytes of memory that the bodies take.
    """

    def __init__(self) -> None:
        self.size = 0
        self._requests: deque[tuple[RecordedRequest, int]] = deque()  # with their sizes
        self._indexes = count(1)
        self._lock = Lock()

    @property
    def requests(self) -> list[RecordedRequest]:
        """The requests, oldest first."""
        with self._lock:
            return [request for request, _ in self._requests]

    def add(self, now: Callable[[], float], **fields: Any) -> None:
        """Add a request with these other fields of :class:`RecordedRequest`."""
        with self._lock:  # index and time increase together
            request = RecordedRequest(index=next(self._indexes), timestamp=now(), **fields)
            size = sum(
                map(_memory, (request.body, request.response.body, request.response.raw_body))
            )
            self._requests.append((request, size))
            self.size += size
            while len(self._requests) > _MAX_REQUESTS or self.size > _MAX_BYTES:
                self.size -= self._requests.popleft()[1]

    def clear(self) -> None:
        """Delete all requests. Indexes are not reused."""
        with self._lock:
            self._requests.clear()
            self.size = 0


def _memory(value: object) -> int:
    """Return the bytes of memory that *value* takes, which can be far more than its JSON."""
    inner: Iterable[object] = value if isinstance(value, list) else ()
    if isinstance(value, dict):
        inner = [*value, *value.values()]
    return getsizeof(value) + sum(map(_memory, inner))


def redacted(
    document: Mapping[str, Any] | None,
    response: Response,
    *,
    keys: Collection[str],
    known_fields: Collection[str],
) -> tuple[dict[str, Any] | None, Response]:
    """
    Return the body of a request and its response with access keys masked.

    Args:
        document: The body. Values of fields that are not in the contract are masked. If its access
            key is not one of *keys*, all values are.
        response: The response. It repeats field names from the request.
        keys: The access keys of the accounts.
        known_fields: The fields in the contract. Their names stay readable even if they contain an
            access key.
    """
    given = document.get("access_key") if document else None
    is_known = given is None or (isinstance(given, str) and given in keys)

    def mask(text: str) -> str:
        return redact(text, *keys) if is_known else MASK

    def name(field: str) -> str:
        return field if field in known_fields else mask(field)

    def value(field: str, value: object) -> object:
        if field == "access_key" or field not in known_fields or isinstance(value, dict | list):
            return MASK
        text = str(value)
        return value if mask(text) == text else mask(text)

    if names := response.body.get("fields"):
        response = evolve(response, body={**response.body, "fields": [*map(name, names)]})
    if document is None:
        return None, response
    return {name(field): value(field, each) for field, each in document.items()}, response
