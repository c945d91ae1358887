"""Masks the access keys that the environment names. Imported only if it names one."""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tenios_ext.shared import Secret

_MASK = "***"
# Shorter keys are masked only where they are words: a test's "KEY" is not what TENIOS_ACCESS_KEY
# ends with.
_LONG = 8
_MAX_FILE = 65536


class Mask:
    """
    Masks access keys in a text, in each of their spellings.

    Args:
        keys: The access keys.
    """

    def __init__(self, *keys: str) -> None:
        self._keys = [key for key in keys if key]
        # Most keys are written in one way only, and need nothing of the client.
        self._unusual: list[Secret] = []
        for key in self._keys:
            if not re.fullmatch(r"[A-Za-z0-9_-]+", key) and len(key) >= _LONG:
                from tenios_ext.shared import Secret  # imports httpx

                self._unusual.append(Secret(key))

    @classmethod
    def from_environment(cls) -> Mask:
        """Return a mask of the keys that the environment names."""
        names = ("TENIOS_ACCESS_KEY", "TENIOS_ACCESS_KEY_FILE")
        key, file = (os.environ.get(name, "") for name in names)
        return cls(key, _key_in(file))

    def __call__(self, text: str) -> str:
        """Return *text* with the keys masked."""
        for secret in self._unusual:
            text = secret.redact(text)
        for key in self._keys:
            text = _masked(text, key)
        return text


def _key_in(file: str) -> str:
    # It cannot be read, or has no text. The client says so.
    with suppress(OSError, RuntimeError, ValueError):
        path = Path(file).expanduser()
        # What is read from a pipe would be missing when the client reads it.
        if stat.S_ISREG(path.stat().st_mode):
            with path.open(encoding="utf-8-sig") as opened:
                return opened.read(_MAX_FILE).strip()
    return ""


def _masked(text: str, secret: str) -> str:
    if len(secret) < _LONG:
        could_be_an_id = secret.isdecimal()
        return text if could_be_an_id else re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", _MASK, text)
    # An error may quote the rest of a value from the first wrong character on.
    head, tail = secret[:-_LONG], secret[-_LONG:]
    *parts, last = text.split(tail)
    return _MASK.join([*(part[: len(part) - _common_end(part, head)] for part in parts), last])


def _common_end(first: str, second: str) -> int:
    pairs = zip(reversed(first), reversed(second), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
