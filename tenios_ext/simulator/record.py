"""What the simulator was asked, without the keys that came with it, wherever in a request they stood."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from .faults import Fault, Operation
    from .reply import Reply

_MASK = "***"
# In place of what is hidden while there is more to hide: half a character, which no JSON that was taken contains.
_HIDDEN = "\ud800"


@frozen
class Asked:
    """
    A request that came in, and what became of it; without the access key.

    Attributes:
        number: Counted from 1; a reset does not begin again.
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
        given = document.get("access_key", "") if document else ""
        # What is in there cannot be told from the rest; nothing that TENIOS takes has it.
        self._hides_all = isinstance(given, dict | list)
        found = {*keys, str(given), str(given).strip()} - {""}
        self._secrets = sorted(found, key=len, reverse=True)  # One may be a part of another.

    def text(self, text: str) -> str:
        """*text* without keys, and no longer than before."""
        for secret in self._secrets:
            text = text.replace(secret, _HIDDEN * min(len(secret), len(_MASK)))
        return text.replace(_HIDDEN, "*")

    def request(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """*document* without keys, and without anything that the contract does not have, under whose name a key may stand."""
        return {self._name(name): self._value(name, value) for name, value in document.items()}

    def _value(self, name: str, value: object) -> object:
        if self._hides_all or name == "access_key" or name not in self._known or isinstance(value, dict | list):
            return _MASK
        if isinstance(value, str):
            return self.text(value)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return _MASK if is_number and self.text(str(value)) != str(value) else value

    def reply(self, reply: Reply) -> Reply:
        """*reply* without keys: it names fields as the request did."""
        names = reply.body.get("fields")
        return evolve(reply, body={**reply.body, "fields": [self._name(name) for name in names]}) if names else reply

    def _name(self, name: str) -> str:
        return name if name in self._known else _MASK if self._hides_all else self.text(name)
