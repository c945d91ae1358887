"""``tenios contract``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tenios_cli._errors import CommandError

if TYPE_CHECKING:
    from tenios_cli._run import Run
    from tenios_ext.openapi import ContractFormat


@click.command()
@click.option(
    "--format",
    "contract_format",
    type=click.Choice(["yaml", "json", "3.0"]),
    default="yaml",
    show_default=True,
    help="The original YAML, JSON without links, or JSON converted to OpenAPI 3.0.",
)
@click.pass_obj
def contract(run: Run, contract_format: ContractFormat) -> None:
    """Print the OpenAPI description of the TENIOS Callback API."""
    from tenios_ext.openapi import contract_text

    try:
        run.stdout.for_data().write(contract_text(contract_format))
    except FileNotFoundError as error:
        raise CommandError(
            f"{error.filename} does not exist. In a checkout, run `make artefacts`."
        ) from None
