"""
Standard output and standard error of the commands.

Writing never fails: after the start of a callback, a letter that the terminal cannot show, a full
disk or a closed pipe must not hide its id or change the exit code. The text contains no access key,
and control characters only in drawings of rich and in data for a file or pipe.
"""

from __future__ import annotations

import errno
import io
import os
import re
import select
import unicodedata
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable

_NOT_ASCII = re.compile(r"[^ -~\n]+")


class SafeStream(io.TextIOBase):
    """
    Replaces stdout or stderr. Writing never raises; text that cannot be written is dropped.

    Args:
        stream: The stream; None if it is closed.
        mask: Masks the access key in a text.
        on_failure: Called at the first text that cannot be written.

    Attributes:
        failure: Why a text could not be written; None if all were written.
        mask: As the argument.
        shows_controls: Whether to write control characters unchanged, for rich and for data.
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
        self._is_writing = False
        self._stream = stream
        self._on_failure = on_failure
        if isinstance(stream, io.TextIOWrapper):
            # With PYTHONUNBUFFERED, a text that is written in part only would lose its rest.
            if isinstance(stream.buffer, io.RawIOBase):
                self._stream = stream = _buffered(stream)
            stream.reconfigure(errors="backslashreplace")

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        try:
            return self._stream is not None and self._stream.isatty()
        except ValueError:  # closed
            return False

    def fileno(self) -> int:
        """Return the file descriptor. Raises OSError if there is none."""
        return self._open_stream().fileno()

    def write(self, text: str) -> int:
        if not isinstance(text, str):  # click tests whether this takes bytes
            raise TypeError(f"Only text can be written, not {type(text).__name__}.")
        shown = self.mask(text)
        if not self.shows_controls:
            shown = escape_controls(shown.replace("\r\n", "\n"), newlines=False)
        self._send(shown)
        return len(text)

    def for_data(self) -> SafeStream:
        """Return this stream. A file or pipe now gets all text unchanged, in UTF-8."""
        if not self.isatty():
            self.shows_controls = True
            if isinstance(self._stream, io.TextIOWrapper):
                self._stream.reconfigure(encoding="utf-8", errors=self.errors, newline="")
        return self

    def flush(self) -> None:
        """Do nothing, because write() flushes."""

    def discard(self) -> None:
        """Drop all further text, so that the process can exit if the stream blocks or fails."""
        with suppress(OSError, ValueError):
            descriptor = self.fileno()
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, descriptor)
            os.close(nowhere)

    def unblock(self) -> None:
        """
        Drop all further text if a write waits for its reader, such as a pager. Call it in a signal
        handler: Python then repeats the write.
        """
        with suppress(OSError, ValueError):
            if self._is_writing and not select.select([], [self], [], 0)[1]:
                self.failure = InterruptedError("Nobody reads it.")
                self.discard()

    def _send(self, text: str) -> None:
        if self.failure is not None:
            return
        self._is_writing = True
        try:
            stream = self._open_stream()
            stream.write(text)
            stream.flush()
        except (OSError, ValueError) as error:
            self.failure = error
            self.discard()
            self._on_failure()
        finally:
            self._is_writing = False

    def _open_stream(self) -> TextIO:
        if self._stream is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return self._stream


def _buffered(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    file = io.FileIO(stream.fileno(), "wb", closefd=False)
    return io.TextIOWrapper(io.BufferedWriter(file), encoding=stream.encoding)


def escape_controls(text: str, *, newlines: bool = True) -> str:
    """Return *text* with escape sequences for characters that control a terminal or hide text."""
    escaped = _NOT_ASCII.sub(lambda match: "".join(map(_escape, match[0])), text)
    return escaped.replace("\n", "\\n") if newlines else escaped


def _escape(character: str) -> str:
    is_space = unicodedata.category(character) == "Zs"  # such as a no-break space
    return (
        character
        if character.isprintable() or is_space
        else character.encode("unicode_escape").decode()
    )
