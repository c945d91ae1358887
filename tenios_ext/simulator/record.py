"""What the simulator was asked, without the keys that came with it, wherever in a request they stood."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from .faults import Fault, Operation
    from .reply import Reply

_MASK = "***"


@frozen
class Asked:
    """
    A request that came in, and what became of it; without the access key.

    Attributes:
        number: Counted from 1.
        at: Seconds, by the exchange's clock.
        operation: "init" or "status".
        request: The body; None where it was no JSON object. Shown as asterisks: keys, fields that the contract does not know,
            and objects and lists, of which it has none.
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


class Mask:
    """
    Hides the keys of accounts, and whatever one request has in a key's place.

    Args:
        keys: Those of the accounts.
        known: The names of the contract's fields, in which no key is looked for: an account's may be "key".
        document: The request.
    """

    def __init__(self, keys: Iterable[str], known: Collection[str], document: Mapping[str, Any] | None) -> None:
        self._known = known
        given = _texts(document.get("access_key")) if document else ()
        found = {*keys, *(each for text in given for each in (text, text.strip()))} - {""}
        self._secrets = sorted(found, key=len, reverse=True)  # One may be a part of another.

    def text(self, text: str) -> str:
        """*text* without keys."""
        for secret in self._secrets:
            text = text.replace(secret, _MASK)
        return text

    def request(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """*document* without keys, and without anything that the contract does not have, under whose name a key may stand."""
        shown = {}
        for name, value in document.items():
            is_hidden = name == "access_key" or name not in self._known or isinstance(value, dict | list)
            shown[self._name(name)] = _MASK if is_hidden else self.text(value) if isinstance(value, str) else value
        return shown

    def reply(self, reply: Reply) -> Reply:
        """*reply* without keys: it names fields as the request did."""
        names = reply.body.get("fields")
        return evolve(reply, body={**reply.body, "fields": [self._name(name) for name in names]}) if names else reply

    def _name(self, name: str) -> str:
        return name if name in self._known else self.text(name)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, each in value.items():
            yield name
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
