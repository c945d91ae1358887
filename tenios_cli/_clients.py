"""
The clients of the commands, for TENIOS or for a simulator.

Here and in the commands, functions import the client, because shell completion and ``--help`` must
not wait for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._errors import CommandError
from ._options import IN_PROCESS

if TYPE_CHECKING:
    from tenios_ext import AsyncTenios, Tenios
    from tenios_ext.ledger import Ledger


def make_client(simulator: str | None, *, ledger: Ledger | None = None, **settings: Any) -> Tenios:
    """
    Return a client. Raises ConfigurationError if a setting is missing or invalid.

    Args:
        simulator: The value of ``--simulator``; None for TENIOS.
        ledger: The ledger of ``--ledger``; None to take it from the environment.
        settings: Other arguments; None to take one from the environment.
    """
    from tenios_ext import Tenios

    arguments = client_arguments(simulator)
    if ledger is not None:
        arguments["ledger"] = ledger
    return Tenios(**settings, **arguments)


def make_async_client(simulator: str | None, **settings: Any) -> AsyncTenios:
    """Return a client for asyncio; see :func:`make_client`."""
    from tenios_ext import AsyncTenios

    return AsyncTenios(**{**client_arguments(simulator), **settings})


def client_arguments(simulator: str | None) -> dict[str, Any]:
    """Return the arguments of a client for the simulator; none for TENIOS."""
    if simulator is None:
        return {}
    from tenios_ext.shared import requires_extra

    with requires_extra("simulator", CommandError):
        from tenios_simulator import ACCESS_KEY, BASE_URL, CALLBACK_CONFIG_ID, Simulator
    arguments = {
        "access_key": ACCESS_KEY,
        "callback_config_id": CALLBACK_CONFIG_ID,
        "base_url": BASE_URL if simulator == IN_PROCESS else simulator,
        # TENIOS_LEDGER contains real callbacks. Those of a simulator may have the same ids.
        "ledger": False,
    }
    if simulator != IN_PROCESS:
        return arguments
    return {**arguments, "transport": Simulator(real_time=True).transport}
