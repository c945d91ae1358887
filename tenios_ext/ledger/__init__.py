"""
Once per key: a ledger that starts one callback per key, even if the call is repeated, made twice at
once, or interrupted by a crash.

::

    from tenios_ext import Tenios
    from tenios_ext.ledger import Ledger

    with Ledger("sqlite:///callbacks.db") as ledger, Tenios(ledger=ledger) as tenios:
        callback = tenios.start_callback("+49 221 4710123", key="order-4711")

Requires the extra ``ledger``. A ledger never contains the access key.
"""

from ._ledger import BlockedNumber, Ledger, LedgerEntry, LedgerState

__all__ = ["BlockedNumber", "Ledger", "LedgerEntry", "LedgerState"]
