"""``tenios call`` and ``tenios simulate``; click, since it needs nothing else and starts fast."""

from __future__ import annotations

from typing import NoReturn

import click

from ..version import __version__

_NOT_CONNECTED, _FAILED = 1, 3


@click.group()
@click.version_option(__version__, prog_name="tenios")
def main() -> None:
    """
    Have two people called and joined by TENIOS.

    The access key and the callback config id come from the environment: TENIOS_ACCESS_KEY and TENIOS_CALLBACK_CONFIG_ID.
    An access key on the command line could be read by everybody on the machine, so there is no option for it.
    """


@main.command()
@click.argument("number")
@click.option("--delay", default=0, metavar="SECONDS", help="Wait before the agent is called.")
@click.option("--announce", metavar="TEXT", help="Read a text aloud to the agent first.")
@click.option("--key", metavar="KEY", help="Call the customer only when the agent presses this key.")
@click.option("--region", metavar="DE", help="The country of a NUMBER that is written without one.")
def call(number: str, *, delay: int, announce: str | None, key: str | None, region: str | None) -> None:
    """Have the agent and then NUMBER called, and show what happens until they have talked."""
    from .. import Tenios, TeniosError  # noqa: PLC0415 - `tenios --help` does not wait for the HTTP library

    try:
        with Tenios(region=region) as tenios:
            callback = tenios.start_callback(number, delay=delay, agent_announcement=announce, dtmf_key=key)
            click.echo(f"Callback {callback.id} started.")
            for status in callback.watch():
                click.echo(f"{callback.outcome.sightings[-1].at - callback.handle.started_at:6.1f} s  {status}")
    except TeniosError as error:
        click.echo(f"{type(error).__name__}: {error}", err=True)
        raise SystemExit(_FAILED) from None
    outcome = callback.outcome
    click.echo("They talked." if outcome.connected else f"The {outcome.failed_party} was not reached.")
    raise SystemExit(0 if outcome.connected else _NOT_CONNECTED)


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8311, show_default=True, help="The port to listen on; 0 for a free one.")
@click.option(
    "--speed",
    type=click.FloatRange(0, min_open=True),
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
def simulate(*, host: str, port: int, speed: float, hosts: tuple[str, ...]) -> None:
    """
    Be TENIOS on this machine, until Ctrl-C: no account, no telephone, no internet.

    Prints what to put into the environment of a client. A browser shows at the same address what happens, and plays the parties.
    """
    try:
        from ..simulator import ACCESS_KEY, CALLBACK_CONFIG_ID  # noqa: PLC0415 - an extra
        from ..simulator.server import serve  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        _missing_extra(error)

    def ready(address: str) -> None:
        click.echo(f"export TENIOS_BASE_URL={address}")
        click.echo(f"export TENIOS_ACCESS_KEY={ACCESS_KEY}")
        click.echo(f"export TENIOS_CALLBACK_CONFIG_ID={CALLBACK_CONFIG_ID}")
        click.echo(f"The console is at {address}/", err=True)

    try:
        serve(host=host, port=port, speed=speed, hosts=hosts, ready=ready)
    except OSError as error:
        click.echo(f"Cannot listen on {host}, port {port}: {error.strerror}. Try --port 0 for a free one.", err=True)
        raise SystemExit(_FAILED) from None


def _missing_extra(error: ModuleNotFoundError) -> NoReturn:
    click.echo(
        f"The simulator needs {error.name}, which is in an extra: pip install 'tenios-callback[simulator]'", err=True
    )
    raise SystemExit(_FAILED) from None
