"""What the command shows: lines for people, a live picture for people at a terminal, objects for programs."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any, Protocol

import click

if TYPE_CHECKING:
    from tenios_client.models import CallbackStatus

    from ..callback import Callback
    from ..errors import TeniosError
    from ..outcome import Outcome

#: Exit codes; 2 is click's, for wrong usage.
TALKED, FAILED, USAGE, AGENT_FAILED, CUSTOMER_FAILED, NOT_PLACED, UNKNOWN, TIMED_OUT, UNAVAILABLE = range(9)

_MEANINGS = {
    "REQUESTED": "requested",
    "ACCEPTED": "accepted, nobody is called yet",
    "CALLING_A": "the agent's telephone rings",
    "CALL_A_FAILED": "the agent was not reached",
    "CALLING_B": "the customer's telephone rings",
    "CALL_B_FAILED": "the customer was not reached",
    "CONNECTED": "they talk",
    "DISCONNECTED": "they have talked",
}


def meaning(status: str) -> str:
    """A status in words."""
    return _MEANINGS.get(status, "this version does not know this status; the callback goes on")


def sentence(outcome: Outcome) -> str:
    """How a callback went."""
    if outcome.connected:
        return "They talked."
    if outcome.failed_party:
        return f"The {outcome.failed_party} was not reached."
    return "The callback goes on."


def code_of(outcome: Outcome) -> int:
    """The exit code that says so."""
    if outcome.failed_party:
        return AGENT_FAILED if outcome.failed_party == "agent" else CUSTOMER_FAILED
    return TALKED


class Report(Protocol):
    """Is told what happens."""

    def started(self, callback: Callback, number: str) -> None:
        """A callback was started."""

    def status(self, callback_id: int, status: CallbackStatus, *, seconds: float) -> None:
        """A callback has another status, so many seconds after it was started or picked up."""

    def ended(self, outcome: Outcome) -> None:
        """There is no more to come."""

    def failed(self, error: TeniosError, callback_id: int | None = None) -> None:
        """Something went wrong."""

    def close(self) -> None:
        """Give the terminal back."""


class Lines:
    """Plain lines, also for a pipe."""

    def __init__(self, *, several: bool = False) -> None:
        self._several = several

    def started(self, callback: Callback, number: str) -> None:
        """A line."""
        click.echo(f"Callback {callback.id} to {number} started.")

    def status(self, callback_id: int, status: CallbackStatus, *, seconds: float) -> None:
        """A line."""
        of = f"callback {callback_id}  " if self._several else ""
        click.echo(f"{seconds:6.1f} s  {of}{status}: {meaning(status)}")

    def ended(self, outcome: Outcome) -> None:
        """A sentence."""
        of = f"Callback {outcome.handle.id}: " if self._several else ""
        click.echo(of + sentence(outcome))

    def failed(self, error: TeniosError, callback_id: int | None = None) -> None:
        """A line, apart from all others."""
        of = f"Callback {callback_id}: " if self._several and callback_id is not None else ""
        click.echo(f"{of}{type(error).__name__}: {error}", err=True)

    def close(self) -> None:
        """Nothing."""


class Json:
    """One object a line; what is in them only grows."""

    def started(self, callback: Callback, number: str) -> None:
        """``started``."""
        show({"event": "started", "id": callback.id, "number": number, "handle": json.loads(callback.handle.to_json())})

    def status(self, callback_id: int, status: CallbackStatus, *, seconds: float) -> None:
        """``status``."""
        show({"event": "status", "id": callback_id, "status": str(status), "seconds": round(seconds, 1)})

    def ended(self, outcome: Outcome) -> None:
        """``outcome``."""
        found = {"connected": outcome.connected, "failed_party": outcome.failed_party, "over": outcome.over}
        show({"event": "outcome", "id": outcome.handle.id, **found})

    def failed(self, error: TeniosError, callback_id: int | None = None) -> None:
        """``error``."""
        known = {name: getattr(error, name) for name in ("http_status", "error_code", "fields", "retry_after")}
        show({"event": "error", "id": callback_id, "error": type(error).__name__, "message": str(error), **known})

    def close(self) -> None:
        """Nothing."""


def show(fields: dict[str, Any]) -> None:
    """Print an object on a line of its own."""
    click.echo(json.dumps(fields, ensure_ascii=False))


class Live(Lines):
    """Both legs as they go, redrawn in place; needs rich, which people have who like this kind of thing."""

    def __init__(self) -> None:
        super().__init__()
        from rich.live import Live as RichLive  # noqa: PLC0415 - an extra, and heavy

        self._legs = {"Agent": ("waits", time.monotonic()), "Customer": ("waits", time.monotonic())}
        self._live = RichLive(get_renderable=self._picture, refresh_per_second=4, transient=False)

    def started(self, callback: Callback, number: str) -> None:
        """A line, and the picture below it."""
        super().started(callback, number)
        self._live.start()

    def status(self, callback_id: int, status: CallbackStatus, *, seconds: float) -> None:  # noqa: ARG002 - the picture shows seconds of its own
        """Change the picture."""
        legs = _LEGS.get(str(status))
        for name, text in zip(self._legs, legs or (f"{status}: {meaning(status)}",), strict=False):
            if self._legs[name][0] != text:
                self._legs[name] = (text, time.monotonic())

    def ended(self, outcome: Outcome) -> None:
        """The last picture stays, and a sentence follows."""
        self.close()
        super().ended(outcome)

    def failed(self, error: TeniosError, callback_id: int | None = None) -> None:
        """The last picture stays, and a line follows."""
        self.close()
        super().failed(error, callback_id)

    def close(self) -> None:
        """Leave the last picture as it is."""
        self._live.stop()

    def _picture(self) -> Any:  # noqa: ANN401 - one of rich's many
        from rich.table import Table  # noqa: PLC0415 - an extra, and heavy

        table = Table.grid(padding=(0, 2))
        for name, (text, since) in self._legs.items():
            style = (
                "green" if "talks" in text else "red" if "not reached" in text else "yellow" if "rings" in text else ""
            )
            lasts = f"{time.monotonic() - since:.0f} s" if text not in _OVER else ""
            table.add_row(name, f"[{style}]{text}[/]" if style else text, lasts)
        return table


_OVER = {"not reached", "was not called", "has talked"}
_LEGS = {
    "REQUESTED": ("waits", "waits"),
    "ACCEPTED": ("waits", "waits"),
    "CALLING_A": ("telephone rings", "waits"),
    "CALL_A_FAILED": ("not reached", "was not called"),
    "CALLING_B": ("answered", "telephone rings"),
    "CALL_B_FAILED": ("answered", "not reached"),
    "CONNECTED": ("talks", "talks"),
    "DISCONNECTED": ("has talked", "has talked"),
}


def report_for(*, as_json: bool, several: bool = False) -> Report:
    """Objects where they are wanted; a picture where there is a terminal and rich; else lines."""
    if as_json:
        return Json()
    if sys.stdout.isatty() and not several:
        try:
            return Live()
        except ModuleNotFoundError:
            pass
    return Lines(several=several)
