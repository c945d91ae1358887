"""``tenios campaign``."""

from __future__ import annotations

import asyncio
import csv
import logging
import re
import signal
import sys
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click
from attrs import asdict

from tenios_cli._campaign_output import make_campaign_output
from tenios_cli._clients import make_async_client
from tenios_cli._errors import CommandError
from tenios_cli._exit_codes import EPILOG, ExitCode
from tenios_cli._extras import requires_extra
from tenios_cli._options import client_options, json_option, number_options, price_options, seconds
from tenios_cli._output import in_options, one_line, print_json
from tenios_ext import ConfigurationError

from .call import is_at_terminal, rings_real_phones

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from tenios_campaign import Campaign, OpeningHours
    from tenios_cli._campaign_output import CampaignOutput
    from tenios_cli._run import Run
    from tenios_cli._streams import SafeStream
    from tenios_ext import AsyncTenios
    from tenios_ext.ledger import Ledger

_PER_MINUTE = {"s": 60.0, "m": 1.0, "h": 1 / 60}
_SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]

_ledger_option = click.option(
    "--ledger",
    "url",
    envvar="TENIOS_LEDGER",
    required=True,
    metavar="URL",
    help=(
        "The database, such as sqlite:///campaign.db or postgresql://host/database. [env var: "
        "TENIOS_LEDGER]"
    ),
)
_zone_option = click.option(
    "--timezone",
    metavar="ZONE",
    help="The time zone of times, such as Europe/Berlin; by default this machine's.",
)


def _rate(value: str) -> float:
    """Return the starts per minute in a text such as "10/m"."""
    found = re.fullmatch(r"(\d{1,6})/([smh])", value.strip())
    if not found or not int(found[1]):
        raise click.BadParameter(
            f"{value!r} is not a valid rate. Write it like 1/s, 10/m or 300/h."
        )
    return int(found[1]) * _PER_MINUTE[found[2]]


@contextmanager
def _opened(url: str) -> Iterator[tuple[Campaign, Ledger]]:
    with requires_extra("campaign"):
        from tenios_campaign import Campaign  # an extra
        from tenios_ext.ledger import Ledger
    with Ledger(url) as ledger:
        yield Campaign(ledger), ledger


@click.group()
def campaign() -> None:
    """
    Call the customers of a list back, a few at a time.

    The list and its results are in a database, with at most one call per attempt, whatever is
    interrupted or run again. Needs the extra `campaign`.
    """


@campaign.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@_ledger_option
@click.option(
    "--attempts",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Call each customer at most so many times.",
)
@click.option(
    "--retry-after",
    type=seconds,
    metavar="TIME",
    default="10m",
    show_default=True,
    help="Try again after this time if the customer was not reached.",
)
@click.option(
    "--agent-retry-after",
    type=seconds,
    metavar="TIME",
    default="1m",
    show_default=True,
    help="Try again after this time if no agent was reached.",
)
@number_options
@_zone_option
@click.option("--dry-run", is_flag=True, help="Check the file and change nothing.")
@json_option
def add(
    file: str,
    *,
    url: str,
    attempts: int,
    retry_after: int,
    agent_retry_after: int,
    region: str | None,
    allowed_regions: list[str] | None,
    allow_special_numbers: bool,
    timezone: str | None,
    dry_run: bool,
    as_json: bool,
) -> ExitCode | None:
    """
    Add the customers in a CSV FILE to the campaign.

    The first row names the columns: key, number, and optionally delay (seconds), not_before,
    agent_announcement and callback_config_id. The whole file is checked before anything is added. A
    key that is in the campaign already stays as it is.
    """
    with _opened(url) as (opened, _):
        from tenios_campaign import read_customers  # an extra

        try:
            found = read_customers(
                file,
                region=region,
                allowed_regions=allowed_regions,
                allow_special_numbers=allow_special_numbers,
                zone=_zone(timezone),
            )
            if found.problems:
                for problem in found.problems:
                    _say(
                        as_json,
                        f"line {problem.line}: {in_options(problem.reason)}",
                        event="problem",
                        **asdict(problem),
                    )
                _say(as_json, f"Nothing was added: {file} has {len(found.problems)} wrong rows.")
                return ExitCode.FAILED
            if found.unused:
                _say(
                    as_json,
                    f"Not used: {', '.join(found.unused)}.",
                    event="unused",
                    columns=found.unused,
                )
            added = opened.add(
                found.customers,
                attempts=attempts,
                retry_after=retry_after,
                agent_retry_after=agent_retry_after,
                dry_run=dry_run,
            )
        except (OSError, ValueError) as error:
            if isinstance(error, ConfigurationError):
                raise
            raise CommandError(one_line(error)) from None
    for keys in added.same_number:
        text = f"{keys[0]} and {keys[1]} have the same number, which is called for each."
        _say(as_json, text, event="same_number", keys=keys)
    done = (
        f"{'Would add' if dry_run else 'Added'} {added.new} customers; {added.known} were known "
        "already."
    )
    _say(as_json, done, event="added", new=added.new, known=added.known, dry_run=dry_run)
    return None


