"""Options that several commands share, and the types of their values."""

from __future__ import annotations

import re
from datetime import timedelta
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    F = TypeVar("F", bound=Callable[..., Any])

#: The ids that the client accepts.
CALLBACK_ID = click.IntRange(0, 10**19 - 1)
#: The value of a bare ``--simulator``.
IN_PROCESS = "in process"
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


def seconds(value: str) -> int:
    """Return the seconds of a time such as "90", "90s", "5m" or "1h"."""
    found = re.fullmatch(r"(\d{1,9})([smh]?)", value.strip())
    if not found:
        raise click.BadParameter(f"{value!r} is not a valid time. Write it like 90, 90s, 5m or 1h.")
    return int(found[1]) * _UNITS[found[2]]


def time_option(name: str, help_text: str, *, default: str) -> Callable[[F], F]:
    """Return an option that takes a time, in seconds."""
    return click.option(
        name, type=seconds, metavar="TIME", default=default, show_default=True, help=help_text
    )


def combined(*options: Callable[..., Any]) -> Callable[[F], F]:
    """Return a decorator that adds *options* to a command, in this order."""
    return lambda command: reduce(lambda changed, option: option(changed), options[::-1], command)


def _listed(value: str) -> list[str]:
    """Return the parts of a text such as "DE,AT,CH"."""
    return [part.strip() for part in value.split(",") if part.strip()]


def _set_on_run(context: click.Context, option: click.Parameter, value: Any) -> None:
    setattr(context.obj, str(option.name), value)


def _set_simulator(context: click.Context, option: click.Parameter, value: str | None) -> None:
    if value is not None and value != IN_PROCESS and not value.startswith(("http://", "https://")):
        raise click.UsageError(
            f"--simulator takes a URL that begins with http:// or https://, got {value!r}. To use "
            "it without a URL, put it last."
        )
    _set_on_run(context, option, value)


def _refuse_access_key(_: click.Context, __: click.Parameter, value: str | None) -> None:
    if value is not None:
        raise click.UsageError(
            "There is no option for the access key, because the list of processes and the shell's "
            "history would show it. Set TENIOS_ACCESS_KEY, or TENIOS_ACCESS_KEY_FILE to a file "
            "that contains the key."
        )


#: Sets ``as_json`` of the Run.
json_option = click.option(
    "--json",
    "as_json",
    is_flag=True,
    expose_value=False,
    callback=_set_on_run,
    help="Print one JSON object per line.",
)
yes_option = click.option("--yes", is_flag=True, help="Do not ask before real phones ring.")
ledger_option = click.option(
    "--ledger",
    metavar="URL",
    help="Database of the ledger, such as sqlite:///callbacks.db.  [env var: TENIOS_LEDGER]",
)


def sqlite_path(url: str) -> Path | None:
    """Return the file of a SQLite database; None for other databases."""
    scheme, _, path = url.partition("?")[0].partition(":///")
    try:
        return Path(path).expanduser() if scheme == "sqlite" and path else None
    except RuntimeError:  # There is no home directory. Ledger() reports it.
        return None


def missing_ledger(path: Path) -> str:
    """Return the message for a ledger that does not exist."""
    return f"The ledger {path.absolute()} does not exist. Check --ledger or TENIOS_LEDGER."


def _check_ledger(
    context: click.Context, parameter: click.Parameter, url: str | None
) -> str | None:
    source = context.get_parameter_source(str(parameter.name))
    path = sqlite_path(url or "")
    if source is click.core.ParameterSource.ENVIRONMENT and path and not path.is_absolute():
        raise click.BadParameter(
            f"TENIOS_LEDGER must name an absolute path, such as sqlite:///{path.absolute()}. A "
            "relative path is a different ledger in each directory."
        )
    return url


def database_option(*names: str, **options: Any) -> Callable[[F], F]:
    """Return ``--ledger`` for a command that reads or changes a ledger."""
    return click.option(
        "--ledger",
        *names,
        envvar="TENIOS_LEDGER",
        callback=_check_ledger,
        show_envvar=True,
        metavar="URL",
        help="Database, such as sqlite:///callbacks.db or postgresql://host/database.",
        **options,
    )


def older_than_option(those: str) -> Callable[[F], F]:
    """Return ``--older-than`` for a command that erases the data of *those*."""
    return click.option(
        "--older-than",
        type=days,
        required=True,
        metavar="DAYS",
        help=f"Erase the data of {those} that have not changed for this time, such as 90d.",
    )


def days(value: str) -> timedelta:
    """Return the time in a text such as "90d"."""
    found = re.fullmatch(r"(\d{1,5})d", value.strip(), re.ASCII)
    if not found:
        raise click.BadParameter(f"{value!r} is not a number of days. Write it like 90d.")
    return timedelta(days=int(found[1]))


region_option = click.option(
    "--region",
    metavar="CODE",
    envvar="TENIOS_REGION",
    show_envvar=True,
    help="Country of numbers without a country code, such as DE.",
)
#: The options that limit costs: ``allowed_regions`` and ``allow_special_numbers``.
price_options = combined(
    click.option(
        "--allowed-regions",
        type=_listed,
        metavar="CODES",
        envvar="TENIOS_ALLOWED_REGIONS",
        show_envvar=True,
        help="Allow only numbers of these countries, such as DE,AT,CH.",
    ),
    click.option(
        "--allow-special-numbers",
        is_flag=True,
        envvar="TENIOS_ALLOW_SPECIAL_NUMBERS",
        show_envvar=True,
        help="Allow premium-rate, shared-cost, personal, pager and satellite numbers.",
    ),
)
#: The options of commands that read numbers: those of price_options and ``region``.
number_options = combined(region_option, price_options)
#: The options of commands that use a client. They set ``simulator`` and ``as_json`` of the Run.
client_options = combined(
    click.option(
        "--simulator",
        callback=_set_simulator,
        expose_value=False,
        is_flag=False,
        flag_value=IN_PROCESS,
        metavar="[URL]",
        help="Use the simulator at URL instead of TENIOS; without URL, run one inside the command.",
    ),
    json_option,
    click.option(
        "--access-key", hidden=True, expose_value=False, callback=_refuse_access_key, is_eager=True
    ),
)


def timeout_options(answer: str, end: str) -> Callable[[F], F]:
    """Return the limits of following a callback, with these help texts."""
    return combined(
        time_option("--answer-timeout", answer, default="5m"),
        time_option("--end-timeout", end, default="4h"),
    )


#: The limits of commands that exit with code 7 after them.
exit_timeout_options = timeout_options(
    "Exit with code 7 if agent and customer have not both answered within this time.",
    "Exit with code 7 if the call has not ended within this time.",
)
