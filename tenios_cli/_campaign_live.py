"""The live picture of a campaign at a terminal. Imported only if rich is installed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.console import Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ._campaign_output import STATES, CampaignLines
from ._live import Picture
from ._output import one_line

if TYPE_CHECKING:
    from tenios_campaign import CampaignEntry, CampaignSummary

    from ._streams import SafeStream

_STYLES = {"ringing": "yellow", "talking": "green", "talked": "green", "unknown": "red"}
_MIN_HEIGHT = 16
_BAR_WIDTH = 40


class CampaignLive(CampaignLines):
    """
    Draws the counts and redraws them in place; prints lines if that fails.

    Args:
        stdout: The terminal; see Picture.
    """

    shows_counts = True

    def __init__(self, stdout: SafeStream) -> None:
        super().__init__()
        self._began = time.monotonic()
        self._first: CampaignSummary | None = None
        self._newest: CampaignSummary | None = None
        self._notes: list[str] = []
        self._reason = ""
        self._picture = Picture(stdout, self._draw, min_height=_MIN_HEIGHT, is_kept=False)

    def entry(self, entry: CampaignEntry) -> None:
        if not self._picture.is_shown:
            super().entry(entry)

    def counts(self, summary: CampaignSummary) -> None:
        self._newest = summary
        if self._first is None:
            self._first = summary
            self._picture.show()

    def waits(self, reason: str) -> None:
        self._reason = reason
        if not self._picture.is_shown:
            super().waits(reason)

    def note(self, text: str) -> None:
        self._notes.append(text)

    def close(self) -> None:
        self._picture.close()

    def _draw(self) -> Group:
        table = Table.grid(padding=(0, 2))
        summary = self._newest
        if summary is None:
            return Group(table)
        for state, name in STATES.items():
            table.add_row(Text(name, style=_STYLES.get(state, "")), f"{getattr(summary, state):6}")
        bar = Table.grid(padding=(0, 2))
        done = ProgressBar(total=max(summary.total, 1), completed=summary.done, width=_BAR_WIDTH)
        bar.add_row(done, self._progress(summary))
        reasons = [one_line(self._reason)] if self._reason else []
        return Group(table, bar, *map(Text, [*reasons, *self._notes]))

    def _progress(self, summary: CampaignSummary) -> str:
        text = f"{summary.done} of {summary.total} done"
        minutes = (time.monotonic() - self._began) / 60
        done = summary.done - (self._first or summary).done
        if not done or not minutes:
            return text
        left = (summary.total - summary.done) * minutes / done
        end = time.strftime("%H:%M %Z", time.localtime(time.time() + left * 60))
        return f"{text}, {done / minutes:.1f} per minute, estimated end {end}"
