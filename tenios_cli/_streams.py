"""
The standard streams as the commands write to them.

Once a callback has been started, its id and the exit code must not be lost over a letter that the
terminal cannot show, a full disk or a closed pipe. So writing never fails, whatever the stream is,
and no text is shown that could control the terminal or that holds the access key.
"""

from __future__ import annotations

import errno
import io
import os
import re
import unicodedata
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable

_NOT_ASCII = re.compile(r"[^ -~\n]+")


class SafeStream(io.TextIOBase):
    """
    Stands in for stdout or stderr. Writing raises nothing: text that cannot be written is dropped.

    Args:
        stream: The stream; None if it was closed when the command began.
        mask: Masks the access key in a text.
        on_failure: Called when a text cannot be written, the first time only.

    Attributes:
        failure: Why a text could not be written; None if all could.
        mask: As the argument.
        shows_controls: Whether control characters are written as they are. Only rich needs that.
    """

    # Read by rich, and by input() for a prompt.
    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(
        self,
        stream: TextIO | None,
        *,
        mask: Callable[[str], str] = str,
        on_failure: Callable[[], None] = lambda: None,
    ) -> None:
        self.failure: Exception | None = None
        self.mask = mask
        self.shows_controls = False
        self._stream = stream
        self._on_failure = on_failure
        if isinstance(stream, io.TextIOWrapper):
            # PYTHONUNBUFFERED, which drops what cannot be written at once.
            if isinstance(stream.buffer, io.RawIOBase):
                self._stream = stream = _buffered(stream)
            stream.reconfigure(errors="backslashreplace")

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        """Return whether this is a terminal."""
        try:
            return self._stream is not None and self._stream.isatty()
        except ValueError:  # It is closed.
            return False

    def fileno(self) -> int:
        """Return the stream's file descriptor. Raises OSError if it has none."""
        return self._open_stream().fileno()

    def write(self, text: str) -> int:
        """Write *text* at once."""
        if not isinstance(text, str):  # click tries whether bytes can be written.
            raise TypeError(f"Only text can be written, not {type(text).__name__}.")
        shown = self.mask(text)
        self._send(shown if self.shows_controls else escape_controls(shown, newlines=False))
        return len(text)

    def flush(self) -> None:
        """Do nothing: each text is written at once."""

    def discard(self) -> None:
        """
        Write nothing from now on, so that the end of the process neither waits for this stream nor
        fails over it.
        """
        with suppress(OSError, ValueError):
            descriptor = self.fileno()
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, descriptor)
            os.close(nowhere)

    def _send(self, text: str) -> None:
        if self.failure is not None:
            return
        try:
            stream = self._open_stream()
            stream.write(text)
            stream.flush()
        except (OSError, ValueError) as error:
            self.failure = error
            self.discard()
            self._on_failure()

    def _open_stream(self) -> TextIO:
        if self._stream is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return self._stream


def _buffered(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    file = io.FileIO(stream.fileno(), "wb", closefd=False)
    return io.TextIOWrapper(io.BufferedWriter(file), encoding=stream.encoding)


def escape_controls(text: str, *, newlines: bool = True) -> str:
    """
    Return *text* with characters that could control a terminal, or hide text, written as escape
    sequences.
    """
    escaped = _NOT_ASCII.sub(lambda match: "".join(map(_escape, match[0])), text)
    return escaped.replace("\n", "\\n") if newlines else escaped


def _escape(character: str) -> str:
    is_space = unicodedata.category(character) == "Zs"  # such as one that does not break
    return (
        character
        if character.isprintable() or is_space
        else character.encode("unicode_escape").decode()
    )
