"""
TENIOS on the desk: a telephone exchange that follows the contract, without an account, a telephone or the internet.

::

    from tenios_ext.simulator import Journey, Simulator

    simulator = Simulator(journey=Journey.customer_fails())
    with simulator.client() as tenios:
        assert tenios.start_callback("+49 221 4710123").wait().failed_party == "customer"

In process time is virtual: sleeping takes no time, and the ten minutes of a call are over at once. ``tenios simulate`` serves the
same exchange over HTTP in real time. Both need the extra ``simulator``.
"""

from .exchange import Exchange
from .journey import Journey
from .simulator import ACCESS_KEY, CALLBACK_CONFIG_ID, Simulator
from .virtual_clock import VirtualClock

__all__ = ["ACCESS_KEY", "CALLBACK_CONFIG_ID", "Exchange", "Journey", "Simulator", "VirtualClock"]
