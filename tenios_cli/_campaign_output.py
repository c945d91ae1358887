"""The output of `tenios campaign`. The live picture is in ``_campaign_live``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click
from attrs import asdict

from ._output import JsonOutput, LinesOutput, Output, describe_status, one_line, print_json

if TYPE_CHECKING:
    from tenios_campaign import CampaignEntry, CampaignSummary

#: The printed names of the states.
STATES = {
    "waiting": "waiting",
    "ringing": "ringing",
    "talking": "talking",
    "talked": "talked",
    "agent_failed": "agent not reached",
    "customer_failed": "customer not reached",
    "rejected": "rejected",
    "unknown": "outcome unknown",
    "cancelled": "cancelled",
}


class CampaignOutput(Output):
    """Prints the changes of a campaign."""

    #: Whether to call counts() each second.
    shows_counts: bool = False

    def entry(self, entry: CampaignEntry) -> None:
        """Called when an entry has changed."""

    def counts(self, summary: CampaignSummary) -> None:
        """Called when the counts may have changed."""

    def waits(self, reason: str) -> None:
        """Called when no callback can be started; *reason* may be empty."""

    def note(self, text: str) -> None:
        """Print a message for the user."""
        click.echo(text, err=True)

    def summary(self, summary: CampaignSummary) -> None:
        """Print the final counts."""


def _describe(entry: CampaignEntry) -> str:
    if entry.state in {"ringing", "talking"}:
        if entry.status is not None:
            return describe_status(entry.status)
        return f"following callback {entry.callback_id}"
    text = STATES[entry.state]
    if entry.state == "waiting":
        reason = "" if entry.status is None else f"{describe_status(entry.status)}; "
        at = time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(entry.due_at))
        text = f"{reason}waiting{f', next attempt at {at}' if entry.due_at else ''}"
    return text if entry.error is None else f"{text}: {one_line(entry.error)}"


def _now() -> str:
    return time.strftime("%H:%M:%S %Z")


def entry_fields(entry: CampaignEntry) -> dict[str, Any]:
    """Return an entry for JSON."""
    return {**asdict(entry), "status": None if entry.status is None else str(entry.status)}


class CampaignLines(LinesOutput, CampaignOutput):
    """Prints a line for each change."""

    def __init__(self) -> None:
        super().__init__(several=True)
        self._reason = ""

    def entry(self, entry: CampaignEntry) -> None:
        """Print the time, key, attempt and state."""
        click.echo(f"{_now()}  {entry.key}  attempt {entry.attempts}  {_describe(entry)}")

    def waits(self, reason: str) -> None:
        """Print each new reason once."""
        kind = reason.partition(" in ")[0]
        if kind != self._reason and (reason or self._reason):
            self._reason = kind
            click.echo(f"{_now()}  {one_line(reason) or 'resumed'}")

    def summary(self, summary: CampaignSummary) -> None:
        """Print a line for each state."""
        for state, name in STATES.items():
            click.echo(f"{name:20}  {getattr(summary, state):6}")
        if summary.paused:
            click.echo("Paused. Run `tenios campaign resume` to continue.")


class CampaignJson(JsonOutput, CampaignOutput):
    """Prints one JSON object per line. Fields are only ever added."""

    def entry(self, entry: CampaignEntry) -> None:
        """Print ``entry``."""
        print_json({"event": "entry", **entry_fields(entry)})

    def summary(self, summary: CampaignSummary) -> None:
        """Print ``summary``."""
        print_json({"event": "summary", **asdict(summary)})
