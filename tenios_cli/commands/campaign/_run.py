"""``tenios campaign run`` and ``worker``: calling customers back until a signal comes."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import click

from tenios_cli._campaign_output import CampaignJson, CampaignLines
from tenios_cli._exit_codes import EPILOG, ExitCode
from tenios_cli._options import client_options, price_options, seconds

from ._shared import campaign, campaign_options, limit_options, limits_of, open_campaign

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from tenios_campaign import Campaign
    from tenios_cli._campaign_output import CampaignOutput
    from tenios_cli._run import Run

_SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]
#: The pause before a worker looks again for a database that is away (seconds).
_DATABASE_PAUSE = 5.0

logger = logging.getLogger("tenios_campaign")

_run_options = [
    *limit_options,
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


@campaign.command(epilog=EPILOG)
@campaign_options(*_run_options)
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
@campaign_options(*_run_options)
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
    from tenios_cli.commands.call import is_at_terminal, rings_real_phones

    run.simulator = simulator
    with _waiting(url, name) if is_worker else open_campaign(url, name) as opened:
        opened.set(**limits_of(**limits), replace=False)
        output = run.output = _make_output(run, as_json=as_json, live=not is_worker)
        tenios = make_async_client(
            simulator,
            ledger=opened.ledger,
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
def _waiting(url: str, name: str) -> Iterator[Campaign]:
    """Open a campaign, as soon as its database can be used."""
    from tenios_ext import ConfigurationError, LedgerUnavailableError

    with ExitStack() as stack:
        opened = None
        while opened is None:
            try:
                opened = stack.enter_context(open_campaign(url, name, create=True))
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
