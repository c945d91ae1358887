"""``tenios campaign``."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import signal
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tenios_cli._campaign_output import CampaignJson, CampaignLines, entry_fields
from tenios_cli._errors import CommandError
from tenios_cli._exit_codes import EPILOG, ExitCode
from tenios_cli._options import client_options, json_option, number_options, price_options, seconds
from tenios_cli._output import in_options, one_line, print_json

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from tenios_campaign import Added, Campaign, CampaignSummary, CustomerFile
    from tenios_cli._campaign_output import CampaignOutput
    from tenios_cli._run import Run
    from tenios_ext.ledger import Ledger

_RETRIED = ("rejected", "customer_failed", "agent_failed", "cancelled")
_PER_MINUTE = {"s": 60.0, "m": 1.0, "h": 1 / 60}
_SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]
#: The pause before a worker looks again for a database that is away (seconds).
_DATABASE_PAUSE = 5.0

logger = logging.getLogger("tenios_campaign")


def _check_url(context: click.Context, parameter: click.Parameter, url: str) -> str:
    is_variable = (
        context.get_parameter_source(str(parameter.name)) is click.core.ParameterSource.ENVIRONMENT
    )
    if is_variable and (path := _path(url)) and not path.is_absolute():
        raise click.BadParameter(
            f"TENIOS_LEDGER must name an absolute path, such as sqlite:///{path.absolute()}: else "
            "it is another ledger in each directory."
        )
    return url


def _path(url: str) -> Path | None:
    """Return the file of a SQLite database; None for another one."""
    scheme, _, path = url.partition(":///")
    return Path(path).expanduser() if scheme == "sqlite" and path else None


_ledger_option = click.option(
    "--ledger",
    "url",
    envvar="TENIOS_LEDGER",
    required=True,
    callback=_check_url,
    metavar="URL",
    help=(
        "The database, such as sqlite:///campaign.db or postgresql://host/database. [env var: "
        "TENIOS_LEDGER]"
    ),
)
_name_option = click.option(
    "--campaign", "name", default="default", show_default=True, metavar="NAME", help="The campaign."
)
_zone_option = click.option(
    "--timezone",
    metavar="ZONE",
    help="The time zone of times, such as Europe/Berlin. [default: this machine's, unless UTC]",
)


def _rate(value: str) -> float:
    """Return the starts per minute in a text such as "10/m"."""
    found = re.fullmatch(r"(\d{1,6})/([smh])", value.strip())
    if not found or not int(found[1]):
        raise click.BadParameter(
            f"{value!r} is not a valid rate. Write it like 1/s, 10/m or 300/h."
        )
    return int(found[1]) * _PER_MINUTE[found[2]]


def _days(value: str) -> Any:
    from .ledger import _days as days  # imports the client

    return days(value)


@contextmanager
def _opened(url: str, name: str, *, create: bool = False) -> Iterator[tuple[Campaign, Ledger]]:
    """Open a campaign. Raises CommandError if there is none, unless it may be created."""
    if not create and (path := _path(url)) is not None and not path.exists():
        raise CommandError(f"There is no campaign: {path.absolute()} does not exist.")
    from tenios_campaign import Campaign
    from tenios_ext.ledger import Ledger
    from tenios_ext.shared import requires_extra

    with requires_extra("campaign", CommandError):
        import_module("sqlalchemy")  # Ledger would name its own extra, which is not enough.
    with Ledger(url) as ledger, _as_usage():
        campaign = Campaign(ledger, name)
        if not create and not campaign.exists():
            raise CommandError(
                f"There is no campaign {name!r} in this ledger. Add customers to it first."
            )
        yield campaign, ledger


@contextmanager
def _as_usage() -> Iterator[None]:
    """Raise what is wrong with an argument as an error of the command."""
    from tenios_ext import TeniosError

    try:
        yield
    except TeniosError:
        raise
    except (LookupError, ValueError) as error:
        raise CommandError(one_line(error.args[0] if error.args else error)) from None


@click.group()
def campaign() -> None:
    """
    Call the customers of a list back, a few at a time.

    The list and its results are in a database, with at most one call per attempt, whatever is
    interrupted or run again. Needs the extra `campaign`.
    """


def _options(*options: Callable[..., Any]) -> Callable[..., Any]:
    """Add options to a command, after those that name its campaign."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed([_ledger_option, _name_option, *options]):
            command = option(command)
        return command

    return decorate


