"""``tenios numbers``."""

from __future__ import annotations

import click

from tenios_cli._options import json_option
from tenios_cli._output import say


@click.command()
@json_option
def numbers(*, as_json: bool) -> None:
    """
    List the simulator's magic numbers and what each one does.

    These numbers are reserved for films and books and belong to no one.
    """
    from tenios_simulator import MAGIC_NUMBERS

    for magic in MAGIC_NUMBERS.values():
        say(
            f"{magic.display}  {magic.description}",
            as_json=as_json,
            number=magic.number,
            display=magic.display,
            description=magic.description,
        )
