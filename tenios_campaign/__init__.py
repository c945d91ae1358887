"""
Campaigns: call a list of customers, a few at a time, and retry those who were not reached.

::

    from tenios_campaign import Campaign, Customer
    from tenios_ext import AsyncTenios
    from tenios_ext.ledger import Ledger

    with Ledger("sqlite:///campaign.db") as ledger:
        campaign = Campaign(ledger)
        campaign.add([Customer("order-4711", "+49 221 4710123")], attempts=3)
        campaign.set(max_active=5)
        async with AsyncTenios(ledger=ledger) as tenios:
            print(await campaign.run(tenios))

Needs the extra ``campaign``. To resume a run that was interrupted or killed, call
:meth:`Campaign.run` again. No attempt is made twice.
"""

from ._campaign import Campaign
from ._csv import CustomerFile, read_customers
from ._hours import OpeningHours
from ._models import (
    Added,
    CampaignEntry,
    CampaignState,
    CampaignSummary,
    Customer,
    InvalidRowsError,
    RowProblem,
    SameNumberError,
)

__all__ = [
    "Added",
    "Campaign",
    "CampaignEntry",
    "CampaignState",
    "CampaignSummary",
    "Customer",
    "CustomerFile",
    "InvalidRowsError",
    "OpeningHours",
    "RowProblem",
    "SameNumberError",
    "read_customers",
]
