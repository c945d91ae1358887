"""
A simulator of the TENIOS Callback API, for tests and demos without an account or a network.

::

    from tenios_simulator import Scenario, Simulator, faults

    simulator = Simulator(scenario=Scenario.customer_no_answer())
    with simulator.client() as tenios:
        assert tenios.start_callback("+49 221 4710123").wait().failed_party == "customer"

    # The next callback is started, but the response is lost.
    simulator.inject(faults.Drop(), on="init")

Time is virtual by default, so a call of ten minutes ends at once. ``Simulator(real_time=True)``
uses the system's clock instead. ``tenios simulate`` serves the simulator over HTTP. In pytest, use
the fixtures ``tenios_simulator``, ``tenios`` and ``async_tenios``. The package needs the extra
``simulator``.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import faults
    from ._clocks import ScaledClock, VirtualClock
    from ._engine import ImpossibleActionError, SimulatedCallback, UnknownCallbackError
    from ._magic_numbers import MAGIC_NUMBERS, MagicNumber
    from ._request_log import RecordedRequest
    from ._response import Response
    from ._simulator import ACCESS_KEY, BASE_URL, CALLBACK_CONFIG_ID, ClientSettings, Simulator
    from ._transport import InProcessTransport
    from .faults import Fault, Injection, Operation
    from .scenario import Action, Ending, Leg, Scenario
    from .server import Server

__all__ = [
    "ACCESS_KEY",
    "BASE_URL",
    "CALLBACK_CONFIG_ID",
    "MAGIC_NUMBERS",
    "Action",
    "ClientSettings",
    "Ending",
    "Fault",
    "ImpossibleActionError",
    "InProcessTransport",
    "Injection",
    "Leg",
    "MagicNumber",
    "Operation",
    "RecordedRequest",
    "Response",
    "ScaledClock",
    "Scenario",
    "Server",
    "SimulatedCallback",
    "Simulator",
    "UnknownCallbackError",
    "VirtualClock",
    "faults",
]

# Everything is imported on first use (PEP 562), because pytest loads the plugin in this package
# wherever the distribution is installed, even without the extra.
_MODULES = {
    "._clocks": ["ScaledClock", "VirtualClock"],
    "._engine": ["ImpossibleActionError", "SimulatedCallback", "UnknownCallbackError"],
    "._magic_numbers": ["MAGIC_NUMBERS", "MagicNumber"],
    "._request_log": ["RecordedRequest"],
    "._response": ["Response"],
    "._simulator": ["ACCESS_KEY", "BASE_URL", "CALLBACK_CONFIG_ID", "ClientSettings", "Simulator"],
    "._transport": ["InProcessTransport"],
    ".faults": ["Fault", "Injection", "Operation"],
    ".scenario": ["Action", "Ending", "Leg", "Scenario"],
    ".server": ["Server"],
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    if name == "faults":
        return import_module(".faults", __name__)
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from tenios_ext.shared import requires_extra  # imports the client

    with requires_extra("simulator"):
        return getattr(import_module(_MODULE_OF[name], __name__), name)
