"""
Asks for confirmation before real phones ring.

Imported only then, because loading the names of countries takes half a second.
"""

from __future__ import annotations

import click
import phonenumbers
from phonenumbers.geocoder import country_name_for_number


def confirm(e164: str) -> None:
    """Ask whether to call the agent and then *e164*, and end the command after a no."""
    number = phonenumbers.parse(e164)
    country = country_name_for_number(number, "en") or "no single country"
    spelling = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
    click.confirm(
        f"This will ring real phones: your agent's, then {spelling} ({country}). Continue?",
        abort=True,
    )
