"""``tenios call``."""

from __future__ import annotations

import sys
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING

import click

from tenios_cli._clients import client_arguments
from tenios_cli._exit_codes import SEE_EXIT_CODES, code_of_outcome
from tenios_cli._options import (
    client_options,
    exit_timeout_options,
    ledger_option,
    number_options,
    time_option,
    yes_option,
)
from tenios_cli._output import make_output

if TYPE_CHECKING:
    from tenios_cli._exit_codes import ExitCode
    from tenios_cli._run import Run
    from tenios_ext import AsyncTenios, Tenios


@click.command(epilog=SEE_EXIT_CODES)
@click.argument("number")
@time_option("--delay", "Time before TENIOS calls the agent, such as 30s or 5m.", default="0")
@click.option("--agent-announcement", metavar="TEXT", help="Read TEXT to the agent first.")
@click.option(
    "--dtmf-key",
    metavar="KEY",
    help="Call the customer only after the agent has pressed KEY (0 to 9, * or #).",
)
@number_options
@click.option(
    "--key",
    metavar="KEY",
    help="Start at most one callback for KEY, however often you run the command. Needs a ledger.",
)
@ledger_option
@click.option(
    "--one-call-per-number",
    is_flag=True,
    help="Refuse to call while a callback to NUMBER with another key may be in progress.",
)
@click.option(
    "--no-wait",
    is_flag=True,
    help="Exit after the start. Follow the callback with `tenios watch ID`.",
)
@yes_option
@exit_timeout_options
@client_options
@click.pass_obj
def call(
    run: Run,
    number: str,
    *,
    delay: int,
    agent_announcement: str | None,
    dtmf_key: str | None,
    region: str | None,
    allowed_regions: list[str] | None,
    allow_special_numbers: bool,
    key: str | None,
    ledger: str | None,
    one_call_per_number: bool,
    no_wait: bool,
    yes: bool,
    answer_timeout: int,
    end_timeout: int,
) -> ExitCode | None:
    """
    Start a callback to NUMBER and follow it.

    TENIOS calls the agent, then NUMBER, and connects them. Write NUMBER in any usual spelling.
    """
    if one_call_per_number and key is None:
        raise click.UsageError("--one-call-per-number needs --key.")
    from tenios_ext import Tenios
    from tenios_ext.ledger import Ledger

    run.output = output = make_output(run.stdout, as_json=run.as_json)
    if not no_wait and not run.as_json and run.stdout.isatty():
        with suppress(Exception):  # rich is not installed, or the terminal cannot redraw
            from tenios_cli._live import LiveOutput

            run.output = output = LiveOutput(run.stdout)
    with (
        Ledger(ledger) if ledger else nullcontext() as opened,
        Tenios(
            **client_arguments(
                run.simulator,
                ledger=opened,
                region=region,
                allowed_regions=allowed_regions,
                allow_special_numbers=allow_special_numbers or None,
                one_call_per_number=one_call_per_number or None,
            )
        ) as tenios,
    ):
        e164 = _to_e164(number, tenios)
        if not yes and not run.as_json and rings_real_phones(tenios) and is_at_terminal():
            _confirm(e164)
        run.is_calling = True
        callback = tenios.start_callback(
            e164, delay=delay, agent_announcement=agent_announcement, dtmf_key=dtmf_key, key=key
        )
        run.started(callback.id)
        output.started(callback, e164)
        if no_wait:
            return None
        for _ in callback.watch(answer_timeout=answer_timeout, end_timeout=end_timeout):
            output.status(callback.outcome)
        output.outcome(callback.outcome)
        return code_of_outcome(callback.outcome)


def _to_e164(number: str, tenios: Tenios) -> str:
    from tenios_ext import InvalidNumberError, to_e164

    settings = tenios.settings
    try:
        return to_e164(
            number,
            region=settings.region,
            allowed_regions=settings.allowed_regions,
            allow_special_numbers=settings.allow_special_numbers,
        )
    except ValueError as error:
        raise InvalidNumberError(str(error)) from None


def _confirm(e164: str) -> None:
    import phonenumbers
    from phonenumbers.geocoder import country_name_for_number  # takes half a second

    number = phonenumbers.parse(e164)
    country = country_name_for_number(number, "en") or "no single country"
    spelling = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
    click.confirm(
        f"This will ring real phones: your agent's, then {spelling} ({country}). Continue?",
        abort=True,
    )


def rings_real_phones(tenios: Tenios | AsyncTenios) -> bool:
    """Return whether a client uses TENIOS, not a simulator."""
    # Plain HTTP is allowed for this machine and TENIOS_INSECURE_HOSTS only, never for TENIOS.
    return tenios.settings.base_url.startswith("https://")


def is_at_terminal() -> bool:
    """Return whether the command can ask for confirmation."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()
