"""
Campaigns: call the customers of a list back, a few at a time, each as often as you say and no
attempt twice.

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

Needs the extra ``campaign``. A run that was interrupted or killed is resumed by calling
:meth:`Campaign.run` again.
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
