"""Options that several campaign commands share, and opening a campaign."""

from __future__ import annotations

import re
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from tenios_cli._errors import CommandError, explained
from tenios_cli._options import combined, database_option, missing_ledger, sqlite_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tenios_campaign import Campaign, OpeningHours

_PER_MINUTE = {"s": 60.0, "m": 1.0, "h": 1 / 60}


_database_option = database_option("url", required=True)
_name_option = click.option(
    "--campaign",
    "name",
    default="default",
    show_default=True,
    metavar="NAME",
    help="Name of the campaign.",
)


def zone_option(use: str, default: str = "this machine's, if not UTC") -> Callable[..., Any]:
    """Return ``--timezone`` for the times in *use*."""
    text = f"Time zone of {use}, such as Europe/Berlin.  [default: {default}]"
    return click.option("--timezone", metavar="ZONE", help=text)


def _rate(value: str) -> float:
    """Return the starts per minute of a rate such as "10/m"."""
    found = re.fullmatch(r"(\d{1,6})/([smh])", value.strip())
    if not found or not int(found[1]):
        raise click.BadParameter(
            f"{value!r} is not a valid rate. Write it like 1/s, 10/m or 300/h."
        )
    return int(found[1]) * _PER_MINUTE[found[2]]


@contextmanager
def open_campaign(url: str, name: str, *, create: bool = False) -> Iterator[Campaign]:
    """Open a campaign. Raises CommandError if it does not exist, unless *create*."""
    if not create and (path := sqlite_path(url)) is not None and not path.exists():
        raise CommandError(missing_ledger(path))
    from tenios_campaign import Campaign
    from tenios_ext.ledger import Ledger
    from tenios_ext.shared import requires_extra

    with requires_extra("campaign", CommandError):
        import_module("sqlalchemy")  # Ledger would name the extra ledger.
    with Ledger(url) as ledger, explained():
        opened = Campaign(ledger, name)
        if not create and not opened.exists():
            raise CommandError(
                f"The ledger has no campaign {name!r}. Add customers with `tenios campaign add`."
            )
        yield opened


@click.group()
def campaign() -> None:
    """
    Call a list of customers, a few at a time.

    The customers and their results are stored in a ledger. You can stop a run at any time and
    resume it; no attempt is made twice. Needs the extra `campaign`.
    """


def campaign_options(*options: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--ledger``, ``--campaign`` and *options* to a command."""
    return combined(_database_option, _name_option, *options)


limit_options = [
    click.option(
        "--max-active",
        type=click.IntRange(1),
        metavar="N",
        help="Maximum callbacks in progress, such as the number of agents.",
    ),
    click.option(
        "--rate",
        type=_rate,
        metavar="RATE",
        help="Maximum rate of starts, evenly spread: 1/s, 10/m or 300/h.",
    ),
    click.option(
        "--between",
        metavar="HOURS",
        help="Start callbacks only in these hours, such as 09:00-18:00 or 'Mon-Fri 09:00-18:00, "
        "Sat 10:00-14:00'.",
    ),
    zone_option("these hours"),
    click.option(
        "--holidays",
        metavar="REGION",
        help="Start no callbacks on public holidays of REGION, such as DE or DE-NW; none for no "
        "holidays.",
    ),
]


def limits_of(
    *,
    max_active: int | None,
    rate: float | None,
    between: str | None,
    timezone: str | None,
    holidays: str | None,
    known: OpeningHours | None = None,
) -> dict[str, Any]:
    """Return the arguments of Campaign.set. Hours that are not given are those that are *known*."""
    from tenios_campaign import OpeningHours

    hours = None
    if between or timezone or holidays:
        if known is not None:
            between, timezone = between or known.between, timezone or known.zone
            holidays = holidays or known.holidays
        if between is None:
            raise click.UsageError("--timezone and --holidays need --between.")
        try:
            hours = OpeningHours(between, timezone, None if holidays == "none" else holidays)
        except ValueError as error:
            hint = "" if timezone else " Use --timezone."
            raise click.UsageError(f"{error}{hint}") from None
    return {"max_active": max_active, "max_starts_per_minute": rate, "hours": hours}
