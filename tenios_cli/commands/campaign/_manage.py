"""The other commands: the limits of a campaign, its state, and what becomes of its customers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tenios_cli._campaign_output import CampaignJson, CampaignLines
from tenios_cli._options import days, json_option
from tenios_cli._output import one_line

from ._shared import campaign, campaign_options, limit_options, limits_of, open_campaign

if TYPE_CHECKING:
    from tenios_campaign import CampaignSummary
    from tenios_cli._run import Run

_RETRIED = ("rejected", "customer_failed", "agent_failed", "cancelled")


@campaign.command("set")
@campaign_options(*limit_options)
def set_limits(*, url: str, name: str, **limits: Any) -> None:
    """Change the campaign's limits, for all processes and at once."""
    with open_campaign(url, name) as opened:
        opened.set(**limits_of(**limits))
        click.echo(_describe_limits(opened.summary()))


def _describe_limits(summary: CampaignSummary) -> str:
    texts = [f"at most {summary.max_active} at a time" if summary.max_active else ""]
    rate = summary.max_starts_per_minute
    texts += [f"{rate:g} starts per minute" if rate else ""]
    if hours := summary.hours:
        texts.append(f"{hours.between} ({hours.zone})")
        texts += [f"not on holidays of {hours.holidays}" if hours.holidays else ""]
    return f"Limits: {', '.join(filter(None, texts)) or 'none'}."


@campaign.command()
@campaign_options(json_option)
@click.pass_obj
def status(run: Run, *, url: str, name: str, as_json: bool) -> None:
    """Print how many customers are in each state, and the limits."""
    with open_campaign(url, name) as opened:
        summary = opened.summary()
    (CampaignJson(run.stdout) if as_json else CampaignLines()).summary(summary)
    if not as_json and summary.max_active:
        click.echo(_describe_limits(summary))


@campaign.command()
@campaign_options()
def pause(*, url: str, name: str) -> None:
    """Start no more callbacks, in any process, until `tenios campaign resume`."""
    with open_campaign(url, name) as opened:
        opened.pause()
    click.echo("Paused. Callbacks that are running continue.")


@campaign.command()
@campaign_options()
def resume(*, url: str, name: str) -> None:
    """Start callbacks again after `tenios campaign pause`."""
    with open_campaign(url, name) as opened:
        opened.resume()
    click.echo("Resumed.")


@campaign.command()
@click.argument("key")
@campaign_options()
def cancel(key: str, *, url: str, name: str) -> None:
    """Do not call the customer with this KEY, who must be waiting."""
    with open_campaign(url, name) as opened:
        opened.cancel(key)
    click.echo(f"{one_line(key)} will not be called.")


@campaign.command()
@click.argument("keys", nargs=-1)
@campaign_options(
    click.option(
        "--state",
        type=click.Choice(_RETRIED),
        metavar="STATE",
        help=f"Put all customers in this state back: {', '.join(_RETRIED)}.",
    )
)
def retry(keys: tuple[str, ...], *, url: str, name: str, state: Any) -> None:
    """
    Put customers back, for at least one more attempt each.

    Those whose outcome is unknown must be resolved first: `tenios ledger resolve`.
    """
    if not keys and state is None:
        raise click.UsageError("Name KEYS or a --state.")
    with open_campaign(url, name) as opened:
        count = opened.retry(*keys, state=state)
    click.echo(f"Put {'1 customer' if count == 1 else f'{count} customers'} back.")


@campaign.command()
@campaign_options(
    click.option(
        "--older-than",
        type=days,
        required=True,
        metavar="DAYS",
        help="Forget customers that have not changed for this number of days: 90d.",
    )
)
def forget(*, url: str, name: str, older_than: Any) -> None:
    """
    Erase the numbers and other data of old customers, also of those who wait.

    Their keys and states stay, here and in the ledger, so that none is called again by accident.
    """
    with open_campaign(url, name) as opened:
        count = opened.forget(older_than=older_than)
    click.echo(f"Forgot {'1 customer' if count == 1 else f'{count} customers'}.")
