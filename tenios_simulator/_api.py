"""TENIOS's API without HTTP. Requests are validated against the contract itself."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

from tenios_ext.shared import redact

from ._engine import UnknownCallbackError, UnknownCredentialsError
from ._request_log import RequestLog, redacted
from ._response import Response
from ._schema import RequestSchema, contract
from .faults import Faults, HttpError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ._engine import CallbackStore
    from .faults import Fault, Injection, Operation

#: Bytes; a valid body has a few hundred.
LARGEST_BODY = 1 << 16
_MAX_LEVELS = 100
# As TENIOS documents them for this and its other APIs. BODY_TOO_LARGE, INVALID_CONTENT_TYPE and
# UNKNOWN_FIELD are the simulator's own.
_MESSAGES = {
    "BAD_CREDENTIALS": "Bad credentials",
    "BODY_TOO_LARGE": f"The body is larger than {LARGEST_BODY} bytes",
    "FIELD_IS_REQUIRED": "Field is required",
    "INVALID_CONTENT_TYPE": "The content type is not application/json",
    "INVALID_JSON": "Invalid JSON",
    "INVALID_VALUE": "Invalid parameter type or format",
    "METHOD_NOT_ALLOWED": "Method not allowed",
    "NOT_FOUND": "Unknown method",
    "UNKNOWN_FIELD": "Unknown field",
}
_CODES = {"missing": "FIELD_IS_REQUIRED", "unknown": "UNKNOWN_FIELD", "form": "INVALID_VALUE"}
_OPERATIONS: dict[str, Operation] = {"/callback/init": "init", "/callback/status": "status"}


_Result: TypeAlias = "tuple[Response, Fault | None, int | None]"  # the latter is the callback's id


class RequestError(Exception):
    """
    A request is refused.

    Attributes:
        response: The response, in TENIOS's format of errors.
    """

    def __init__(
        self, status: int, code: str, *fields: str, message: str | None = None, **headers: str
    ) -> None:
        super().__init__(code)
        error = {"error_code": code, "error_message": message or _MESSAGES[code]}
        self.response = Response(status, {**error, "fields": list(fields)}, headers)


class ApiHandler:
    """
    Responds to requests, and records them in ``log``.

    Args:
        store: Starts the callbacks.
        faults: The injected faults.
        faults_of: Returns the faults of a magic number.
    """

    def __init__(
        self, store: CallbackStore, faults: Faults, faults_of: Callable[[str], Sequence[Injection]]
    ) -> None:
        self._store = store
        self._faults = faults
        self._faults_of = faults_of
        self.log = RequestLog()

    def handle(
        self, method: str, path: str, body: bytes, *, content_type: str = "application/json"
    ) -> Response:
        """Return the response to a request and record both."""
        operation = _OPERATIONS.get(path)
        if operation is None:
            return _not_found(path).response
        if method != "POST":
            return RequestError(405, "METHOD_NOT_ALLOWED", Allow="POST").response
        document = None
        try:
            document = parse_body(body, content_type)
            response, fault, callback_id = self._respond(operation, document)
        except RequestError as error:
            response, fault, callback_id = error.response, None, None
        known_fields = _schemas()[operation].fields
        shown, shown_response = redacted(
            document, response, keys=self._store.accounts, known_fields=known_fields
        )
        self.log.add(
            self._store.now,
            operation=operation,
            body=shown,
            response=shown_response,
            fault=fault,
            callback_id=callback_id,
        )
        return response

    def _respond(self, operation: Operation, document: Mapping[str, Any]) -> _Result:
        schema = _schemas()[operation]
        document = schema.with_integers(document, from_text=True)
        if violation := schema.violation(document):
            if violation.kind == "value":
                raise _invalid_field(document, *violation.fields)
            raise RequestError(400, _CODES[violation.kind], *violation.fields)
        try:
            return self._init(document) if operation == "init" else self._status(document)
        except UnknownCredentialsError:
            raise RequestError(400, "BAD_CREDENTIALS") from None
        except UnknownCallbackError:
            raise _invalid_field(document, "id") from None

    def _init(self, document: Mapping[str, Any]) -> _Result:
        access_key, config_id = document["access_key"], document["callback_config_id"]
        number = document["callback_number"]
        self._store.authenticate(access_key, config_id)
        fault = self._faults.next("init", number, None, self._faults_of(number))
        if isinstance(fault, HttpError) and not fault.accepted:
            return fault.apply(Response(200, {}), ()), fault, None
        announcement = document.get("agent_announcement")
        callback = self._store.add(
            access_key=access_key,
            callback_config_id=config_id,
            number=number,
            delay=document["delay"],
            agent_announcement=announcement and redact(announcement, *self._store.accounts),
            dtmf_key=document.get("dtmf_key_to_trigger_customer_call"),
        )
        response = Response(200, {"id": callback.id})
        return fault.apply(response, ()) if fault else response, fault, callback.id

    def _status(self, document: Mapping[str, Any]) -> _Result:
        callback = self._store.find(document["access_key"], document["id"])
        _, status = callback.history(self._store.now())[-1]
        fault = self._faults.next(
            "status", callback.number, callback.id, self._faults_of(callback.number)
        )
        response = Response(200, {"status": str(status)})
        timeline = [status for _, status in callback.timeline]
        return fault.apply(response, timeline) if fault else response, fault, callback.id


@cache
def _schemas() -> dict[Operation, RequestSchema]:
    return {
        "init": RequestSchema(contract(), "InitCallbackRequest"),
        "status": RequestSchema(contract(), "CallbackStatusRequest"),
    }


def _invalid_field(document: Mapping[str, Any], field: str) -> RequestError:
    message = f"Invalid '{field}' input parameter. Invalid value - '{document[field]}'"
    return RequestError(400, "INVALID_FIELD", field, message=message)


def _not_found(path: str) -> RequestError:
    intended = "/" + "/".join(part for part in path.split("/") if part)
    if intended not in _OPERATIONS:
        return RequestError(404, "NOT_FOUND")
    message = f"Unknown method: {path}. Use {intended}, and a base URL without a slash at the end."
    return RequestError(404, "NOT_FOUND", message=message)


def parse_body(body: bytes, content_type: str) -> dict[str, Any]:
    """Return the JSON object in *body*. Raises RequestError if it is anything else."""
    if len(body) > LARGEST_BODY:
        raise RequestError(413, "BODY_TOO_LARGE", Connection="close")
    if body and content_type.partition(";")[0].strip().lower() != "application/json":
        raise RequestError(415, "INVALID_CONTENT_TYPE")
    document = _json_object(body)
    if document is None:
        raise RequestError(400, "INVALID_JSON")
    return document


def _json_object(body: bytes) -> dict[str, Any] | None:
    """
    Return the JSON object in *body*; None if it is anything else.

    Stricter than Python's parser, so that the result can always be encoded as JSON again: UTF-8
    without lone surrogates, finite numbers, unique names, and at most 100 levels of nesting.
    """
    try:
        document = json.loads(body.decode(), object_pairs_hook=_with_unique_names)
        json.dumps(document, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return (
        document if isinstance(document, dict) and not _is_deeper(document, _MAX_LEVELS) else None
    )


def _with_unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        raise ValueError("An object has duplicate names.")
    return document


def _is_deeper(value: object, levels: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(levels == 0 or _is_deeper(each, levels - 1) for each in inner)
