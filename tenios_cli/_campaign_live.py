"""The live picture of a campaign at a terminal. Imported only if rich is installed."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ._campaign_output import STATES, CampaignLines

if TYPE_CHECKING:
    from typing import TextIO

    from tenios_campaign import CampaignEntry, CampaignSummary

    from ._streams import SafeStream

_STYLES = {"ringing": "yellow", "talking": "green", "talked": "green", "unknown": "red"}
_MIN_WIDTH, _MIN_HEIGHT = 40, 16
_BAR_WIDTH = 40


class CampaignLive(CampaignLines):
    """
    Draws the counts, and redraws them in place. Prints lines instead if that fails.

    Args:
        stdout: The terminal.
        console: The same for rich.
    """

    shows_counts = True

    def __init__(self, stdout: SafeStream, console: Console) -> None:
        super().__init__()
        self._stdout = stdout
        self._began = time.monotonic()
        self._first: CampaignSummary | None = None
        self._newest: CampaignSummary | None = None
        self._notes: list[str] = []
        self._live = Live(
            get_renderable=self._picture,
            console=console,
            refresh_per_second=4,
            redirect_stdout=False,
            redirect_stderr=False,
            transient=True,
        )

    def entry(self, entry: CampaignEntry) -> None:
        """Leave it to the counts."""
        if not self._live.is_started:
            super().entry(entry)

    def counts(self, summary: CampaignSummary) -> None:
        """Change the picture."""
        self._newest = summary
        if self._first is None:
            self._first = summary
            self._stdout.shows_controls = True
            try:
                self._live.start()
            except Exception:  # noqa: BLE001 - the campaign is not to end over a picture of it
                self.close()

    def note(self, text: str) -> None:
        """Show the text below the counts."""
        self._notes.append(text)

    def close(self) -> None:
        """Stop drawing, and remove the picture, which the summary replaces."""
        with suppress(Exception):  # It is only a picture.
            self._live.stop()
        self._stdout.shows_controls = False

    def _picture(self) -> Group:
        table = Table.grid(padding=(0, 2))
        summary = self._newest
        if summary is None:
            return Group(table)
        for state, name in STATES.items():
            table.add_row(Text(name, style=_STYLES.get(state, "")), f"{getattr(summary, state):6}")
        bar = Table.grid(padding=(0, 2))
        done = ProgressBar(total=max(summary.total, 1), completed=summary.done, width=_BAR_WIDTH)
        bar.add_row(done, self._progress(summary))
        return Group(table, bar, *map(Text, self._notes))

    def _progress(self, summary: CampaignSummary) -> str:
        text = f"{summary.done} of {summary.total} done"
        minutes = (time.monotonic() - self._began) / 60
        done = summary.done - self._first.done if self._first is not None else 0
        if summary.paused:
            return f"{text}, paused"
        if not done or not minutes:
            return text
        left = (summary.total - summary.done) * minutes / done
        end = time.strftime("%H:%M", time.localtime(time.time() + left * 60))
        return f"{text}, {done / minutes:.1f} per minute, estimated end {end}"


def live_output(stdout: SafeStream) -> CampaignLive | None:
    """Return what draws at this terminal; None if rich cannot redraw there, or there is too little room."""
    console = Console(file=cast("TextIO", stdout))
    has_room = console.width >= _MIN_WIDTH and console.height >= _MIN_HEIGHT
    return CampaignLive(stdout, console) if console.is_interactive and has_room else None
