"""Checks whether a number may be called, by its price and its country."""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING

import phonenumbers
from phonenumbers import PhoneNumberType

from ._plans import GLOBAL, Number, metadata_of, parse

if TYPE_CHECKING:
    from collections.abc import Collection

_HEAD = 3  # The number of digits that determine the kind of a number.
_SPECIAL = {
    PhoneNumberType.PREMIUM_RATE: "a premium-rate number",
    PhoneNumberType.SHARED_COST: "a shared-cost number",
    PhoneNumberType.PERSONAL_NUMBER: "a personal number",
    PhoneNumberType.PAGER: "a pager",
    PhoneNumberType.VOICEMAIL: "a voice mailbox",
    PhoneNumberType.UAN: "a number of a company or service, whose price is unknown",
}
# Regulators let these cost no more than geographic numbers: 058 in Switzerland, 03 in the United
# Kingdom and 010 in Sweden.
_ORDINARY_UAN = {41, 44, 46}


def check_price(number: Number, *, allow_special_numbers: bool) -> None:
    """Raise ValueError if a call may cost more than one to an ordinary number."""
    if allow_special_numbers:
        return
    if kind := _special_kind(number):
        raise ValueError(
            f"{number.e164} is {kind}. Special numbers are not called by default. To call them, "
            "use allow_special_numbers=True."
        )


def check_place(number: Number, allowed_regions: Collection[str] | None) -> None:
    """Raise ValueError if the number is not in one of the countries."""
    if allowed_regions is None:
        return
    region = phonenumbers.region_code_for_number(number.parsed)
    if region not in allowed_regions:
        place = f"a number in {region}" if region else "in no known country"
        allowed = ", ".join(sorted(allowed_regions)) or "none"
        raise ValueError(f"{number.e164} is {place}. The allowed regions are: {allowed}.")


def _special_kind(number: Number) -> str | None:
    parsed = number.parsed
    if phonenumbers.region_code_for_country_code(parsed.country_code or 0) == GLOBAL:
        return "a satellite or other global service"
    kind = phonenumbers.number_type(parsed)
    if kind == PhoneNumberType.UAN and parsed.country_code in _ORDINARY_UAN:
        return None
    if kind != PhoneNumberType.UNKNOWN:
        return _SPECIAL.get(kind)
    return _kind_nearby(parsed.country_code or 0, number.national[:_HEAD])


@lru_cache(1000)
def _kind_nearby(country_code: int, head: str) -> str | None:
    """Return the special kind of similar numbers, for a number in no known range."""
    metadata = metadata_of(country_code)
    desc = metadata.general_desc if metadata else None
    for begin in (head, head[:-1]):
        for length, digit in product(desc.possible_length if desc else (), "0123456789"):
            parsed = parse(f"+{country_code}{begin.ljust(length, digit)}")
            if parsed and (kind := _SPECIAL.get(phonenumbers.number_type(parsed))):
                return kind
    return None
