"""What the numbering plans of libphonenumber say. Loads their tables."""

from __future__ import annotations

import re

import phonenumbers
from attrs import frozen
from phonenumbers import PhoneNumber, PhoneNumberFormat

GLOBAL = "001"  # libphonenumber's region of numbers that belong to no country


@frozen
class Number:
    """
    A number that was read.

    Attributes:
        parsed: What libphonenumber makes of it.
        national: The digits after the country code, which is also where the gaps count from.
        start: The number of written digits before those; None if they are not written in one piece.
        prefixes: The positions, counted from *national*, where a prefix ends.
    """

    parsed: PhoneNumber
    national: str
    start: int | None
    prefixes: frozenset[int]

    @property
    def e164(self) -> str:
        """The number as TENIOS expects it."""
        return f"+{self.parsed.country_code}{self.national}"

    @property
    def is_valid(self) -> bool:
        """Whether it is in a range that is in use."""
        return phonenumbers.is_valid_number(self.parsed)

    @property
    def area_length(self) -> int:
        """The length of the area code; 0 if there is none."""
        return phonenumbers.length_of_geographical_area_code(self.parsed)

    def area_ends(self) -> range:
        """Return the positions where the area code, or the code of a mobile network, may end."""
        if self.area_length:
            return range(self.area_length, self.area_length + 1)
        length = phonenumbers.length_of_national_destination_code(self.parsed)
        return range(min(2, length), length + 1)


def parse(text: str, region: str | None = None) -> PhoneNumber | None:
    try:
        return phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None


def is_valid(text: str, region: str | None = None) -> bool:
    parsed = parse(text, region)
    return parsed is not None and phonenumbers.is_valid_number(parsed)


def format_e164(parsed: PhoneNumber) -> str:
    return phonenumbers.format_number(parsed, PhoneNumberFormat.E164)


def metadata_of(country_code: int) -> phonenumbers.PhoneMetadata | None:
    region = phonenumbers.region_code_for_country_code(country_code)
    if region == GLOBAL:
        return phonenumbers.PhoneMetadata.metadata_for_nongeo_region(country_code)
    return phonenumbers.PhoneMetadata.metadata_for_region(region)


def trunk_prefix(country_code: int) -> str:
    """Return what a country's numbers begin with if they are dialled within it."""
    metadata = metadata_of(country_code)
    return (metadata.national_prefix if metadata else None) or ""


def groups_of(text: str) -> list[str]:
    return re.findall("[0-9]+", text)


def is_national(parsed: PhoneNumber, digits: str, region: str) -> bool:
    """Return whether the region's people write a valid number with these digits."""
    usual = phonenumbers.format_number(parsed, PhoneNumberFormat.NATIONAL)
    trunk = trunk_prefix(phonenumbers.country_code_for_region(region))
    national = phonenumbers.national_significant_number(parsed)
    forms = {"".join(groups_of(usual)), trunk + national}
    return phonenumbers.is_valid_number(parsed) and digits in forms
