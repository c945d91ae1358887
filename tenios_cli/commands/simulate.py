"""``tenios simulate``."""

from __future__ import annotations

import errno
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from tenios_cli._errors import CommandError
from tenios_cli._options import json_option
from tenios_cli._output import in_options

if TYPE_CHECKING:
    from tenios_cli._run import Run

_MAX_FIRST_ID = 1_000_000_000


@click.command()
@click.option(
    "--host", default="127.0.0.1", show_default=True, metavar="HOST", help="Address to listen on."
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8311,
    show_default=True,
    metavar="PORT",
    help="Port to listen on; 0 picks a free one.",
)
@click.option(
    "--speed",
    default=1.0,
    show_default=True,
    metavar="FACTOR",
    help="Speed of simulated time; 10 is ten times faster than real time.",
)
@click.option(
    "--allow-host",
    "allowed_hosts",
    multiple=True,
    metavar="NAME",
    help="Also serve the console and the control API under this host name. Can be repeated.",
)
@json_option
@click.pass_obj
def simulate(
    run: Run, *, host: str, port: int, speed: float, allowed_hosts: tuple[str, ...]
) -> None:
    """
    Run a simulator of TENIOS until Ctrl-C.

    It needs no account, phone or internet connection. The command prints the environment variables
    that make a client use it, and the address of its console. Open the console in a browser to see
    the callbacks and to act as the agent and the customer.
    """
    from tenios_ext.shared import requires_extra

    with requires_extra("simulator", CommandError):
        from tenios_simulator import (
            ACCESS_KEY,
            CALLBACK_CONFIG_ID,
            ScaledClock,
            Server,
            Simulator,
        )

    try:
        first_id = secrets.randbelow(_MAX_FIRST_ID)
        simulator = Simulator(clock=ScaledClock(speed), first_id=first_id)
        server = Server(simulator, host=host, port=port, allowed_hosts=allowed_hosts)
    except ValueError as error:
        raise click.UsageError(in_options(str(error))) from None
    except OSError as error:
        hint = " Use --port 0 to pick a free one." if error.errno == errno.EADDRINUSE else ""
        reason = str(error.strerror).partition(" (")[0]  # asyncio adds the address
        raise CommandError(f"Cannot listen on {host}, port {port}: {reason}.{hint}") from None
    variables = {
        "TENIOS_BASE_URL": server.address,
        "TENIOS_ACCESS_KEY": ACCESS_KEY,
        "TENIOS_CALLBACK_CONFIG_ID": CALLBACK_CONFIG_ID,
    }
    run.stdout.mask = str  # The simulator's access key is no secret.
    # A KeyboardInterrupt could be lost: Python ignores exceptions in finalizers.
    with suppress(KeyboardInterrupt), server.capture_signals():
        exports = [f"export {name}={value}" for name, value in variables.items()]
        run.say("\n".join(exports), **variables)
        if run.stdout.failure is not None:
            return  # Nobody knows the server's address.
        if not run.as_json:
            click.echo(f"The console is at {server.address}/", err=True)
        server.serve_forever()
