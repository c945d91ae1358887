"""
The exchange as TENIOS would answer it over HTTP. Knows of no server: a request comes in as values, and so does the answer.

What a request may look like is read from the contract itself; there is no second description of it.
"""

from __future__ import annotations

import json
from collections import deque
from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen

from .exchange import UnknownCallbackError, UnknownCredentialsError
from .faults import Faults, HttpError
from .reply import Reply
from .shape import Shape, contract

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tenios_client.models import CallbackStatus

    from .exchange import Exchange
    from .faults import Fault, Injection, Operation

#: Bytes; what a callback needs has a few hundred.
LARGEST_BODY = 1 << 16
_REMEMBERED = 10_000
_MASK = "***"
# The codes of TENIOS's sister APIs, and two of our own for what TENIOS does not document.
_MESSAGES = {
    "BAD_CREDENTIALS": "Bad credentials",
    "BODY_TOO_LARGE": f"The body has more than {LARGEST_BODY} bytes",
    "FIELD_IS_REQUIRED": "Field is required",
    "INVALID_CONTENT_TYPE": "The content type is not application/json",
    "INVALID_FIELD": "Invalid field",
    "INVALID_JSON": "Invalid JSON",
    "INVALID_VALUE": "Invalid value",
    "METHOD_NOT_ALLOWED": "Method not allowed",
    "NOT_FOUND": "Unknown method",
}


@frozen
class Asked:
    """
    A request that came in, and what became of it; without the access key.

    Attributes:
        number: Counted from 1.
        at: Seconds, by the exchange's clock.
        operation: "init" or "status".
        request: The body, its access key masked; None where it was no JSON object.
        reply: What was answered.
        fault: What went wrong on the way, if anything.
        callback_id: The callback that it was about, if it was about one.
    """

    number: int
    at: float
    operation: Operation
    request: Mapping[str, Any] | None
    reply: Reply
    fault: Fault | None = None
    callback_id: int | None = None


def _error(status: int, code: str, *fields: str, **headers: str) -> Reply:
    return Reply(status, {"error_code": code, "error_message": _MESSAGES[code], "fields": list(fields)}, headers)


class Service:
    """
    Answers requests to an exchange.

    Attributes:
        asked: The last 10,000 requests to either operation.
    """

    def __init__(self, exchange: Exchange, faults: Faults, faults_of: Callable[[str], Sequence[Injection]]) -> None:
        self._exchange = exchange
        self._faults = faults
        self._faults_of = faults_of
        self.asked: deque[Asked] = deque(maxlen=_REMEMBERED)
        self._numbers = count(1)

    def answer(self, method: str, path: str, body: bytes, *, content_type: str = "application/json") -> Reply:
        """The answer to a request."""
        operation = _OPERATIONS.get(path)
        if operation is None:
            return _error(404, "NOT_FOUND")
        if method != "POST":
            return _error(405, "METHOD_NOT_ALLOWED", Allow="POST")
        reply, asked = self._asked(operation, body, content_type)
        self.asked.append(asked)
        return reply

    def _asked(self, operation: Operation, body: bytes, content_type: str) -> tuple[Reply, Asked]:
        document, reply, fault, callback_id = None, None, None, None
        if len(body) > LARGEST_BODY:
            reply = _error(413, "BODY_TOO_LARGE", Connection="close")
        elif body and content_type.partition(";")[0].strip().lower() != "application/json":
            reply = _error(415, "INVALID_CONTENT_TYPE")
        elif (document := json_object(body)) is None:
            reply = _error(400, "INVALID_JSON")
        else:
            try:
                reply, fault, callback_id = self._answered(operation, document)
            except UnknownCredentialsError:
                reply = _error(400, "BAD_CREDENTIALS")
            except UnknownCallbackError:
                reply = _error(400, "INVALID_VALUE", "id")
        key = document.get("access_key") if document else None
        shown = evolve(reply, body=_masked(reply.body, key))
        request = _masked(document, key) if document is not None else None
        return reply, Asked(next(self._numbers), self._exchange.now(), operation, request, shown, fault, callback_id)

    def _answered(self, operation: Operation, document: Mapping[str, Any]) -> tuple[Reply, Fault | None, int | None]:
        shape = _shapes()[operation]
        document = shape.with_integers(shape.with_numbers(document))
        if found := shape.error(document):
            return _error(400, found[0], *found[1]), None, None
        return (self._init if operation == "init" else self._status)(document)

    def _init(self, document: Mapping[str, Any]) -> tuple[Reply, Fault | None, int | None]:
        access_key, config_id = document["access_key"], document["callback_config_id"]
        number = document["callback_number"]
        self._exchange.check(access_key, config_id)
        fault = self._faults.next("init", number, None, self._faults_of(number))
        if isinstance(fault, HttpError) and not fault.accepted:
            return fault.spoil(Reply(200, {}), ()), fault, None
        callback = self._exchange.request(
            access_key,
            config_id,
            number=number,
            delay=document["delay"],
            announcement=document.get("agent_announcement"),
            dtmf_key=document.get("dtmf_key_to_trigger_customer_call"),
        )
        return _spoilt(fault, Reply(200, {"id": callback.id}), ()), fault, callback.id

    def _status(self, document: Mapping[str, Any]) -> tuple[Reply, Fault | None, int | None]:
        callback = self._exchange.find(document["access_key"], document["id"])
        course = [status for _, status in callback.timeline]
        status = callback.history(self._exchange.now())[-1][1]
        number = callback.number
        fault = self._faults.next("status", number, callback.id, self._faults_of(number))
        return _spoilt(fault, Reply(200, {"status": str(status)}), course), fault, callback.id


_OPERATIONS: dict[str, Operation] = {"/callback/init": "init", "/callback/status": "status"}


@cache
def _shapes() -> dict[Operation, Shape]:
    return {
        "init": Shape(contract(), "InitCallbackRequest"),
        "status": Shape(contract(), "CallbackStatusRequest"),
    }


def _spoilt(fault: Fault | None, reply: Reply, course: Sequence[CallbackStatus]) -> Reply:
    return fault.spoil(reply, course) if fault is not None else reply


def json_object(body: bytes) -> dict[str, Any] | None:
    """The JSON object in *body*; None where it is something else."""
    try:
        document = json.loads(body, parse_constant=_refuse)
        if b"\\u" in body:
            json.dumps(
                document, ensure_ascii=False
            ).encode()  # Half of a character is none: JSON lets it pass, Unicode does not.
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _masked(value: Any, key: object) -> Any:  # noqa: ANN401 - whatever JSON holds
    """*value* without the access key, wherever it stands."""
    if isinstance(value, dict):
        return {
            _masked(name, key): _MASK if name == "access_key" else _masked(each, key) for name, each in value.items()
        }
    if isinstance(value, list):
        return [_masked(each, key) for each in value]
    return value.replace(key, _MASK) if isinstance(key, str) and key and isinstance(value, str) else value
