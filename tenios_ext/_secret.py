"""The access key, and how it is masked in texts."""

from __future__ import annotations

import html
import json
import logging
import re
from functools import lru_cache
from typing import Any, NoReturn
from urllib.parse import quote, quote_plus
from weakref import WeakSet

from ._checks import one_line_problem
from ._exceptions import ConfigurationError

MASK = "***"
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
_PERCENT = r"%[0-9A-F]{2}"
_ESCAPED = r"(?<=\\u)[0-9a-f]{4}"
#: The loggers of the HTTP libraries. They write what servers send, which may be a request's body.
_LOGGERS = ["httpx", *(f"httpcore.{name}" for name in ("connection", "http11", "proxy", "socks"))]


class Secret:
    """
    An access key. It is not a str, so that logs, tracebacks and error reporters cannot print, slice
    or encode it.

    Args:
        value: The key. Other types are refused by :meth:`check`, without being shown.
    """

    __slots__ = ("__weakref__", "_value")

    def __init__(self, value: Any) -> None:
        self._value = value

    def __repr__(self) -> str:
        return MASK

    def __reduce__(self) -> NoReturn:
        raise TypeError("An access key cannot be pickled. Create a client in the other process.")

    def check(self) -> None:
        """Raise ConfigurationError unless the key is one line. No local variable contains it."""
        if problem := one_line_problem("access_key", self._value):
            raise ConfigurationError(problem)
        if _QUOTED.fullmatch(self._value):
            raise ConfigurationError(
                "access_key (or TENIOS_ACCESS_KEY) must not have quotation marks around it."
            )

    def reveal(self) -> str:
        """Return the key. Only the transport calls this, to build the body of a request."""
        return str(self._value)

    def redact(self, text: str) -> str:
        """Return *text* with the key masked, however it is escaped."""
        return _pattern(self.reveal()).sub(MASK, text)

    def is_in(self, text: object) -> bool:
        """Return whether *text* is a str that contains the key."""
        return isinstance(text, str) and self.redact(text) != text


_in_use: WeakSet[Secret] = WeakSet()


def _mask_record(record: logging.LogRecord) -> bool:
    message = record.getMessage()
    for secret in tuple(_in_use):
        message = secret.redact(message)
    if message != record.getMessage():
        record.msg, record.args = message, ()
    return True


def mask_logs(secret: Secret) -> None:
    """Mask a key in the logs of the HTTP libraries, for as long as the client has it."""
    _in_use.add(secret)
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_mask_record)


def redact(text: str, *keys: str) -> str:
    """Return *text* with access keys masked, however they are escaped."""
    return _pattern(*keys).sub(MASK, text)


@lru_cache
def _pattern(*keys: str) -> re.Pattern[str]:
    """
    Return a pattern for keys as Python, JSON, URLs and HTML escape them, with any number of
    backslashes.
    """
    found = set(keys)
    for key in keys:
        found |= {repr(key)[1:-1], repr(key.encode())[2:-1], ascii(key)[1:-1]}
        found |= {json.dumps(key)[1:-1], html.escape(key)}
        found |= {quote(key), quote(key, safe=""), quote_plus(key)}
    found |= {re.sub(_PERCENT, lambda escape: escape[0].lower(), each) for each in found}
    found |= {re.sub(_ESCAPED, lambda digits: digits[0].upper(), each) for each in found}
    # The longest first, because one may be part of another.
    return re.compile("|".join(map(_escaped, sorted(found, key=len, reverse=True))))


def _escaped(spelling: str) -> str:
    return "".join(
        each if each.isalnum() else r"\\+" if each == "\\" else r"\\*" + re.escape(each)
        for each in spelling
    )
