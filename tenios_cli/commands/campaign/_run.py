"""``tenios campaign run`` and ``worker``, with their signals."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import click

from tenios_cli._campaign_output import CampaignJson, CampaignLines
from tenios_cli._exit_codes import CAMPAIGN_EXIT_CODES, ExitCode
from tenios_cli._options import client_options, price_options, timeout_options, yes_option
from tenios_cli._run import SIGNALS

from ._shared import campaign, campaign_options, limit_options, limits_of, open_campaign

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from tenios_campaign import Campaign
    from tenios_cli._campaign_output import CampaignOutput
    from tenios_cli._run import Run

#: The pause before a worker tries again to open its database (seconds).
_DATABASE_PAUSE = 5.0

logger = logging.getLogger("tenios_campaign")

_run_options = [
    *limit_options,
    click.option(
        "--max-unknown",
        type=click.IntRange(1),
        metavar="N",
        help="End the run when N outcomes are unknown.",
    ),
    yes_option,
    timeout_options(
        "Time for agent and customer to answer. If they take longer, the outcome counts as "
        "unknown.",
        "Stop following a call after this time. It still counts for --max-active until its end.",
    ),
    price_options,
    client_options,
]


@campaign.command(epilog=CAMPAIGN_EXIT_CODES)
@campaign_options(*_run_options)
@click.pass_obj
def run(run: Run, /, **options: Any) -> ExitCode:
    """
    Call the customers until none is waiting.

    The first run sets the limits. Later, change them with `tenios campaign set`.

    Ctrl-C stops new callbacks and follows those in progress to their end. A second Ctrl-C exits at
    once. Run the command again to resume, also after a crash.
    """
    return _call(run, **options)


@campaign.command(epilog=CAMPAIGN_EXIT_CODES)
@campaign_options(*_run_options)
@click.pass_obj
def worker(run: Run, /, **options: Any) -> ExitCode:
    """
    Call the customers together with workers on other machines.

    Needs PostgreSQL. Run a worker on each machine, under a supervisor such as systemd that restarts
    it. After SIGTERM or Ctrl-C, other workers follow its callbacks.
    """
    return _call(run, is_worker=True, **options)


def _call(
    run: Run,
    *,
    url: str,
    name: str,
    yes: bool,
    answer_timeout: int,
    end_timeout: int,
    max_unknown: int | None,
    allowed_regions: list[str] | None,
    allow_special_numbers: bool,
    is_worker: bool = False,
    **limits: Any,
) -> ExitCode:
    from tenios_cli._clients import client_arguments
    from tenios_cli.commands.call import is_at_terminal, rings_real_phones
    from tenios_ext import AsyncTenios

    with _waiting(url, name) if is_worker else open_campaign(url, name) as opened:
        opened.set(**limits_of(**limits), replace=False)
        output = run.output = _make_output(run, live=not is_worker)
        tenios = AsyncTenios(
            **client_arguments(
                run.simulator,
                ledger=opened.ledger,
                allowed_regions=allowed_regions,
                allow_special_numbers=allow_special_numbers or None,
            )
        )
        waiting = opened.summary().waiting
        asks = (waiting or is_worker) and not yes and not run.as_json
        if asks and rings_real_phones(tenios) and is_at_terminal():
            customers = "1 customer" if waiting == 1 else f"{waiting} customers"
            customers = "customers" if is_worker else customers
            text = f"This will ring real phones: your agents', then those of {customers}. Continue?"
            if not click.confirm(text):
                asyncio.run(tenios.aclose())
                raise click.Abort
        options: dict[str, Any] = {
            "answer_timeout": answer_timeout,
            "end_timeout": end_timeout,
            "max_unknown": max_unknown,
        }
        if is_worker:  # which logs itself that its database is unreachable
            logging.getLogger("procrastinate").setLevel(logging.CRITICAL)
        start = opened.work if is_worker else opened.run
        return asyncio.run(
            _follow(run, opened, start, tenios, output, options=options, stops_first=not is_worker)
        )


@contextmanager
def _waiting(url: str, name: str) -> Iterator[Campaign]:
    """Open a campaign, and wait for its database."""
    from tenios_ext import ConfigurationError, LedgerUnavailableError

    with ExitStack() as stack:
        opened = None
        while opened is None:
            try:
                opened = stack.enter_context(open_campaign(url, name, create=True))
            except (ConfigurationError, LedgerUnavailableError) as error:
                if error.reason is None:  # not an error of the database
                    raise
                logger.warning("%s Trying again.", error)
                time.sleep(_DATABASE_PAUSE)
        yield opened


def _make_output(run: Run, *, live: bool) -> CampaignOutput:
    """Return the output: a live picture if the terminal can show one."""
    if run.as_json:
        return CampaignJson(run.stdout)
    if live and run.stdout.isatty():
        with suppress(Exception):  # rich is not installed, or the terminal cannot redraw
            from tenios_cli._campaign_live import CampaignLive

            return CampaignLive(run.stdout)
    return CampaignLines()


async def _follow(
    run: Run,
    campaign: Campaign,
    start: Callable[..., Coroutine[Any, Any, object]],
    tenios: Any,
    output: CampaignOutput,
    *,
    options: dict[str, Any],
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
        with _signals(run, task, stop, note) as received:
            try:
                await asyncio.wait([task])
            finally:
                counter.cancel()
    summary = await asyncio.to_thread(campaign.summary)
    output.close()
    if not task.cancelled():
        task.result()
    output.summary(summary)
    if received == [signal.SIGTERM] and not stops_first:  # from a supervisor
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
    """Explain what a second Ctrl-C does."""
    if active := (await asyncio.to_thread(campaign.summary)).active:
        output.note(
            f"{_running(active)}Press Ctrl-C again to exit at once. Run the command again to "
            "resume."
        )


async def _count(campaign: Campaign, output: CampaignOutput) -> None:
    while output.shows_counts:
        began = time.monotonic()
        with suppress(Exception):  # a count must not end the run
            output.counts(await asyncio.to_thread(campaign.summary))
        await asyncio.sleep(max(1.0, 20 * (time.monotonic() - began)))


@contextmanager
def _signals(
    run: Run,
    task: asyncio.Task[Any],
    stop: asyncio.Event,
    note: Callable[[], Coroutine[Any, Any, None]] | None,
) -> Iterator[list[int]]:
    """
    On the first Ctrl-C, set *stop* if there is a *note*. On other signals, cancel the task. Yield
    the received signals.
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
        if received or number != signal.SIGINT or note is None:  # Else, the run continues.
            run.unblock()
        received.append(number)
        if len(received) > 2:  # noqa: PLR2004 - two were ignored
            raise KeyboardInterrupt
        loop.call_soon_threadsafe(act, number)

    before = {each: signal.getsignal(each) for each in SIGNALS}
    handled = [each for each in SIGNALS if before[each] is not signal.SIG_IGN]  # as nohup has it
    for each in handled:
        signal.signal(each, handle)
    try:
        yield received
    finally:
        for each in handled:
            signal.signal(each, before[each])
