"""``tenios ledger``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click
from attrs import asdict

from tenios_cli._errors import CommandError, explained
from tenios_cli._options import (
    CALLBACK_ID,
    database_option,
    json_option,
    missing_ledger,
    older_than_option,
    region_option,
    sqlite_path,
)
from tenios_cli._output import describe_status, make_output, one_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from tenios_cli._run import Run
    from tenios_ext.ledger import Ledger, LedgerEntry, LedgerState

_MEANINGS = {
    "dialling": "the request is being sent",
    "placed": "the callback was started, and the key returns it",
    "not_placed": "no phone has rung, and the key can be used again",
    "unknown": "phones may have rung; use `tenios ledger resolve`",
}


@click.group()
def ledger() -> None:
    """
    List keys, resolve unknown outcomes and block numbers.

    A ledger records the callbacks that were started with a key, such as `tenios call NUMBER --key
    order-4711`. Name its database with --ledger or TENIOS_LEDGER.
    """


def _options(command: Callable[..., None]) -> Callable[..., None]:
    return database_option()(json_option(click.pass_obj(command)))


@ledger.command("list")
@click.option(
    "--state",
    type=click.Choice(list(_MEANINGS)),
    metavar="STATE",
    help=f"List only keys in this state: {', '.join(_MEANINGS)}.",
)
@_options
def list_entries(run: Run, *, state: LedgerState | None, ledger: str | None) -> None:
    """List the keys, oldest first."""
    with _open(run, ledger) as opened:
        for entry in opened.entries(state=state):
            run.say(_line(entry), **_fields(entry))


@ledger.command()
@click.argument("key")
@_options
def show(run: Run, key: str, *, ledger: str | None) -> None:
    """Show the entry of KEY."""
    with _open(run, ledger) as opened:
        entry = opened.get(key)
    if entry is None:
        raise CommandError(f"The ledger has no key {key!r}. `tenios ledger list` lists its keys.")
    _print(run, entry)


@ledger.command()
@click.argument("key")
@click.option("--placed", is_flag=True, help="There was a call. KEY never starts another.")
@click.option("--not-placed", is_flag=True, help="There was no call. KEY can be used again.")
@click.option(
    "--id",
    "callback_id",
    type=CALLBACK_ID,
    metavar="ID",
    help="Id of the callback, if you know it.",
)
@_options
def resolve(
    run: Run,
    key: str,
    *,
    placed: bool,
    not_placed: bool,
    callback_id: int | None,
    ledger: str | None,
) -> None:
    """
    Record whether there was a call for KEY, whose outcome is unknown.

    Ask the agent or the customer first. The API cannot tell you.
    """
    if placed == not_placed:
        raise click.UsageError("Pass either --placed or --not-placed.")
    if callback_id is not None and not placed:
        raise click.UsageError("--id needs --placed.")
    with _open(run, ledger) as opened, explained():
        entry = opened.resolve(key, placed=placed, callback_id=callback_id)
    _print(run, entry)


@ledger.command()
@click.argument("number")
@click.option("--reason", metavar="TEXT", help="Note that `tenios ledger blocked` shows.")
@region_option
@_options
def block(
    run: Run,
    number: str,
    *,
    reason: str | None,
    region: str | None,
    ledger: str | None,
) -> None:
    """
    Block NUMBER for all keys and campaigns of this ledger.

    Use this if someone asks not to be called. Callbacks in progress continue.
    """
    with _open(run, ledger) as opened, explained():
        blocked = opened.block(number, reason=reason, region=region)
    run.say(f"{blocked.number} is blocked.", event="blocked", **asdict(blocked))


@ledger.command()
@click.argument("number")
@region_option
@_options
def unblock(run: Run, number: str, *, region: str | None, ledger: str | None) -> None:
    """Allow calls to a blocked NUMBER again."""
    with _open(run, ledger) as opened, explained():
        from tenios_ext import to_e164

        number = to_e164(number, region=region, allow_special_numbers=True)
        if not opened.unblock(number):
            raise CommandError(f"{number} is not blocked.")
    run.say(f"{number} can be called again.", event="unblocked", number=number)


@ledger.command()
@_options
def blocked(run: Run, *, ledger: str | None) -> None:
    """List the blocked numbers, oldest first."""
    with _open(run, ledger) as opened:
        for each in opened.blocked():
            reason = f"  {one_line(each.reason)}" if each.reason else ""
            line = f"{_time(each.blocked_at)}  {each.number}{reason}"
            run.say(line, event="blocked", **asdict(each))


@ledger.command()
@older_than_option("keys")
@_options
def forget(run: Run, *, older_than: timedelta, ledger: str | None) -> None:
    """
    Erase the numbers, announcements and errors of old keys.

    Keys and states stay, so that no key starts another callback by accident.
    """
    with _open(run, ledger) as opened:
        count = opened.forget(older_than=older_than)
    text = f"Erased the data of {'1 key' if count == 1 else f'{count} keys'}."
    run.say(text, event="forgotten", entries=count)


def _open(run: Run, url: str | None) -> Ledger:
    from tenios_ext import ConfigurationError
    from tenios_ext.ledger import Ledger

    run.output = make_output(run.stdout, as_json=run.as_json)
    if not url:
        raise ConfigurationError(
            "No ledger is set. Use --ledger, such as sqlite:///callbacks.db, or set TENIOS_LEDGER."
        )
    if (path := sqlite_path(url)) and not path.exists():  # Ledger would create it.
        raise ConfigurationError(missing_ledger(path))
    return Ledger(url)


def _fields(entry: LedgerEntry) -> dict[str, Any]:
    return {"event": "entry", "id": entry.handle and entry.handle.id, **asdict(entry)}


def _line(entry: LedgerEntry) -> str:
    texts = [
        _time(entry.dialled_at),
        f"{entry.state:10}",
        one_line(entry.key),
        entry.number or "(erased)",
    ]
    texts += [f"callback {entry.handle.id}"] if entry.handle else []
    return "  ".join([*texts, *([one_line(entry.status)] if entry.status else [])])


def _print(run: Run, entry: LedgerEntry) -> None:
    lines = {
        "key": one_line(entry.key),
        "state": f"{entry.state}: {_MEANINGS[entry.state]}",
        "number": entry.number or "(erased)",
        "attempts": entry.attempts,
        "callback": entry.handle and entry.handle.id,
        "status": entry.status and describe_status(entry.status),
        "first used": _time(entry.created_at),
        "dialled": _time(entry.dialled_at),
        "changed": _time(entry.updated_at),
        "last error": entry.last_error and one_line(entry.last_error),
    }
    texts = [f"{name:10}  {value}" for name, value in lines.items() if value is not None]
    run.say("\n".join(texts), **_fields(entry))


def _time(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
