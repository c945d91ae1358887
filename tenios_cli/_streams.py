"""
The standard streams as the commands write to them.

Once a callback has been started, its id and the exit code must not be lost over a letter that the terminal cannot show, a full
disk or a closed pipe. So writing never fails, whatever the stream is, and no text is shown that could control the terminal or
that holds the access key.
"""

from __future__ import annotations

import errno
import io
import json
import os
import re
import stat
import unicodedata
from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable

_MASK = "***"
# Shorter keys are masked only where they are words: a test's "KEY" is not what TENIOS_ACCESS_KEY ends with.
_LONG = 8
_MAX_KEY_FILE = 65536
_NOT_ASCII = re.compile(r"[^ -~\n]+")


class SafeStream(io.TextIOBase):
    """
    Stands in for stdout or stderr. Writing raises nothing: text that cannot be written is dropped.

    Args:
        stream: The stream; None if it was closed when the command began.
        on_failure: Called when a text cannot be written, the first time only.

    Attributes:
        failure: Why a text could not be written; None if all could.
        secrets: What is masked: the access keys that the environment names.
        shows_controls: Whether control characters are written as they are. Only rich needs that.
    """

    # Read by click and rich. If this were ASCII, click would write to the stream behind it.
    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, stream: TextIO | None, *, on_failure: Callable[[], None] = lambda: None) -> None:
        self.failure: Exception | None = None
        self.secrets: frozenset[str] | None = None
        self.shows_controls = False
        self._stream = stream
        self._on_failure = on_failure
        if isinstance(stream, io.TextIOWrapper):
            if isinstance(stream.buffer, io.RawIOBase):  # PYTHONUNBUFFERED, which drops what cannot be written at once.
                self._stream = stream = _buffered(stream)
            stream.reconfigure(errors="backslashreplace")

    def writable(self) -> bool:
        """Return True."""
        return True

    def isatty(self) -> bool:
        """Return whether this is a terminal."""
        try:
            return self._stream is not None and self._stream.isatty()
        except ValueError:  # It is closed.
            return False

    def fileno(self) -> int:
        """Return the stream's file descriptor. Raises OSError if it has none."""
        if self._stream is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return self._stream.fileno()

    def write(self, text: str) -> int:
        """Write *text* at once."""
        if not isinstance(text, str):  # click tries whether bytes can be written.
            raise TypeError(f"Only text can be written, not {type(text).__name__}.")
        shown = self.mask(text)
        self._send(shown if self.shows_controls else escape_controls(shown, newlines=False))
        return len(text)

    def flush(self) -> None:
        """Do nothing: each text is written at once."""

    def mask(self, text: str) -> str:
        """Return *text* with each access key masked."""
        if self.secrets is None:
            self.secrets = _secrets()
        for secret in self.secrets:
            text = _mask(text, secret)
        return text

    def discard(self) -> None:
        """Write nothing from now on, so that the end of the process neither waits for this stream nor fails over it."""
        if self._stream is None:
            return
        with suppress(OSError, ValueError):
            descriptor = self._stream.fileno()
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, descriptor)
            os.close(nowhere)

    def _send(self, text: str) -> None:
        if self.failure is not None:
            return
        try:
            if self._stream is None:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))  # noqa: TRY301 - as for any other stream
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError) as error:
            self.failure = error
            self.discard()
            self._on_failure()


def _buffered(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    return io.TextIOWrapper(
        io.BufferedWriter(io.FileIO(stream.fileno(), "wb", closefd=False)), encoding=stream.encoding
    )


def escape_controls(text: str, *, newlines: bool = True) -> str:
    """Return *text* with characters that could control a terminal, or hide text, written as escape sequences."""
    escaped = _NOT_ASCII.sub(lambda match: "".join(map(_escape, match[0])), text)
    return escaped.replace("\n", "\\n") if newlines else escaped


def _escape(character: str) -> str:
    is_space = unicodedata.category(character) == "Zs"  # such as one that does not break
    return character if character.isprintable() or is_space else character.encode("unicode_escape").decode()


def _secrets() -> frozenset[str]:
    keys = {os.environ.get("TENIOS_ACCESS_KEY", ""), _key_in_file(os.environ.get("TENIOS_ACCESS_KEY_FILE", ""))}
    spellings = {spelling for key in keys for spelling in (key, repr(key)[1:-1], json.dumps(key)[1:-1])}
    return frozenset(spellings - {""})


def _key_in_file(name: str) -> str:
    with suppress(OSError, RuntimeError, ValueError):  # It cannot be read, or has no text. The client says so.
        path = Path(name).expanduser()
        if stat.S_ISREG(path.stat().st_mode):  # What is read from a pipe would be missing when the client reads it.
            with path.open(encoding="utf-8-sig") as file:
                return file.read(_MAX_KEY_FILE).strip()
    return ""


def _mask(text: str, secret: str) -> str:
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
