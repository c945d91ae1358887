"""The clients that the commands use: of TENIOS, or of a simulator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from . import report

if TYPE_CHECKING:
    from ..client import AsyncTenios, Tenios

IN_PROCESS = "in process"


def client(simulator: str | None, region: str | None = None) -> Tenios:
    """A client of TENIOS, or of the simulator at a URL or in this process."""
    from ..client import Tenios  # noqa: PLC0415 - `tenios --help` does not wait for the HTTP library

    return Tenios(region=region, **_where(simulator))


def async_client(simulator: str | None) -> AsyncTenios:
    """The same for asyncio."""
    from ..client import AsyncTenios  # noqa: PLC0415 - as above

    return AsyncTenios(**_where(simulator))


def the_simulator() -> Any:  # noqa: ANN401 - a module
    """The simulator's package; ends the command where its extra is not installed."""
    try:
        from .. import simulator  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        click.echo(
            f"The simulator needs {error.name}, which is in an extra: pip install 'tenios-callback[simulator]'",
            err=True,
        )
        raise SystemExit(report.FAILED) from None
    return simulator


def _where(simulator: str | None) -> dict[str, Any]:
    """The arguments that lead a client to the simulator; none for TENIOS."""
    if simulator is None:
        return {}
    module = the_simulator()
    settings = {"access_key": module.ACCESS_KEY, "callback_config_id": module.CALLBACK_CONFIG_ID}
    if simulator != IN_PROCESS:
        return {**settings, "base_url": simulator}
    from ..clock import SYSTEM_CLOCK  # noqa: PLC0415 - as above

    transport = module.Simulator(clock=SYSTEM_CLOCK).transport
    return {**settings, "base_url": module.BASE_URL, "transport": transport}
