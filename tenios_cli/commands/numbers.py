"""``tenios numbers``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tenios_cli._options import json_option

if TYPE_CHECKING:
    from tenios_cli._run import Run


@click.command()
@json_option
@click.pass_obj
def numbers(run: Run) -> None:
    """
    List the simulator's magic numbers and what each one does.

    These numbers are reserved for films and books and belong to no one.
    """
    from tenios_simulator import MAGIC_NUMBERS

    for magic in MAGIC_NUMBERS.values():
        run.say(
            f"{magic.display}  {magic.description}",
            number=magic.number,
            display=magic.display,
            description=magic.description,
        )
