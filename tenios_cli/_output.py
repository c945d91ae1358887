"""The output of the commands: lines, or JSON objects. The live picture is in ``_live``."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import click

from ._streams import escape_controls

if TYPE_CHECKING:
    from tenios_ext import Callback, CallbackStatus, Outcome

    from ._streams import SafeStream

_MAX_LINE = 1000

# Replaced in this order.
_IN_OPTIONS = {
    r"\w+ \(or (TENIOS_\w+)\)": r"\1",
    r"Pass \w+=\.\.\., or set": "Set",
    r"Create the client with .*, or set": "Use --ledger sqlite:///callbacks.db, or set",
    r"proxy=\.\.\., ": "",
    r"^base_url": "TENIOS_BASE_URL (or --simulator)",
    r"\bbase_url\b": "base URL",
    r"^region\b": "TENIOS_REGION (or --region)",
    r"^allowed_regions\b": "TENIOS_ALLOWED_REGIONS (or --allowed-regions)",
    r"^allowed_numbers\b": "TENIOS_ALLOWED_NUMBERS",
    r"^insecure_hosts\b": "TENIOS_INSECURE_HOSTS",
    r"^agent_announcement\b": "--agent-announcement",
    r"^dtmf_key\b": "--dtmf-key",
    r"^name (?=must)": "--campaign ",
    r"\bmax_active\b": "--max-active",
    r"\bmax_starts_per_minute is (\d+(?:\.\d+)?)": r"--rate is \1/m",
    r"\bhours are (?=\S)": "--between is ",
    r" of seconds(.*), or a timedelta of whole seconds": r" of seconds\1",
    r"^(delay|key|reason|speed)\b(?= (?:is|has|must|contains)\b)": r"--\1",
    r"region='([A-Z]{2})'": r"--region \1",
    r"zone='([^']+)'": r"--timezone \1",
    r"columns=\{'(\w+)': (.+?)\}": r"--column \1=\2",
    r"allow_special_numbers=True": "--allow-special-numbers (or TENIOS_ALLOW_SPECIAL_NUMBERS=1)",
    r"campaign\.set\(.*?\), or ": "",
    r"(`tenios [^`]+`) or (?:ledger|campaign)\.\w+\(\)": r"\1",
    # The command prints how to follow the callback, with its options.
    r" To resume, use tenios\.callback\(\d+\)\.": "",
}

_DESCRIPTIONS = {
    "REQUESTED": "requested",
    "ACCEPTED": "accepted, no phone is ringing yet",
    "CALLING_A": "the agent's phone is ringing",
    "CALL_A_FAILED": "the agent could not be reached",
    "CALLING_B": "the customer's phone is ringing",
    "CALL_B_FAILED": "the customer could not be reached",
    "CONNECTED": "connected",
    "DISCONNECTED": "the call has ended",
}


def one_line(text: object) -> str:
    """Return a text that a server may have written as a single line of limited length."""
    line = escape_controls(str(text))
    return line if len(line) <= _MAX_LINE else f"{line[:_MAX_LINE]}..."


def describe_status(status: CallbackStatus | None) -> str:
    """Return a status and what it means."""
    meaning = _DESCRIPTIONS.get(
        str(status), "unknown to this version; the callback is still running"
    )
    return f"{one_line(status)}: {meaning}"


def describe_newest_status(outcome: Outcome) -> str:
    """Return the newest status and its meaning. A connected call has not failed at its end."""
    if outcome.connected and outcome.ended:
        return f"{outcome.status}: {_DESCRIPTIONS['DISCONNECTED']}"
    return describe_status(outcome.status)


def describe_outcome(outcome: Outcome) -> str:
    """Return the outcome of a callback as a sentence."""
    if not outcome.ended:
        return "The callback is still running."
    if outcome.connected:
        return "The call was connected and has ended."
    return f"The {outcome.failed_party} could not be reached."


def describe_error(error: BaseException) -> str:
    """Return the type and text of an error."""
    return one_line(f"{type(error).__name__}: {_message(error)}")


def in_options(text: str) -> str:
    """Return a message of the library in the terms of the command: its options and variables."""
    for pattern, replacement in _IN_OPTIONS.items():
        text = re.sub(pattern, replacement, text)
    return text


def _message(error: BaseException) -> str:
    return in_options(" ".join([str(error), *getattr(error, "__notes__", ())]))


def print_json(fields: dict[str, Any]) -> None:
    """Print an object on one line of ASCII."""
    click.echo(json.dumps(fields))


class Output:
    """Prints what happens to callbacks."""

    def started(self, callback: Callback, number: str) -> None:
        """Called when a callback was started."""

    def status(self, outcome: Outcome) -> None:
        """Called when a callback has a new status."""

    def outcome(self, outcome: Outcome) -> None:
        """Called when a callback has ended."""

    def error(self, error: BaseException, callback_id: int | None = None) -> None:
        """Called after an error."""

    def close(self) -> None:
        """Release the terminal. May be called again."""


class LinesOutput(Output):
    """
    Prints lines.

    Args:
        several: Whether each line names its callback.
    """

    def __init__(self, *, several: bool = False) -> None:
        self._several = several

    def started(self, callback: Callback, number: str) -> None:
        """Print the id and the number of the callback."""
        click.echo(f"Callback {callback.id} to {number} started.")

    def status(self, outcome: Outcome) -> None:
        """Print the status and the seconds since the start of the callback, or of following it."""
        name = f"callback {outcome.handle.id}  " if self._several else ""
        click.echo(f"{_elapsed(outcome):6.1f} s  {name}{describe_newest_status(outcome)}")

    def outcome(self, outcome: Outcome) -> None:
        name = f"Callback {outcome.handle.id}: " if self._several else ""
        click.echo(f"{name}{describe_outcome(outcome)}")

    def error(self, error: BaseException, callback_id: int | None = None) -> None:
        name = f"Callback {callback_id}: " if self._several and callback_id is not None else ""
        click.echo(f"{name}{describe_error(error)}", err=True)


class JsonOutput(Output):
    """
    Prints one JSON object per line. Fields are only ever added.

    Args:
        stdout: Knows whether output could be written.
    """

    def __init__(self, stdout: SafeStream) -> None:
        self._stdout = stdout

    def started(self, callback: Callback, number: str) -> None:
        """Print ``started``."""
        handle = json.loads(callback.handle.to_json())
        print_json({"event": "started", "id": callback.id, "number": number, "handle": handle})

    def status(self, outcome: Outcome) -> None:
        """Print ``status``."""
        fields = {"status": str(outcome.status), "seconds": round(_elapsed(outcome), 1)}
        print_json({"event": "status", "id": outcome.handle.id, **fields})

    def outcome(self, outcome: Outcome) -> None:
        """Print ``outcome``."""
        fields = {
            "connected": outcome.connected,
            "failed_party": outcome.failed_party,
            "ended": outcome.ended,
        }
        print_json({"event": "outcome", "id": outcome.handle.id, **fields})

    def error(self, error: BaseException, callback_id: int | None = None) -> None:
        """Print ``error``; as a line to stderr if stdout cannot be written."""
        details = {
            name: getattr(error, name, None)
            for name in ("http_status", "error_code", "retry_after")
        }
        fields = {
            "error": type(error).__name__,
            "message": in_options(str(error)),
            **details,
            "fields": getattr(error, "fields", ()),
        }
        print_json({"event": "error", "id": callback_id, **fields})
        if self._stdout.failure is not None:
            LinesOutput(several=True).error(error, callback_id)


def _elapsed(outcome: Outcome) -> float:
    return outcome.history[-1].observed_at - outcome.handle.started_at


def make_output(stdout: SafeStream, *, as_json: bool, several: bool = False) -> Output:
    """Return the output of a command; see LinesOutput for *several*."""
    return JsonOutput(stdout) if as_json else LinesOutput(several=several)