def _say(as_json: bool, text: str, **fields: Any) -> None:  # noqa: FBT001 - of every call
    if not as_json:
        click.echo(one_line(text))
    elif fields:
        print_json(fields)


def _zone(name: str | None) -> Any:
    if name is None:
        return None
    from zoneinfo import ZoneInfo  # of two commands only

    try:
        return ZoneInfo(name)
    except (ValueError, LookupError):
        raise click.BadParameter(
            f"There is no time zone {name!r}. Write it like Europe/Berlin."
        ) from None


def _limit_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of the commands that call."""
    options = [
        _ledger_option,
        click.option(
            "--max-active",
            type=click.IntRange(1),
            required=True,
            help=(
                "The most callbacks in progress, such as the number of agents; of all processes "
                "together."
            ),
        ),
        click.option(
            "--rate",
            type=_rate,
            metavar="RATE",
            help="Start at most so many callbacks: 1/s, 10/m or 300/h.",
        ),
        click.option(
            "--between",
            metavar="HOURS",
            help="Start callbacks only in these hours of each day, such as 09:00-18:00.",
        ),
        _zone_option,
        price_options,
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
        client_options,
    ]
    for option in reversed(options):
        command = option(command)
    return command


@campaign.command(epilog=EPILOG)
@_limit_options
@click.pass_obj
def run(run: Run, /, **options: Any) -> ExitCode:
    """
    Call the customers back until none is waiting.

    Ctrl-C starts no more callbacks and follows those that are running; Ctrl-C again leaves them.
    Run the command again to go on, also after a crash. Exits with 6 if the outcome of a callback is
    unknown.
    """
    return _call(run, live=True, **options)


@campaign.command(epilog=EPILOG)
@_limit_options
@click.pass_obj
def worker(run: Run, /, **options: Any) -> ExitCode:
    """
    Call the customers back together with workers on other machines.

    Needs PostgreSQL. Start it on each machine with the same options, and let a supervisor such as
    systemd restart it. It goes on until SIGTERM or Ctrl-C; the callbacks that it follows are then
    left to the other workers.
    """
    return _call(run, is_worker=True, **options)


def _call(
    run: Run,
    *,
    url: str,
    max_active: int,
    rate: float | None,
    between: str | None,
    timezone: str | None,
    allowed_regions: list[str] | None,
    allow_special_numbers: bool,
    yes: bool,
    answer_timeout: int,
    end_timeout: int,
    simulator: str | None,
    as_json: bool,
    live: bool = False,
    is_worker: bool = False,
) -> ExitCode:
    run.simulator = simulator
    with _opened(url) as (opened, ledger):
        hours = _hours(between, timezone)
        output = run.output = _make_output(run.stdout, as_json=as_json, live=live)
        tenios = make_async_client(
            simulator,
            ledger=ledger,
            allowed_regions=allowed_regions,
            allow_special_numbers=allow_special_numbers or None,
        )
        waiting = opened.summary().waiting
        if (
            (waiting or is_worker)
            and not yes
            and not as_json
            and rings_real_phones(tenios)
            and is_at_terminal()
        ):
            customers = "customers" if is_worker else f"{waiting} customers"
            click.confirm(
                f"This will ring real phones: your agents', then those of {customers}. Continue?",
                abort=True,
            )
        limits = {
            "max_active": max_active,
            "max_starts_per_minute": rate,
            "hours": hours,
            "answer_timeout": answer_timeout,
            "end_timeout": end_timeout,
        }
        if is_worker:  # It says itself that the database is away.
            logging.getLogger("procrastinate").setLevel(logging.CRITICAL)
        start = opened.work if is_worker else opened.run
        return asyncio.run(
            _follow(opened, start, tenios, output, limits, stops_first=not is_worker)
        )


def _make_output(stdout: SafeStream, *, as_json: bool, live: bool) -> CampaignOutput:
    """Return what to print with: a live picture, if the terminal can show one."""
    if live and not as_json and stdout.isatty():
        with suppress(Exception):  # No rich; or COLUMNS, which may be anything. Lines are as good.
            from tenios_cli._campaign_live import live_output

            if output := live_output(stdout):
                return output
    return make_campaign_output(stdout, as_json=as_json)


def _hours(between: str | None, timezone: str | None) -> OpeningHours | None:
    if between is None:
        return None
    from tenios_campaign import OpeningHours  # an extra

    try:
        return OpeningHours.parse(between, _zone(timezone))
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


async def _follow(
    campaign: Campaign,
    start: Callable[..., Coroutine[Any, Any, object]],
    tenios: AsyncTenios,
    output: CampaignOutput,
    limits: dict[str, Any],
    *,
    stops_first: bool,
) -> ExitCode:
    stop = asyncio.Event()
    async with tenios:
        if stops_first:
            limits["stop"] = stop
        task = asyncio.create_task(start(tenios, on_update=output.entry, **limits))
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
        goes_on = f"{summary.active} callbacks go on. " if summary.active else ""
        click.echo(f"Interrupted. {goes_on}Run the command again to go on.", err=True)
        return ExitCode(128 + received[0])
    return ExitCode.OUTCOME_UNKNOWN if summary.unknown else ExitCode.OK


async def _note(campaign: Campaign, output: CampaignOutput) -> None:
    """Tell what the first Ctrl-C has done."""
    if active := (await asyncio.to_thread(campaign.summary)).active:
        calls = "1 call is" if active == 1 else f"{active} calls are"
        output.note(
            f"{calls} running; press Ctrl-C again to leave them; run the command again to go on."
        )


async def _count(campaign: Campaign, output: CampaignOutput) -> None:
    """Keep the counts that are shown up to date."""
    while output.shows_counts:
        with suppress(Exception):  # They are only shown.
            output.counts(await asyncio.to_thread(campaign.summary))
        await asyncio.sleep(1)


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


@campaign.command()
@_ledger_option
@json_option
@click.pass_obj
def status(run: Run, *, url: str, as_json: bool) -> None:
    """Print how many customers are in each state."""
    with _opened(url) as (opened, _):
        make_campaign_output(run.stdout, as_json=as_json).summary(opened.summary())


@campaign.command()
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
@_ledger_option
def export(file: str, *, url: str) -> None:
    """Write the results to a CSV FILE, or to standard output if it is -."""
    with _opened(url) as (opened, _):
        entries = opened.entries()
    try:
        if file == "-":
            _write(sys.stdout, entries)
        else:
            with open(file, "w", encoding="utf-8-sig", newline="") as opened_file:  # noqa: PTH123 - as click gives it
                _write(opened_file, entries)
    except OSError as error:
        raise CommandError(f"{file} cannot be written: {error.strerror}") from None


def _write(file: Any, entries: Any) -> None:
    writer = csv.writer(file, lineterminator="\n" if file is sys.stdout else "\r\n")
    writer.writerow(
        ["key", "number", "state", "attempts", "callback_id", "status", "next_attempt", "error"]
    )
    for each in entries:
        due = each.due_at and datetime.fromtimestamp(each.due_at, UTC).isoformat(" ", "seconds")
        writer.writerow(
            [
                each.key,
                each.number,
                each.state,
                each.attempts,
                each.callback_id,
                each.status,
                due,
                each.error,
            ]
        )


@campaign.command()
@_ledger_option
def pause(*, url: str) -> None:
    """Start no more callbacks until `tenios campaign resume`."""
    with _opened(url) as (opened, _):
        opened.pause()
    click.echo("Paused. Callbacks that are running go on.")


@campaign.command()
@_ledger_option
def resume(*, url: str) -> None:
    """Start callbacks again after `tenios campaign pause`."""
    with _opened(url) as (opened, _):
        opened.resume()
    click.echo("Resumed.")


@campaign.command()
@click.argument("key")
@_ledger_option
def cancel(key: str, *, url: str) -> None:
    """Do not call the customer with this KEY, who must be waiting."""
    with _opened(url) as (opened, _):
        try:
            opened.cancel(key)
        except (LookupError, ValueError) as error:
            raise CommandError(one_line(error.args[0])) from None
    click.echo(f"{key} will not be called.")
