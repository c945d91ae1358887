"""The other campaign commands: limits, status, and changes of customers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tenios_cli._campaign_output import CampaignJson, CampaignLines
from tenios_cli._options import json_option, older_than_option
from tenios_cli._output import one_line

from ._shared import campaign, campaign_options, limit_options, limits_of, open_campaign

if TYPE_CHECKING:
    from tenios_campaign import CampaignSummary
    from tenios_cli._run import Run

_RETRIED = ("rejected", "customer_failed", "agent_failed", "cancelled")


@campaign.command("set")
@campaign_options(*limit_options)
def set_limits(*, url: str, name: str, **limits: Any) -> None:
    """
    Change the limits of a campaign, also during a run.

    Limits that are not given stay.
    """
    with open_campaign(url, name) as opened:
        opened.set(**limits_of(**limits, known=opened.summary().hours))
        click.echo(_describe_limits(opened.summary()))


def _describe_limits(summary: CampaignSummary) -> str:
    texts = [f"at most {summary.max_active} at a time" if summary.max_active else ""]
    rate = summary.max_starts_per_minute
    texts += [f"{rate:g} per minute" if rate else ""]
    if hours := summary.hours:
        texts.append(f"{hours.between} ({hours.zone})")
        texts += [f"not on holidays in {hours.holidays}" if hours.holidays else ""]
    return f"Limits: {', '.join(filter(None, texts)) or 'none'}."


@campaign.command()
@campaign_options(json_option)
@click.pass_obj
def status(run: Run, *, url: str, name: str) -> None:
    """Print the number of customers in each state, and the limits."""
    with open_campaign(url, name) as opened:
        summary = opened.summary()
    (CampaignJson(run.stdout) if run.as_json else CampaignLines()).summary(summary)
    if not run.as_json and summary.max_active:
        click.echo(_describe_limits(summary))


@campaign.command()
@campaign_options()
def pause(*, url: str, name: str) -> None:
    """Stop new callbacks in all processes until `campaign resume`."""
    with open_campaign(url, name) as opened:
        opened.pause()
    click.echo("Paused. Callbacks in progress continue.")


@campaign.command()
@campaign_options()
def resume(*, url: str, name: str) -> None:
    """Start callbacks again after `campaign pause`."""
    with open_campaign(url, name) as opened:
        opened.resume()
    click.echo("Resumed.")


@campaign.command()
@click.argument("key")
@campaign_options()
def cancel(key: str, *, url: str, name: str) -> None:
    """Cancel the customer with this KEY, who must be waiting."""
    with open_campaign(url, name) as opened:
        opened.cancel(key)
    click.echo(f"Cancelled {one_line(key)}.")


@campaign.command()
@click.argument("keys", nargs=-1)
@campaign_options(
    click.option(
        "--state",
        type=click.Choice(_RETRIED),
        metavar="STATE",
        help=f"Also retry all customers in this state: {', '.join(_RETRIED)}.",
    )
)
def retry(keys: tuple[str, ...], *, url: str, name: str, state: Any) -> None:
    """
    Retry customers who were rejected, cancelled or not reached.

    Each of them gets at least one more attempt. Customers with an unknown outcome need `tenios
    ledger resolve` instead.
    """
    if not keys and state is None:
        raise click.UsageError("Pass KEYS or --state.")
    with open_campaign(url, name) as opened:
        count = opened.retry(*keys, state=state)
    click.echo(f"{'1 customer' if count == 1 else f'{count} customers'} will be called again.")


@campaign.command()
@campaign_options(older_than_option("customers"))
def forget(*, url: str, name: str, older_than: Any) -> None:
    """
    Erase the numbers and other data of old customers.

    Customers who are still waiting are cancelled. Keys and states stay, so that no customer is
    called again by accident.
    """
    with open_campaign(url, name) as opened:
        count = opened.forget(older_than=older_than)
    click.echo(f"Erased the data of {'1 customer' if count == 1 else f'{count} customers'}.")