def _column(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    pairs = [value.partition("=") for value in values]
    if wrong := [name for name, equals, column in pairs if not (name and equals and column)]:
        raise click.BadParameter(f"{wrong[0]!r} names no column. Write it like number=Telefon.")
    return {name: column for name, _, column in pairs}


@campaign.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@_options(
    click.option(
        "--attempts",
        type=click.IntRange(1),
        default=1,
        show_default=True,
        help="Maximum attempts for each customer.",
    ),
    click.option(
        "--retry-after",
        type=seconds,
        metavar="TIME",
        default="10m",
        show_default=True,
        help="Try again after this time if the customer was not reached.",
    ),
    click.option(
        "--agent-retry-after",
        type=seconds,
        metavar="TIME",
        default="1m",
        show_default=True,
        help="Try again after this time if no agent was reached.",
    ),
    number_options,
    click.option(
        "--column",
        "columns",
        multiple=True,
        callback=_column,
        metavar="NAME=HEADER",
        help="The header of a column, such as number=Telefon.",
    ),
    _zone_option,
    click.option(
        "--allow-same-number",
        is_flag=True,
        help="Add new keys whose numbers the campaign knows under other keys.",
    ),
    click.option("--dry-run", is_flag=True, help="Check the file and change nothing."),
    json_option,
)
def add(
    file: str,
    *,
    url: str,
    name: str,
    region: str | None,
    allowed_regions: list[str] | None,
    allow_special_numbers: bool,
    columns: dict[str, str],
    timezone: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """
    Add the customers in a CSV FILE to the campaign.

    The first row names the columns: key, number, and optionally delay (seconds), not_before,
    agent_announcement and callback_config_id, or usual English and German names. The whole file is
    checked before anything is added. A key that is in the campaign already stays as it is.
    """
    path = _path(url)
    with ExitStack() as stack:
        if options["dry_run"] and path is not None and not path.exists():
            _say(as_json, f"There is no campaign yet in {url}.", event="no_campaign", ledger=url)
            url = f"sqlite:///{stack.enter_context(tempfile.TemporaryDirectory())}/dry-run.db"
        opened, _ = stack.enter_context(_opened(url, name, create=True))
        from tenios_campaign import InvalidRowsError, SameNumberError, read_customers

        try:
            found = read_customers(
                file,
                region=region,
                allowed_regions=allowed_regions,
                allow_special_numbers=allow_special_numbers,
                zone=timezone,
                columns=columns,
            )
            _report_columns(found, as_json=as_json)
            added = opened.add(found, **options)
        except OSError as error:
            raise CommandError(f"{file} cannot be read: {error.strerror}") from None
        except InvalidRowsError as error:
            for each in error.problems:
                _say(
                    as_json,
                    f"line {each.line}: {in_options(each.reason)}",
                    event="problem",
                    line=each.line,
                    reason=each.reason,
                )
            raise CommandError(
                f"Nothing was added: {_rows(error.count)} of {file} cannot be added"
                f"{_shown(error.count, len(error.problems))}."
            ) from None
        except SameNumberError as error:
            for keys in error.pairs:
                text = f"{keys[1]} has the number of {keys[0]}, which is in the campaign already."
                _say(as_json, text, event="known_number", keys=keys)
            raise CommandError(
                f"Nothing was added: {_rows(error.count)} of {file} would call a number again "
                f"under another key{_shown(error.count, len(error.pairs))}. "
                "Use --allow-same-number if that is meant."
            ) from None
        _report(added, as_json=as_json, dry_run=options["dry_run"])


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"


def _shown(count: int, shown: int) -> str:
    return "" if count == shown else f" (the first {shown} are shown)"


def _report_columns(file: CustomerFile, *, as_json: bool) -> None:
    renamed = [f"{name} is {column}" for name, column in file.columns.items() if name != column]
    texts = [f"Columns: {', '.join(renamed)}." if renamed else ""]
    texts += [f"Not used: {', '.join(file.unused)}." if file.unused else ""]
    if any(texts):
        text = " ".join(filter(None, texts))
        _say(as_json, text, event="columns", columns=file.columns, unused=file.unused)


def _report(added: Added, *, as_json: bool, dry_run: bool) -> None:
    for keys in added.same_number:
        text = f"{keys[0]} and {keys[1]} share a number. It will be called twice."
        _say(as_json, text, event="same_number", keys=keys)
    customers = "1 customer" if added.new == 1 else f"{added.new} customers"
    done = f"{'Would add' if dry_run else 'Added'} {customers}; {added.known} were known already."
    if added.repeated:
        done += f" Repeated: {_rows(added.repeated)}."
    fields = {"new": added.new, "known": added.known, "repeated": added.repeated}
    _say(as_json, done, event="added", **fields, dry_run=dry_run)


def _say(as_json: bool, text: str, **fields: Any) -> None:  # noqa: FBT001 - of every call
    if as_json:
        print_json(fields)
    else:
        click.echo(one_line(text))


_limit_options = [
    click.option("--max-active", type=click.IntRange(1), help="Maximum callbacks in progress."),
    click.option(
        "--rate",
        type=_rate,
        metavar="RATE",
        help="Maximum rate of starts, evenly spread: 1/s, 10/m or 300/h.",
    ),
    click.option(
        "--between",
        metavar="HOURS",
        help=(
            "Start callbacks only in these hours: 09:00-18:00, or 'Mon-Fri 09:00-18:00, Sat "
            "10:00-14:00'."
        ),
    ),
    _zone_option,
    click.option(
        "--holidays", metavar="REGION", help="Start none on public holidays, such as of DE-NW."
    ),
]
_run_options = [
    *_limit_options,
    click.option(
        "--max-unknown",
        type=click.IntRange(1),
        metavar="N",
        help="End when the outcomes of N callbacks are unknown.",
    ),
    click.option("--yes", is_flag=True, help="Do not ask before real phones ring."),
    click.option(
        "--answer-timeout",
        type=seconds,
        metavar="TIME",
        default="5m",
        show_default=True,
        help="A callback counts as unknown unless both have answered within this time.",
    ),
    click.option(
        "--end-timeout",
        type=seconds,
        metavar="TIME",
        default="4h",
        show_default=True,
        help="A call is not followed any longer than this.",
    ),
    price_options,
    client_options,
]


def _limits(
    *,
    max_active: int | None,
    rate: float | None,
    between: str | None,
    timezone: str | None,
    holidays: str | None,
) -> dict[str, Any]:
    from tenios_campaign import OpeningHours

    if between is None and (timezone or holidays):
        raise click.UsageError("--timezone and --holidays need --between.")
    try:
        hours = between and OpeningHours(between, timezone, holidays)
    except ValueError as error:
        hint = "" if timezone else " Use --timezone."
        raise click.BadParameter(f"{error}{hint}") from None
    return {"max_active": max_active, "max_starts_per_minute": rate, "hours": hours or None}


@campaign.command(epilog=EPILOG)
@_options(*_run_options)
@click.pass_obj
def run(run: Run, /, **options: Any) -> ExitCode:
    """
    Call the customers back until none is waiting.

    The first run sets the campaign's limits; `tenios campaign set` changes them. Ctrl-C starts no
    more callbacks and follows those that are running; Ctrl-C again leaves them. Run the command
    again to resume, also after a crash. Exits with 6 if the outcome of a callback is unknown.
    """
    return _call(run, **options)


@campaign.command(epilog=EPILOG)
@_options(*_run_options)
@click.pass_obj
def worker(run: Run, /, **options: Any) -> ExitCode:
    """
    Call the customers back together with workers on other machines.

    Needs PostgreSQL. Start it on each machine and let a supervisor such as systemd restart it. It
    works until SIGTERM or Ctrl-C; the callbacks that it follows are then left to the other workers.
    """
    return _call(run, is_worker=True, **options)


def _call(
    run: Run,
    *,
    url: str,
    name: str,
    yes: bool,
    simulator: str | None,
    as_json: bool,
    answer_timeout: int,
    end_timeout: int,
    max_unknown: int | None,
    allowed_regions: list[str] | None,
    allow_special_numbers: bool,
    is_worker: bool = False,
    **limits: Any,
) -> ExitCode:
    from tenios_cli._clients import make_async_client

    from .call import is_at_terminal, rings_real_phones

    run.simulator = simulator
    with _waiting(url, name) if is_worker else _opened(url, name) as (opened, ledger):
        opened.set(**_limits(**limits), replace=False)
        output = run.output = _make_output(run, as_json=as_json, live=not is_worker)
        tenios = make_async_client(
            simulator,
            ledger=ledger,
            allowed_regions=allowed_regions,
            allow_special_numbers=allow_special_numbers or None,
        )
        waiting = opened.summary().waiting
        asks = (waiting or is_worker) and not yes and not as_json
        if asks and rings_real_phones(tenios) and is_at_terminal():
            customers = "customers" if is_worker else f"{waiting} customers"
            text = f"This will ring real phones: your agents', then those of {customers}. Continue?"
            if not click.confirm(text):
                asyncio.run(tenios.aclose())
                raise click.Abort
        options: dict[str, Any] = {
            "answer_timeout": answer_timeout,
            "end_timeout": end_timeout,
            "max_unknown": max_unknown,
        }
        if is_worker:  # It says itself that the database is away.
            logging.getLogger("procrastinate").setLevel(logging.CRITICAL)
        start = opened.work if is_worker else opened.run
        return asyncio.run(
            _follow(opened, start, tenios, output, options, stops_first=not is_worker)
        )


@contextmanager
def _waiting(url: str, name: str) -> Iterator[tuple[Campaign, Ledger]]:
    """Open a campaign, as soon as its database can be used."""
    from tenios_ext import ConfigurationError, LedgerUnavailableError

    with ExitStack() as stack:
        opened = None
        while opened is None:
            try:
                opened = stack.enter_context(_opened(url, name, create=True))
            except (ConfigurationError, LedgerUnavailableError) as error:
                if error.reason is None:  # It is not the database that says so.
                    raise
                logger.warning("%s It is tried again.", error)
                time.sleep(_DATABASE_PAUSE)
        yield opened


def _make_output(run: Run, *, as_json: bool, live: bool) -> CampaignOutput:
    """Return what to print with: a live picture, if the terminal can show one."""
    if as_json:
        return CampaignJson(run.stdout)
    if live and run.stdout.isatty():
        with suppress(Exception):  # No rich; or COLUMNS, which may be anything. Lines are as good.
            from tenios_cli._campaign_live import live_output

            if output := live_output(run.stdout):
                return output
    return CampaignLines()


async def _follow(
    campaign: Campaign,
    start: Callable[..., Coroutine[Any, Any, object]],
    tenios: Any,
    output: CampaignOutput,
    options: dict[str, Any],
    *,
    stops_first: bool,
) -> ExitCode:
    stop = asyncio.Event()
    async with tenios:
        if stops_first:
            options["stop"] = stop
        work = start(tenios, on_update=output.entry, on_wait=output.waits, **options)
        task = asyncio.create_task(work)
        counter = asyncio.create_task(_count(campaign, output))
        note = (lambda: _note(campaign, output)) if stops_first else None
        with _signals(task, stop, note) as received:
            try:
                await asyncio.wait([task])
            finally:
                counter.cancel()
    summary = await asyncio.to_thread(campaign.summary)
    output.close()
    if not task.cancelled():
        task.result()
    output.summary(summary)
    if received == [signal.SIGTERM] and not stops_first:  # It is how a supervisor ends a worker.
        return ExitCode.OK
    if received:
        click.echo(
            f"Interrupted. {_running(summary.active)}Run the command again to resume.", err=True
        )
        return ExitCode(128 + received[0])
    if summary.unknown:
        return ExitCode.OUTCOME_UNKNOWN
    return ExitCode.NOT_PLACED if summary.rejected else ExitCode.OK


def _running(count: int) -> str:
    calls = "1 call is" if count == 1 else f"{count} calls are"
    return f"{calls} still running. " if count else ""


async def _note(campaign: Campaign, output: CampaignOutput) -> None:
    """Tell what the first Ctrl-C has done."""
    if active := (await asyncio.to_thread(campaign.summary)).active:
        output.note(
            f"{_running(active)}Press Ctrl-C again to stop following; run the command again to "
            "resume."
        )


async def _count(campaign: Campaign, output: CampaignOutput) -> None:
    """Keep the counts that are shown up to date."""
    while output.shows_counts:
        began = time.monotonic()
        with suppress(Exception):  # They are only shown.
            output.counts(await asyncio.to_thread(campaign.summary))
        await asyncio.sleep(max(1.0, 20 * (time.monotonic() - began)))


@contextmanager
def _signals(
    task: asyncio.Task[Any],
    stop: asyncio.Event,
    note: Callable[[], Coroutine[Any, Any, None]] | None,
) -> Iterator[list[int]]:
    """
    Stop on the first Ctrl-C if there is a note for it, and cancel on other signals. Yield the
    signals that have come.
    """
    received: list[int] = []
    notes: list[asyncio.Task[None]] = []
    loop = asyncio.get_running_loop()

    def act(number: int) -> None:
        if note is not None and number == signal.SIGINT and not stop.is_set():
            stop.set()
            notes.append(asyncio.create_task(note()))
        else:
            task.cancel()

    def handle(number: int, _: object) -> None:
        received.append(number)
        if len(received) > 2:  # noqa: PLR2004 - it was asked for twice
            raise KeyboardInterrupt
        loop.call_soon_threadsafe(act, number)

    before = {each: signal.getsignal(each) for each in _SIGNALS}
    handled = [each for each in _SIGNALS if before[each] is not signal.SIG_IGN]  # as nohup has it
    for each in handled:
        signal.signal(each, handle)
    try:
        yield received
    finally:
        for each in handled:
            signal.signal(each, before[each])


@campaign.command("set")
@_options(*_limit_options)
def set_limits(*, url: str, name: str, **limits: Any) -> None:
    """Change the campaign's limits, for all processes and at once."""
    with _opened(url, name) as (opened, _):
        opened.set(**_limits(**limits))
        click.echo(_describe_limits(opened.summary()))


def _describe_limits(summary: CampaignSummary) -> str:
    texts = [f"at most {summary.max_active} at a time" if summary.max_active else ""]
    rate = summary.max_starts_per_minute
    texts += [f"{rate:g} starts per minute" if rate else ""]
    if hours := summary.hours:
        texts.append(f"{hours.between} ({hours.zone})")
        texts += [f"not on holidays of {hours.holidays}" if hours.holidays else ""]
    return f"Limits: {', '.join(filter(None, texts)) or 'none'}."


@campaign.command()
@_options(json_option)
@click.pass_obj
def status(run: Run, *, url: str, name: str, as_json: bool) -> None:
    """Print how many customers are in each state, and the limits."""
    with _opened(url, name) as (opened, _):
        summary = opened.summary()
    _make_output(run, as_json=as_json, live=False).summary(summary)
    if not as_json and summary.max_active:
        click.echo(_describe_limits(summary))


@campaign.command()
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
@_options(
    _zone_option,
    click.option("--force", is_flag=True, help="Replace FILE if it exists."),
    json_option,
)
def export(
    file: str, *, url: str, name: str, timezone: str | None, force: bool, as_json: bool
) -> None:
    """
    Write the results to a CSV FILE, or to standard output if it is -.

    The file has the columns and the delimiter of the one that was added, and how the calls went.
    """
    is_file = file != "-"
    encoding = "utf-8" if as_json else "utf-8-sig"  # Excel knows UTF-8 by its mark.
    with _opened(url, name) as (opened, _):
        try:
            mode = "w" if force else "x"
            output: Any = sys.stdout
            if is_file:
                output = Path(file).open(mode, encoding=encoding, newline="\r\n")  # noqa: SIM115 - closed below
            with output if is_file else nullcontext():
                if as_json:
                    lines = (json.dumps(entry_fields(each)) for each in opened.entries())
                    output.writelines(f"{line}\n" for line in lines)
                else:
                    opened.export(output, zone=timezone)
        except FileExistsError:
            raise CommandError(f"{file} exists. Use --force to replace it.") from None
        except OSError as error:
            raise CommandError(f"{file} cannot be written: {error.strerror}") from None


@campaign.command()
@_options()
def pause(*, url: str, name: str) -> None:
    """Start no more callbacks, in any process, until `tenios campaign resume`."""
    with _opened(url, name) as (opened, _):
        opened.pause()
    click.echo("Paused. Callbacks that are running continue.")


@campaign.command()
@_options()
def resume(*, url: str, name: str) -> None:
    """Start callbacks again after `tenios campaign pause`."""
    with _opened(url, name) as (opened, _):
        opened.resume()
    click.echo("Resumed.")


@campaign.command()
@click.argument("key")
@_options()
def cancel(key: str, *, url: str, name: str) -> None:
    """Do not call the customer with this KEY, who must be waiting."""
    with _opened(url, name) as (opened, _):
        opened.cancel(key)
    click.echo(f"{one_line(key)} will not be called.")


@campaign.command()
@click.argument("keys", nargs=-1)
@_options(
    click.option(
        "--state",
        type=click.Choice(_RETRIED),
        metavar="STATE",
        help=f"Put all customers in this state back: {', '.join(_RETRIED)}.",
    )
)
def retry(keys: tuple[str, ...], *, url: str, name: str, state: Any) -> None:
    """
    Put customers back, for at least one more attempt each.

    Those whose outcome is unknown must be resolved first: `tenios ledger resolve`.
    """
    if not keys and state is None:
        raise click.UsageError("Name KEYS or a --state.")
    with _opened(url, name) as (opened, _):
        count = opened.retry(*keys, state=state)
    click.echo(f"Put {'1 customer' if count == 1 else f'{count} customers'} back.")


@campaign.command()
@_options(
    click.option(
        "--older-than",
        type=_days,
        required=True,
        metavar="DAYS",
        help="Forget customers that have not changed for this number of days: 90d.",
    )
)
def forget(*, url: str, name: str, older_than: Any) -> None:
    """
    Erase the numbers and other data of old customers, also of those who wait.

    Their keys and states stay, here and in the ledger, so that none is called again by accident.
    """
    with _opened(url, name) as (opened, _):
        count = opened.forget(older_than=older_than)
    click.echo(f"Forgot {'1 customer' if count == 1 else f'{count} customers'}.")
