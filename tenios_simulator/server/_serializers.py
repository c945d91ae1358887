"""Converts between the simulator's objects and the JSON of the control API."""

from __future__ import annotations

import inspect
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import asdict

from tenios_ext import is_final
from tenios_ext.shared import redact

from ..faults import KINDS
from ..scenario import Action, Scenario

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .._engine import SimulatedCallback
    from .._magic_numbers import MagicNumber
    from .._request_log import RecordedRequest
    from .._response import Response
    from ..faults import Fault, Injection

_Made = TypeVar("_Made")
_INJECTION_FIELDS = ("on", "number", "nth", "times", "probability")
# The maximum lengths of a text, a field name, and an object or list in an event.
_MAX_TEXT = 1000
_MAX_NAME = 100
_MAX_ITEMS = 20
_KIND_OF = {fault: kind for kind, fault in KINDS.items()}


def serialize_callback(callback: SimulatedCallback, now: float) -> dict[str, Any]:
    """Return the JSON of a callback, with its history up to *now*."""
    history = callback.history(now)
    status = history[-1][1]
    return {
        "id": callback.id,
        "number": callback.number,
        "callback_config_id": redact(callback.callback_config_id, callback.access_key),
        "delay": callback.delay,
        "agent_announcement": callback.agent_announcement,
        "dtmf_key": callback.dtmf_key,
        "status": str(status),
        "is_final": is_final(status),
        "history": [
            {"status": str(status), "timestamp": timestamp} for timestamp, status in history
        ],
        "actions": [str(action) for action in Action if callback.scenario.after(action, status, 0)],
    }


def serialize_response(response: Response) -> dict[str, Any]:
    """Return the JSON of a response."""
    fields = asdict(response)
    raw_body = fields.pop("raw_body")
    return fields if raw_body is None else {**fields, "body": raw_body.decode(errors="replace")}


def serialize_request(request: RecordedRequest) -> dict[str, Any]:
    """Return the JSON of a recorded request."""
    return {
        **asdict(request, recurse=False),
        "response": serialize_response(request.response),
        "fault": _KIND_OF[type(request.fault)] if request.fault else None,
    }


def serialize_magic_number(magic: MagicNumber) -> dict[str, Any]:
    """Return the JSON of a magic number."""
    return {"number": magic.number, "display": magic.display, "description": magic.description}


def serialize_injection(injection: Injection) -> dict[str, Any]:
    """Return the JSON of an injected fault."""
    fields = asdict(injection)
    return {"kind": _KIND_OF[type(injection.fault)], **fields.pop("fault"), **fields}


def shorten(value: Any) -> Any:
    """Return a JSON value with long texts, names, objects and lists cut off."""
    if isinstance(value, dict):
        return {
            _cut(name, _MAX_NAME): shorten(item) for name, item in islice(value.items(), _MAX_ITEMS)
        }
    if isinstance(value, list):
        return [shorten(item) for item in value[:_MAX_ITEMS]]
    return _cut(value, _MAX_TEXT) if isinstance(value, str) else value


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[:length]}…"


def parse_scenario(document: Mapping[str, Any]) -> Scenario:
    """Return the scenario in *document*. Raises ValueError if a field does not apply to it."""
    name = document["name"]
    seconds = {field: value for field, value in document.items() if field not in {"name", "number"}}
    make: Callable[..., Scenario] = getattr(Scenario, name)
    return _make(make, name, seconds)


def parse_injection(document: Mapping[str, Any]) -> tuple[Fault, dict[str, Any]]:
    """
    Return the fault in *document* and the other arguments of :meth:`Simulator.inject`.

    Raises ValueError if a field is missing or does not apply to this kind of fault.
    """
    kind = document["kind"]
    arguments = {field: document[field] for field in _INJECTION_FIELDS if field in document}
    details = {
        field: value
        for field, value in document.items()
        if field not in {"kind", *_INJECTION_FIELDS}
    }
    return _make(KINDS[kind], kind, details), arguments


def _make(make: Callable[..., _Made], name: str, fields: Mapping[str, Any]) -> _Made:
    parameters = inspect.signature(make).parameters.values()
    known = {parameter.name for parameter in parameters}
    required = {parameter.name for parameter in parameters if parameter.default is parameter.empty}
    if unknown := fields.keys() - known:
        raise ValueError(f"The field {min(unknown)} does not apply to {name}. Remove it.")
    if missing := required - fields.keys():
        raise ValueError(f"{name} requires the field {min(missing)}.")
    return make(**fields)
