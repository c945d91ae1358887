"""Access to libphonenumber's numbering plans. Importing it loads their tables."""

from __future__ import annotations

import re

import phonenumbers
from attrs import frozen
from phonenumbers import PhoneNumber, PhoneNumberFormat

GLOBAL = "001"  # libphonenumber's region of numbers without a country


@frozen
class Number:
    """
    A phone number.

    Attributes:
        parsed: libphonenumber's result.
        national: The digits after the country code.
        start: The position of *national* in the written digits; None if it is not contiguous there.
        prefixes: The ends of prefixes, as positions relative to *national*.
    """

    parsed: PhoneNumber
    national: str
    start: int | None
    prefixes: frozenset[int]

    @property
    def e164(self) -> str:
        return f"+{self.parsed.country_code}{self.national}"

    @property
    def is_valid(self) -> bool:
        """Whether the number is in a range that is in use."""
        return phonenumbers.is_valid_number(self.parsed)

    @property
    def area_length(self) -> int:
        """The length of the area code; 0 if there is none."""
        return phonenumbers.length_of_geographical_area_code(self.parsed)

    def area_ends(self) -> range:
        """Return the positions where an area code or mobile network code may end."""
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
    """Return the prefix of numbers that are dialled within a country, such as 0."""
    metadata = metadata_of(country_code)
    return (metadata.national_prefix if metadata else None) or ""


def has_usual_length(parsed: PhoneNumber) -> bool:
    """Return whether the number is as long as libphonenumber's example of its kind."""
    region = phonenumbers.region_code_for_number(parsed) or ""
    example = phonenumbers.example_number_for_type(region, phonenumbers.number_type(parsed))
    return example is not None and len(format_e164(example)) == len(format_e164(parsed))


def groups_of(text: str) -> list[str]:
    return re.findall("[0-9]+", text)


def is_national(parsed: PhoneNumber, digits: str, region: str) -> bool:
    """Return whether a valid number is written with these digits in the region."""
    usual = phonenumbers.format_number(parsed, PhoneNumberFormat.NATIONAL)
    trunk = trunk_prefix(phonenumbers.country_code_for_region(region))
    national = phonenumbers.national_significant_number(parsed)
    forms = {"".join(groups_of(usual)), trunk + national}
    return phonenumbers.is_valid_number(parsed) and digits in forms
