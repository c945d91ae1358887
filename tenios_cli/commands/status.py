"""``tenios status``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tenios_cli._clients import check_has_callbacks, client_arguments
from tenios_cli._exit_codes import SEE_EXIT_CODES
from tenios_cli._options import CALLBACK_ID, client_options
from tenios_cli._output import describe_status, make_output

if TYPE_CHECKING:
    from tenios_cli._run import Run


@click.command(epilog=SEE_EXIT_CODES)
@click.argument("callback_id", metavar="ID", type=CALLBACK_ID)
@client_options
@click.pass_obj
def status(run: Run, callback_id: int) -> None:
    """Print the status of callback ID."""
    check_has_callbacks(run.simulator)
    from tenios_ext import Tenios

    run.output = make_output(run.stdout, as_json=run.as_json, several=True)
    with Tenios(**client_arguments(run.simulator)) as tenios:
        run.callback_ids = [callback_id]
        current = tenios.callback(callback_id).status()
    run.say(describe_status(current), event="status", id=callback_id, status=str(current))
