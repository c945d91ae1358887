"""The ``tenios`` command; click, since it needs nothing else and starts fast."""

from __future__ import annotations

import errno
import re
import sys
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

import click

from ..version import __version__
from . import clients, report

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..client import AsyncTenios, Tenios

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}
_INTERRUPTED = 130
_EPILOG = """
Exit codes: 0 they talked (or all is well), 2 wrong usage, 3 the agent was not reached, 4 the customer was not reached, 5 no
callback was started, 6 telephones may be ringing, 7 a limit has passed, 8 the status cannot be had, 130 interrupted, 1
anything else.
"""


class Seconds(click.ParamType[int]):
    """A time such as 30s, 5m, 1h or 90."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:  # noqa: ANN401 - click's
        """Whole seconds."""
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"(\d{1,9})([smh]?)", value.strip())
        if not found:
            self.fail(f"{value!r} is no time; write 90, 90s, 5m or 1h.", param, ctx)
        return int(found[1]) * _UNITS[found[2]]


def _refuse_key(_: click.Context, __: click.Parameter, value: str | None) -> None:
    if value is not None:
        raise click.UsageError(
            "An access key on the command line is in the list of processes and in the shell's history. "
            "Set TENIOS_ACCESS_KEY, or TENIOS_ACCESS_KEY_FILE to the name of a file that only you can read."
        )


def _check_simulator(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    if value not in {None, clients.IN_PROCESS} and not value.startswith(("http://", "https://")):
        raise click.UsageError(
            f"--simulator takes a URL such as http://127.0.0.1:8311, not {value!r}; without one it stands at the end."
        )
    return value


_as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
_no_key = click.option("--access-key", hidden=True, expose_value=False, callback=_refuse_key, is_eager=True)
_simulator = click.option(
    "--simulator",
    callback=_check_simulator,
    is_flag=False,
    flag_value=clients.IN_PROCESS,
    metavar="[URL]",
    help="Talk to the simulator at URL, or to one in this process, instead of TENIOS.",
)
_answered_within = click.option(
    "--answered-within", type=Seconds(), default="5m", show_default=True, help="Until both must have answered."
)
_ended_within = click.option(
    "--ended-within", type=Seconds(), default="4h", show_default=True, help="Until they must have talked."
)


@click.group(epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tenios")
def main() -> None:
    """
    Have two people called and joined by TENIOS.

    The settings come from the environment: TENIOS_ACCESS_KEY (or TENIOS_ACCESS_KEY_FILE, the name of a file that only you can
    read), TENIOS_CALLBACK_CONFIG_ID, and, where they differ from the usual, TENIOS_BASE_URL, TENIOS_REGION and
    TENIOS_ALLOWED_NUMBERS. `tenios doctor` looks at them. Without an account, add --simulator.
    """


@main.command(epilog=_EPILOG)
@click.argument("number")
@click.option("--delay", type=Seconds(), default=0, help="Wait before the agent is called: 30s, 5m.")
@click.option("--announce", metavar="TEXT", help="Read a text aloud to the agent first.")
@click.option("--key", metavar="KEY", help="Call the customer only when the agent presses this key of the telephone.")
@click.option("--region", metavar="DE", help="The country of a NUMBER that is written without one.")
@click.option("--no-wait", is_flag=True, help="Do not watch; `tenios watch` can do so later.")
@click.option("--yes", is_flag=True, help="Do not ask before a real telephone rings.")
@_answered_within
@_ended_within
@_simulator
@_as_json
@_no_key
def call(
    number: str,
    *,
    delay: int,
    announce: str | None,
    key: str | None,
    region: str | None,
    no_wait: bool,
    yes: bool,
    answered_within: int,
    ended_within: int,
    simulator: str | None,
    as_json: bool,
) -> None:
    """Have the agent and then NUMBER called, and show what happens until they have talked."""
    shown = report.report_for(as_json=as_json)
    callback = None
    with _errors_shown(shown), clients.client(simulator, region) as tenios:
        e164 = _understood(number, tenios, ask=not yes and not as_json)
        callback = tenios.start_callback(number, delay=delay, agent_announcement=announce, dtmf_key=key)
        shown.started(callback, e164)
        if no_wait:
            shown.close()
            return
        try:
            for status in callback.watch(answered_within=answered_within, ended_within=ended_within):
                seconds = callback.outcome.sightings[-1].at - callback.handle.started_at
                shown.status(callback.id, status, seconds=seconds)
        except KeyboardInterrupt:
            _leave(shown, [callback.id], simulator)
        shown.ended(callback.outcome)
        raise SystemExit(report.code_of(callback.outcome))


@main.command(epilog=_EPILOG)
@click.argument("callback_id", metavar="ID", type=click.IntRange(0))
@_simulator
@_as_json
@_no_key
def status(callback_id: int, *, simulator: str | None, as_json: bool) -> None:
    """Say how far callback ID is."""
    shown = report.report_for(as_json=as_json, several=True)
    with _errors_shown(shown, callback_id), clients.client(simulator) as tenios:
        found = tenios.callback(callback_id).status()
        if as_json:
            report.show({"event": "status", "id": callback_id, "status": str(found)})
        else:
            click.echo(f"{found}: {report.meaning(found)}")


@main.command(epilog=_EPILOG)
@click.argument("callback_ids", metavar="ID...", type=click.IntRange(0), nargs=-1, required=True)
@_answered_within
@_ended_within
@_simulator
@_as_json
@_no_key
def watch(
    callback_ids: tuple[int, ...], *, answered_within: int, ended_within: int, simulator: str | None, as_json: bool
) -> None:
    """Show what happens to callbacks until each of them is over. The exit code is that of the worst."""
    import asyncio  # noqa: PLC0415 - the other commands do without

    shown = report.report_for(as_json=as_json, several=True)
    ids = list(dict.fromkeys(callback_ids))
    limits = {"answered_within": answered_within, "ended_within": ended_within}
    with _errors_shown(shown):
        try:
            raise SystemExit(asyncio.run(_watch(clients.async_client(simulator), ids, shown, limits)))
        except KeyboardInterrupt:
            _leave(shown, ids, simulator)


async def _watch(tenios: AsyncTenios, ids: Sequence[int], shown: report.Report, limits: dict[str, int]) -> int:
    worst = report.TALKED
    async with tenios:
        async for update in tenios.watch_many(ids, **limits):
            outcome = update.outcome
            if update.error is not None:
                shown.failed(update.error, outcome.handle.id)
                worst = max(worst, _code_of(update.error))
            elif update.status is not None:
                shown.status(
                    outcome.handle.id, update.status, seconds=outcome.sightings[-1].at - outcome.handle.started_at
                )
                if outcome.over:
                    shown.ended(outcome)
                    worst = max(worst, report.code_of(outcome))
    return worst


@main.command()
@_as_json
def numbers(*, as_json: bool) -> None:
    """List the magic numbers: what happens on the simulator when they are called. They belong to nobody."""
    simulator = clients.the_simulator()
    for magic in simulator.MAGIC_NUMBERS.values():
        if as_json:
            report.show({"number": magic.number, "shown": magic.shown, "meaning": magic.meaning})
        else:
            click.echo(f"{magic.shown}  {magic.meaning}")


@main.command()
@click.option(
    "--format",
    "form",
    type=click.Choice(["yaml", "json", "3.0"]),
    default="yaml",
    show_default=True,
    help="As it was written, as JSON, or as a JSON copy in OpenAPI 3.0.",
)
def contract(form: Any) -> None:  # noqa: ANN401 - one of the three
    """Print the OpenAPI description of the API, for a generator in any language."""
    from ..contract import contract_text  # noqa: PLC0415 - the other commands do without

    try:
        click.echo(contract_text(form), nl=False)
    except FileNotFoundError as error:
        click.echo(f"{error.filename} is not there; in a checkout, `make artefacts` writes it.", err=True)
        raise SystemExit(report.FAILED) from None


@main.command()
@_simulator
@_as_json
@_no_key
def doctor(*, simulator: str | None, as_json: bool) -> None:
    """Look at the settings and whether TENIOS can be reached. Starts no callback and shows no secret."""
    from .doctor import examine  # noqa: PLC0415 - the other commands do without

    checks = list(examine(partial(clients.client, simulator)))
    for check in checks:
        if as_json:
            report.show(check)
        else:
            click.echo(f"{'ok ' if check['ok'] else 'NO '} {check['check']}: {check['text']}")
    raise SystemExit(report.TALKED if all(check["ok"] for check in checks) else report.FAILED)


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8311,
    show_default=True,
    help="The port to listen on; 0 for a free one.",
)
@click.option(
    "--speed",
    default=1.0,
    show_default=True,
    help="How many seconds pass in one second.",
)
@click.option(
    "--allow-host",
    "hosts",
    multiple=True,
    metavar="NAME",
    help="Let the console and the control API be used under this name, too; may be repeated.",
)
@_as_json
def simulate(*, host: str, port: int, speed: float, hosts: tuple[str, ...], as_json: bool) -> None:
    """
    Be TENIOS on this machine, until Ctrl-C: no account, no telephone, no internet.

    Prints what to put into the environment of a client. A browser shows at the same address what happens, and plays the parties.
    """
    simulator = clients.the_simulator()
    from ..simulator.server import make_server  # noqa: PLC0415 - an extra

    try:
        server = make_server(host=host, port=port, speed=speed, hosts=hosts)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    except OSError as error:
        hint = " Try --port 0 for a free one." if error.errno == errno.EADDRINUSE else ""
        click.echo(f"Cannot listen on {host}, port {port}: {error.strerror}.{hint}", err=True)
        raise SystemExit(report.FAILED) from None
    settings = {
        "TENIOS_BASE_URL": server.address,
        "TENIOS_ACCESS_KEY": simulator.ACCESS_KEY,
        "TENIOS_CALLBACK_CONFIG_ID": simulator.CALLBACK_CONFIG_ID,
    }
    if as_json:
        report.show(settings)
    else:
        for name, value in settings.items():
            click.echo(f"export {name}={value}")
        click.echo(f"The console is at {server.address}/", err=True)
    server.serve_forever()


def _understood(number: str, tenios: Tenios, *, ask: bool) -> str:
    """The number as E.164; at a terminal, and unless it is called on this machine, only once somebody has looked at it."""
    from ..numbers import to_e164  # noqa: PLC0415 - as above
    from ..settings import is_loopback  # noqa: PLC0415 - as above

    e164 = to_e164(number, region=tenios._settings.region)
    rings = not is_loopback(urlsplit(tenios._settings.base_url).hostname or "")
    if ask and rings and sys.stdin.isatty() and sys.stdout.isatty():
        import phonenumbers  # noqa: PLC0415 - as above
        from phonenumbers.geocoder import country_name_for_number  # noqa: PLC0415 - as above

        parsed = phonenumbers.parse(e164)
        country = country_name_for_number(parsed, "en") or "no single country"
        written = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
        click.confirm(f"This rings real telephones: your agent's, then {written} ({country}). Go on?", abort=True)
    return e164


@contextmanager
def _errors_shown(shown: report.Report, callback_id: int | None = None) -> Iterator[None]:
    from ..errors import CallbackTimeoutError, TeniosError  # noqa: PLC0415 - as above

    try:
        yield
    except TeniosError as error:
        if isinstance(error, CallbackTimeoutError):
            callback_id = error.handle.id
        shown.failed(error, callback_id)
        raise SystemExit(_code_of(error)) from None
    except KeyboardInterrupt as interruption:
        # While a dial is under way, its note says that telephones may be ringing.
        shown.close()
        click.echo("\n".join(getattr(interruption, "__notes__", ["Interrupted."])), err=True)
        raise SystemExit(_INTERRUPTED) from None
    finally:
        shown.close()


def _code_of(error: Exception) -> int:
    from .. import errors  # noqa: PLC0415 - as above

    codes = {
        errors.NotPlacedError: report.NOT_PLACED,
        errors.OutcomeUnknownError: report.UNKNOWN,
        errors.CallbackTimeoutError: report.TIMED_OUT,
        errors.StatusUnavailableError: report.UNAVAILABLE,
    }
    return next((code for kind, code in codes.items() if isinstance(error, kind)), report.FAILED)


def _leave(shown: report.Report, ids: Sequence[int], simulator: str | None) -> NoReturn:
    shown.close()
    command = " ".join(["tenios watch", *map(str, ids), *([f"--simulator {simulator}"] if simulator else [])])
    watch_again = f"The callback goes on; nothing stops it. Watch it again: {command}"
    click.echo("The simulator ends with this command." if simulator == clients.IN_PROCESS else watch_again, err=True)
    raise SystemExit(_INTERRUPTED)
