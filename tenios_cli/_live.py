"""Live pictures at a terminal. Imported only if rich is installed."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO, cast

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ._output import LinesOutput, describe_status

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import RenderableType

    from tenios_ext import Callback, Outcome

    from ._streams import SafeStream

_WAITING, _RINGING, _FAILED, _NOT_CALLED = (
    "waiting",
    "phone is ringing",
    "could not be reached",
    "not called",
)
_ANSWERED, _CONNECTED, _ENDED = "answered", "connected", "call has ended"
# The states of the agent and of the customer.
_LEGS = {
    "REQUESTED": (_WAITING, _WAITING),
    "ACCEPTED": (_WAITING, _WAITING),
    "CALLING_A": (_RINGING, _WAITING),
    "CALL_A_FAILED": (_FAILED, _NOT_CALLED),
    "CALLING_B": (_ANSWERED, _RINGING),
    "CALL_B_FAILED": (_ANSWERED, _FAILED),
    "CONNECTED": (_CONNECTED, _CONNECTED),
    "DISCONNECTED": (_ENDED, _ENDED),
}
_STYLES = {_RINGING: "yellow", _FAILED: "red", _CONNECTED: "green"}
_MIN_WIDTH = 40
_MIN_HEIGHT = 3
_WITHOUT_SECONDS = {_FAILED, _NOT_CALLED, _ENDED}


class Picture:
    """
    Text that is redrawn in place.

    Args:
        stdout: The terminal.
        draw: Returns the current picture.
        min_height: The number of lines that the picture needs.
        is_kept: Whether the last picture stays after :meth:`close`.

    Raises:
        OSError: The terminal cannot redraw or is too small.
    """

    def __init__(
        self,
        stdout: SafeStream,
        draw: Callable[[], RenderableType],
        *,
        min_height: int,
        is_kept: bool = True,
    ) -> None:
        console = Console(file=cast("TextIO", stdout))
        has_room = console.width >= _MIN_WIDTH and console.height >= min_height
        if not console.is_interactive or not has_room:
            raise OSError("The terminal cannot redraw or is too small.")
        self._stdout = stdout
        self._live = Live(
            get_renderable=draw,
            console=console,
            refresh_per_second=4,
            redirect_stdout=False,
            redirect_stderr=False,
            transient=not is_kept,
        )

    @property
    def is_shown(self) -> bool:
        return self._live.is_started

    def show(self) -> None:
        """Start drawing, unless that fails."""
        self._stdout.shows_controls = True
        try:
            self._live.start()
        except Exception:  # noqa: BLE001 - a picture must not end a call
            self.close()

    def close(self) -> None:
        with suppress(Exception):  # as in show
            self._live.stop()
        self._stdout.shows_controls = False


class LiveOutput(LinesOutput):
    """
    Draws the state of both phones and redraws it in place; prints lines if that fails.

    Args:
        stdout: The terminal; see Picture.
    """

    def __init__(self, stdout: SafeStream) -> None:
        super().__init__()
        now = time.monotonic()
        self._legs = {"Agent": (_WAITING, now), "Customer": (_WAITING, now)}
        self._picture = Picture(stdout, self._table, min_height=_MIN_HEIGHT)

    def started(self, callback: Callback, number: str) -> None:
        super().started(callback, number)
        self._picture.show()

    def status(self, outcome: Outcome) -> None:
        if not self._picture.is_shown:
            super().status(outcome)
            return
        has_ended = outcome.connected and outcome.ended
        texts = _LEGS.get("DISCONNECTED" if has_ended else str(outcome.status)) or (
            describe_status(outcome.status),
        )
        for name, text in zip(self._legs, texts, strict=False):
            if self._legs[name][0] != text:
                self._legs[name] = (text, time.monotonic())

    def outcome(self, outcome: Outcome) -> None:
        self.close()
        super().outcome(outcome)

    def close(self) -> None:
        self._picture.close()

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for name, (text, since) in self._legs.items():
            duration = "" if text in _WITHOUT_SECONDS else f"{time.monotonic() - since:.0f} s"
            # A str could contain markup.
            table.add_row(name, Text(text, style=_STYLES.get(text, "")), duration)
        return table
