"""The simulator's state as the control API shows it, and its orders as the simulator takes them."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import asdict

from ..status import is_final
from .faults import KINDS
from .journey import Journey, Move
from .record import Mask

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .exchange import SimulatedCallback
    from .faults import Fault, Injection
    from .magic import MagicNumber
    from .record import Asked
    from .reply import Reply

_Made = TypeVar("_Made")
_PLACE = ("on", "number", "nth", "times", "probability")
_NAMES = {kind: name for name, kind in KINDS.items()}


def callback(each: SimulatedCallback, now: float) -> dict[str, Any]:
    """A callback."""
    history = each.history(now)
    status = history[-1][1]
    return {
        "id": each.id,
        "number": each.number,
        "config_id": Mask([each.access_key], (), None).text(each.config_id),
        "delay": each.delay,
        "announcement": each.announcement,
        "dtmf_key": each.dtmf_key,
        "status": str(status),
        "over": is_final(status),
        "history": [{"status": str(status), "at": at} for at, status in history],
        "moves": [str(move) for move in Move if each.journey.after(move, status, 0)],
    }


def answer(reply: Reply) -> dict[str, Any]:
    """An answer."""
    body = reply.body if reply.raw is None else reply.raw.decode(errors="replace")
    return {
        "status": reply.status,
        "body": body,
        "headers": dict(reply.headers),
        "wait": reply.wait,
        "lost": reply.lost,
    }


def asked(each: Asked) -> dict[str, Any]:
    """A request."""
    return {
        "number": each.number,
        "at": each.at,
        "operation": each.operation,
        "request": each.request,
        "answer": answer(each.reply),
        "fault": _NAMES[type(each.fault)] if each.fault else None,
        "callback_id": each.callback_id,
    }


def magic(each: MagicNumber) -> dict[str, Any]:
    """A magic number."""
    return {"number": each.number, "shown": each.shown, "meaning": each.meaning}


def injection(each: Injection) -> dict[str, Any]:
    """A fault and its place."""
    place = {name: getattr(each, name) for name in _PLACE}
    return {"kind": _NAMES[type(each.fault)], **asdict(each.fault), **place}  # type: ignore[arg-type] # each kind is attrs'


def journey_of(document: Mapping[str, Any]) -> Journey:
    """The journey that *document* describes. Raises ValueError where its seconds are not those of that journey."""
    seconds = {name: value for name, value in document.items() if name not in {"name", "number"}}
    make: Callable[..., Journey] = getattr(Journey, document["name"])
    return _made(make, document["name"], seconds)


def fault_of(document: Mapping[str, Any]) -> tuple[Fault, dict[str, Any]]:
    """The fault that *document* describes, and its place. Raises ValueError where it lacks something or has too much."""
    place = {name: document[name] for name in _PLACE if name in document}
    rest = {name: value for name, value in document.items() if name not in {"kind", *_PLACE}}
    return _made(KINDS[document["kind"]], document["kind"], rest), place


def _made(make: Callable[..., _Made], name: str, arguments: Mapping[str, Any]) -> _Made:
    try:
        inspect.signature(make).bind(**arguments)
    except TypeError as error:
        raise ValueError(f"{name}: {error}.") from None
    return make(**arguments)
