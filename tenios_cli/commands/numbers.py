"""``tenios numbers``."""

from __future__ import annotations

import click

from tenios_cli._options import json_option
from tenios_cli._output import print_json


@click.command()
@json_option
def numbers(*, as_json: bool) -> None:
    """
    List the simulator's magic numbers and what each one does.

    These numbers are reserved for films and books and belong to no one.
    """
    from tenios_simulator import MAGIC_NUMBERS

    for magic in MAGIC_NUMBERS.values():
        if as_json:
            print_json(
                {"number": magic.number, "display": magic.display, "description": magic.description}
            )
        else:
            click.echo(f"{magic.display}  {magic.description}")
