"""
TENIOS on the desk: a telephone exchange that follows the contract, without an account, a telephone or the internet.

::

    from tenios_ext.simulator import Journey, Simulator, faults

    simulator = Simulator(journey=Journey.customer_does_not_answer())
    with simulator.client() as tenios:
        assert tenios.start_callback("+49 221 4710123").wait().failed_party == "customer"

    simulator.inject(faults.Drop(), on="init")  # the next dial is taken, and its answer lost

In process time is virtual: sleeping takes no time, and the ten minutes of a call are over at once. ``tenios simulate`` serves the
same exchange over HTTP in real time. Both need the extra ``simulator``. In pytest, the fixtures ``tenios_simulator``, ``tenios``
and ``async_tenios`` bring it.
"""

from . import faults
from .exchange import ImpossibleMoveError, SimulatedCallback, UnknownCallbackError
from .journey import Journey, Move
from .magic import MAGIC_NUMBERS, MagicNumber
from .record import Asked
from .simulator import ACCESS_KEY, BASE_URL, CALLBACK_CONFIG_ID, Simulator
from .virtual_clock import VirtualClock

__all__ = [
    "ACCESS_KEY",
    "BASE_URL",
    "CALLBACK_CONFIG_ID",
    "MAGIC_NUMBERS",
    "Asked",
    "ImpossibleMoveError",
    "Journey",
    "MagicNumber",
    "Move",
    "SimulatedCallback",
    "Simulator",
    "UnknownCallbackError",
    "VirtualClock",
    "faults",
]
