"""Masks access keys from the environment. Imported only if there is one."""

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
# Shorter keys are masked as whole words only, or a test's "KEY" would mask part of
# TENIOS_ACCESS_KEY.
_LONG = 8
_MAX_FILE = 65536


class Mask:
    """Masks these access keys in texts, in each of their spellings."""

    def __init__(self, *keys: str) -> None:
        self._keys = [key for key in keys if key]
        # Most keys have one spelling only, so the client is not imported.
        self._unusual: list[Secret] = []
        for key in self._keys:
            if not re.fullmatch(r"[A-Za-z0-9_-]+", key) and len(key) >= _LONG:
                from tenios_ext.shared import Secret  # imports httpx

                self._unusual.append(Secret(key))

    @classmethod
    def from_environment(cls) -> Mask:
        """Return a mask for TENIOS_ACCESS_KEY and the content of TENIOS_ACCESS_KEY_FILE."""
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
    # If it cannot be read, the client reports it.
    with suppress(OSError, RuntimeError, ValueError):
        path = Path(file).expanduser()
        # Reading a pipe would take its content away from the client.
        if stat.S_ISREG(path.stat().st_mode):
            with path.open(encoding="utf-8-sig") as opened:
                return opened.read(_MAX_FILE).strip()
    return ""


def _masked(text: str, secret: str) -> str:
    if len(secret) < _LONG:
        could_be_an_id = secret.isdecimal()
        return text if could_be_an_id else re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", _MASK, text)
    # An error may quote a value from its first invalid character to its end.
    head, tail = secret[:-_LONG], secret[-_LONG:]
    *parts, last = text.split(tail)
    return _MASK.join([*(part[: len(part) - _common_end(part, head)] for part in parts), last])


def _common_end(first: str, second: str) -> int:
    pairs = zip(reversed(first), reversed(second), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
