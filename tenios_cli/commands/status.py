"""``tenios status``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tenios_cli._clients import make_client
from tenios_cli._exit_codes import SEE_EXIT_CODES
from tenios_cli._options import CALLBACK_ID, client_options
from tenios_cli._output import describe_status, make_output, print_json

if TYPE_CHECKING:
    from tenios_cli._run import Run


@click.command(epilog=SEE_EXIT_CODES)
@click.argument("callback_id", metavar="ID", type=CALLBACK_ID)
@client_options
@click.pass_obj
def status(run: Run, callback_id: int, *, simulator: str | None, as_json: bool) -> None:
    """Print the status of callback ID."""
    run.simulator = simulator
    run.output = make_output(run.stdout, as_json=as_json, several=True)
    with make_client(simulator) as tenios:
        run.callback_ids = [callback_id]
        current = tenios.callback(callback_id).status()
    if as_json:
        print_json({"event": "status", "id": callback_id, "status": str(current)})
    else:
        click.echo(describe_status(current))
