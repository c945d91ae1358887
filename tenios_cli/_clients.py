"""
The arguments of the commands' clients, for TENIOS or for a simulator.

Here and in the commands, functions import the client, because shell completion and ``--help`` must
not wait for it.
"""

from __future__ import annotations

from typing import Any

import click

from ._errors import CommandError
from ._options import IN_PROCESS


def check_has_callbacks(simulator: str | None) -> None:
    """Raise UsageError for a new simulator, whose callbacks nobody can have started."""
    if simulator == IN_PROCESS:
        raise click.UsageError(
            "A simulator inside the command has no callbacks yet. Add the URL of the one that has "
            "yours: --simulator http://127.0.0.1:8311"
        )


def client_arguments(simulator: str | None, **settings: Any) -> dict[str, Any]:
    """
    Return the arguments of a client.

    Args:
        simulator: The value of ``--simulator``; None for TENIOS.
        settings: Other arguments; None to take one from the environment.
    """
    given = {name: value for name, value in settings.items() if value is not None}
    if simulator is None:
        return given
    from tenios_ext.shared import requires_extra

    with requires_extra("simulator", CommandError):
        from tenios_simulator import ACCESS_KEY, BASE_URL, CALLBACK_CONFIG_ID, Simulator
    arguments = {
        "access_key": ACCESS_KEY,
        "callback_config_id": CALLBACK_CONFIG_ID,
        "base_url": simulator,
        # TENIOS_LEDGER contains real callbacks. Those of a simulator may have the same ids.
        "ledger": False,
    }
    if simulator == IN_PROCESS:
        arguments |= {"base_url": BASE_URL, "transport": Simulator(real_time=True).transport}
    return {**arguments, **given}
