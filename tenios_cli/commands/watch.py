"""``tenios watch``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from tenios_cli._clients import check_has_callbacks, client_arguments
from tenios_cli._errors import code_of_error
from tenios_cli._exit_codes import SEE_EXIT_CODES, ExitCode, code_of_outcome
from tenios_cli._options import CALLBACK_ID, client_options, exit_timeout_options
from tenios_cli._output import make_output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tenios_cli._output import Output
    from tenios_cli._run import Run
    from tenios_ext import AsyncTenios


@click.command(epilog=SEE_EXIT_CODES)
@click.argument("callback_ids", metavar="ID...", type=CALLBACK_ID, nargs=-1, required=True)
@exit_timeout_options
@client_options
@click.pass_obj
def watch(
    run: Run, callback_ids: tuple[int, ...], *, answer_timeout: int, end_timeout: int
) -> ExitCode:
    """
    Follow callbacks until all have ended.

    With several IDs, exits with the highest of their individual exit codes.
    """
    check_has_callbacks(run.simulator)
    from tenios_ext import AsyncTenios

    run.output = make_output(run.stdout, as_json=run.as_json, several=True)
    ids = list(dict.fromkeys(callback_ids))
    tenios = AsyncTenios(**client_arguments(run.simulator))
    run.callback_ids = ids
    return asyncio.run(
        _watch(tenios, ids, run.output, answer_timeout=answer_timeout, end_timeout=end_timeout)
    )


async def _watch(
    tenios: AsyncTenios,
    ids: Sequence[int],
    output: Output,
    *,
    answer_timeout: int,
    end_timeout: int,
) -> ExitCode:
    codes = [ExitCode.OK]
    async with tenios:
        async for update in tenios.watch_many(
            ids, answer_timeout=answer_timeout, end_timeout=end_timeout
        ):
            if update.error is not None:
                output.error(update.error, update.outcome.handle.id)
                codes.append(code_of_error(update.error) or ExitCode.FAILED)
                continue
            output.status(update.outcome)
            if update.outcome.ended:
                output.outcome(update.outcome)
                codes.append(code_of_outcome(update.outcome))
    return max(codes)
