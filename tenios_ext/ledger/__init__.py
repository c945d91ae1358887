"""
Once per key: a ledger that keeps a callback from being started twice, whatever is repeated, pressed
twice or crashes.

::

    from tenios_ext import Tenios
    from tenios_ext.ledger import Ledger

    with Ledger("sqlite:///callbacks.db") as ledger, Tenios(ledger=ledger) as tenios:
        callback = tenios.start_callback("+49 221 4710123", key="order-4711")

Needs the extra ``ledger``. A ledger never contains the access key.
"""

from ._ledger import BlockedNumber, Ledger, LedgerEntry, LedgerState

__all__ = ["BlockedNumber", "Ledger", "LedgerEntry", "LedgerState"]
