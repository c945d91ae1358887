"""
The exchange as TENIOS would answer it over HTTP. Knows of no server: a request comes in as values, and so does the answer.

What a request may look like is read from the contract itself; there is no second description of it.
"""

from __future__ import annotations

import json
from collections import deque
from functools import cache
from itertools import count
from math import isinf
from threading import Lock
from typing import TYPE_CHECKING, Any

from .exchange import UnknownCallbackError, UnknownCredentialsError
from .faults import Faults, HttpError
from .record import Asked, Mask
from .reply import Reply
from .shape import Shape, contract

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .exchange import Exchange
    from .faults import Fault, Injection, Operation

#: Bytes; what a callback needs has a few hundred.
LARGEST_BODY = 1 << 16
_DEEPEST = 100
_REMEMBERED = 10_000
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
        self._recording = Lock()

    def answer(self, method: str, path: str, body: bytes, *, content_type: str = "application/json") -> Reply:
        """The answer to a request."""
        operation = _OPERATIONS.get(path)
        if operation is None:
            return _error(404, "NOT_FOUND")
        if method != "POST":
            return _error(405, "METHOD_NOT_ALLOWED", Allow="POST")
        read = _read(body, content_type)
        document = None if isinstance(read, Reply) else read
        mask = Mask(self._exchange.accounts, _shapes()[operation].known, document)
        reply, fault, callback_id = (
            (read, None, None) if isinstance(read, Reply) else self._answered(operation, read, mask)
        )
        request = mask.request(document) if document is not None else None
        shown = mask.reply(reply)
        with self._recording:
            now = self._exchange.now()
            self.asked.append(Asked(next(self._numbers), now, operation, request, shown, fault, callback_id))
        return reply

    def _answered(
        self, operation: Operation, document: Mapping[str, Any], mask: Mask
    ) -> tuple[Reply, Fault | None, int | None]:
        shape = _shapes()[operation]
        document = shape.with_integers(shape.with_numbers(document))
        if found := shape.error(document):
            return _error(400, found[0], *found[1]), None, None
        try:
            return self._init(document, mask) if operation == "init" else self._status(document)
        except UnknownCredentialsError:
            return _error(400, "BAD_CREDENTIALS"), None, None
        except UnknownCallbackError:
            return _error(400, "INVALID_VALUE", "id"), None, None

    def _init(self, document: Mapping[str, Any], mask: Mask) -> tuple[Reply, Fault | None, int | None]:
        access_key, config_id = document["access_key"], document["callback_config_id"]
        number = document["callback_number"]
        self._exchange.check(access_key, config_id)
        fault = self._faults.next("init", number, None, self._faults_of(number))
        if isinstance(fault, HttpError) and not fault.accepted:
            return fault.spoil(Reply(200, {}), ()), fault, None
        announcement = document.get("agent_announcement")
        callback = self._exchange.request(
            access_key,
            config_id,
            number=number,
            delay=document["delay"],
            announcement=mask.text(announcement) if announcement is not None else None,
            dtmf_key=document.get("dtmf_key_to_trigger_customer_call"),
        )
        if forgotten := self._exchange.forget_old():
            self._faults.forget(forgotten)
        reply = Reply(200, {"id": callback.id})
        return fault.spoil(reply, ()) if fault else reply, fault, callback.id

    def _status(self, document: Mapping[str, Any]) -> tuple[Reply, Fault | None, int | None]:
        callback = self._exchange.find(document["access_key"], document["id"])
        status = callback.history(self._exchange.now())[-1][1]
        number = callback.number
        fault = self._faults.next("status", number, callback.id, self._faults_of(number))
        reply = Reply(200, {"status": str(status)})
        return fault.spoil(reply, [status for _, status in callback.timeline]) if fault else reply, fault, callback.id


_OPERATIONS: dict[str, Operation] = {"/callback/init": "init", "/callback/status": "status"}


@cache
def _shapes() -> dict[Operation, Shape]:
    return {
        "init": Shape(contract(), "InitCallbackRequest"),
        "status": Shape(contract(), "CallbackStatusRequest"),
    }


def _read(body: bytes, content_type: str) -> dict[str, Any] | Reply:
    """The JSON object in *body*, or why there is none."""
    if len(body) > LARGEST_BODY:
        return _error(413, "BODY_TOO_LARGE", Connection="close")
    if body and content_type.partition(";")[0].strip().lower() != "application/json":
        return _error(415, "INVALID_CONTENT_TYPE")
    document = json_object(body)
    return document if document is not None else _error(400, "INVALID_JSON")


def json_object(body: bytes) -> dict[str, Any] | None:
    """
    The JSON object in *body*; None where it is something else.

    Stricter than Python's reader, so that whatever is taken can be shown again: UTF-8 only and no half characters, no number
    beyond a float's, no name twice, and no more levels than anybody needs.
    """
    try:
        text = body.decode()
        document = _DECODER.decode(text)
        if "\\u" in text:
            json.dumps(document, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) and not _is_deeper(document, _DEEPEST) else None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if isinf(value):
        raise ValueError(f"{text} is beyond a float")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        raise ValueError("A name is there twice.")
    return document


def _is_deeper(value: object, levels: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(levels == 0 or _is_deeper(each, levels - 1) for each in inner)


_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite, object_pairs_hook=_once)
