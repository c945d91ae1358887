"""
What a written number means by the numbering plans of libphonenumber. Imported when first needed,
since it loads their tables.

The digits alone say who is called; the groups must not contradict them. Each check refuses, and
none completes or corrects a number.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

import phonenumbers
from attrs import frozen
from phonenumbers import PhoneNumber, PhoneNumberFormat, PhoneNumberType

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from ._phone import Written

_E164 = r"\+[1-9][0-9]{6,14}"  # as in the contract
_COUNTRY_HINT = (
    "Write it with its country code, such as '+49 221 4710123', or set the region it is written "
    "for: region='DE' (or TENIOS_REGION=DE)."
)
_GLOBAL = "001"  # libphonenumber's region of numbers that belong to no country
# The most digits after the country code. libphonenumber has up to 15 for plans whose numbers vary in
# length, of which two need less: Germany by its regulator, and Luxembourg, where the numbers of its
# neighbours would fit.
_LONGEST, _LONGEST_BY_CODE = 12, {49: 11, 352: 9}
# So many digits begin with a country code more often than not.
_WITH_COUNTRY_CODE = 11
# Shorter numbers may just begin with the digits of their country code: +49 4921 is Emden.
_WHOLE_NUMBER = 9
_MIN_NUMBER = 5
# The groups after an area code, in digits.
_MIN_GROUP, _MAX_GROUP, _MAX_FIRST_GROUP, _LONG_GROUP = 2, 4, 5, 6
_MAX_AREA = 5
_MAX_EXTENSION = 5
_ENDING = 3
_NEIGHBOURS = 9
_SPECIAL = {
    PhoneNumberType.PREMIUM_RATE: "a premium-rate number",
    PhoneNumberType.SHARED_COST: "a shared-cost number",
    PhoneNumberType.PERSONAL_NUMBER: "a personal number, whose price is not known",
    PhoneNumberType.PAGER: "a pager",
    PhoneNumberType.VOICEMAIL: "a voice mailbox",
}


@frozen
class Number:
    """
    A number that was read.

    Attributes:
        parsed: What libphonenumber makes of it.
        national: The digits after the country code, which is also where the gaps count from.
        start: The number of written digits before those; None if they are not written in one piece.
        prefixes: The positions before *national*, counted from it, where a prefix ends.
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


def read(written: Written, region: str | None) -> Number:
    """Return the number that *written* means. Raises ValueError unless there is exactly one."""
    given, digits = written.given, written.digits
    prefix = "" if written.has_plus else _international_prefix(digits, region)
    if written.has_plus or prefix:
        number = _international(written, len(prefix))
    elif not digits:
        raise ValueError(f"{given} is not a phone number.")
    elif region is None:
        raise ValueError(f"{given} has no country code. {_COUNTRY_HINT}")
    else:
        number = _national(written, region)
    _check_code_repeated(number, given)
    _check_length(number, given)
    if written.gaps:
        _check_gaps(number, written)
    return number


def check_price(number: Number, *, allow_special_numbers: bool) -> None:
    """Raise ValueError if a call may cost more than one to an ordinary number."""
    if allow_special_numbers:
        return
    if kind := _special_kind(number):
        raise ValueError(
            f"{number.e164} is {kind}, and such numbers are not called unless you allow it: "
            "allow_special_numbers=True."
        )


def check_place(number: Number, allowed_regions: Collection[str] | None) -> None:
    """Raise ValueError if the number is not in one of the countries."""
    if allowed_regions is None:
        return
    region = phonenumbers.region_code_for_number(number.parsed)
    if region not in allowed_regions:
        place = f"a number in {region}" if region else "in no country that is known"
        allowed = ", ".join(sorted(allowed_regions)) or "none"
        raise ValueError(f"{number.e164} is {place}. The allowed regions are: {allowed}.")


def _special_kind(number: Number) -> str | None:
    parsed = number.parsed
    if phonenumbers.region_code_for_country_code(parsed.country_code or 0) == _GLOBAL:
        return "a satellite or other global service"
    kind = phonenumbers.number_type(parsed)
    if kind != PhoneNumberType.UNKNOWN:
        return _SPECIAL.get(kind)
    return next(filter(None, map(_SPECIAL.get, _types_nearby(parsed, number.national))), None)


def _types_nearby(parsed: PhoneNumber, national: str) -> Iterator[int]:
    """Yield the types of numbers that begin alike, for one that is in no range that is in use."""
    region = phonenumbers.region_code_for_country_code(parsed.country_code or 0)
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region)
    desc = metadata.general_desc if metadata else None
    lengths = desc.possible_length if desc else ()
    for head in (national[:3], national[:2]):
        for length in lengths:
            for digit in "0123456789":
                padded = f"+{parsed.country_code}{head.ljust(length, digit)}"
                yield phonenumbers.number_type(_parse(padded) or parsed)


def _parse(text: str, region: str | None = None) -> PhoneNumber | None:
    try:
        return phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None


def _international_prefix(digits: str, region: str | None) -> str:
    """Return what *digits* begin with if that dials out of the region's country, such as 00."""
    if region is None:
        # 00 is the prefix of most countries and begins no national number.
        return "00" if digits.startswith("00") else ""
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region)
    if metadata is None:
        return ""
    pattern = metadata.international_prefix or ""
    # Where a carrier is part of the prefix, 00 and the next digits could be read in two ways.
    usual = {metadata.preferred_international_prefix, "00", "011", "0011", "010", "810"}
    known = [
        each
        for each in usual
        if each and each.isdecimal() and digits.startswith(each) and re.fullmatch(pattern, each)
    ]
    return max(known, key=len, default="")


def _trunk_prefix(country_code: int) -> str:
    """Return what a country's numbers begin with if they are dialled within it."""
    region = phonenumbers.region_code_for_country_code(country_code)
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region)
    return (metadata.national_prefix if metadata else None) or ""


def _international(written: Written, skipped: int) -> Number:
    given, digits = written.given, written.digits[skipped:]
    parsed = _parse(f"+{digits}")
    if parsed is None:
        raise ValueError(f"{given} is not a phone number: it begins with no known country code.")
    code = str(parsed.country_code)
    national = phonenumbers.national_significant_number(parsed)
    trunk = digits[len(code) : len(digits) - len(national)]
    _check_dialable(parsed, given)
    # Only a 0 may be kept, as in +49 (0)221: other digits might be part of another number.
    if code + trunk + national != digits or (
        trunk and not trunk == _trunk_prefix(parsed.country_code or 0) == "0"
    ):
        raise ValueError(
            f"{given} is not a phone number: after +{code}, it is not written as the numbers of "
            "that country are."
        )
    is_optional = _has_optional_zero(written, skipped + len(code))
    if is_optional and not trunk and _is_valid(f"+{code}{national[1:]}"):
        raise ValueError(
            f"{given} can be read in two ways. Write '+{code}{national}' or "
            f"'+{code}{national[1:]}'."
        )
    number = Number(
        parsed,
        national,
        start=len(written.digits) - len(national),
        prefixes=frozenset({0, -len(trunk), -len(code + trunk)}),
    )
    if (trunk or is_optional) and not number.is_valid:
        raise ValueError(f"{given} is not a valid phone number: no number in use is like that.")
    return number


def _national(written: Written, region: str) -> Number:
    given, digits = written.given, written.digits
    parsed = _parse(digits, region)
    if parsed is None:
        raise ValueError(f"{given} is not a phone number.")
    national = phonenumbers.national_significant_number(parsed)
    _check_dialable(parsed, given)
    other = _parse(f"+{digits}")
    if other is not None and not phonenumbers.is_valid_number(other):
        other = None
    if not _is_national(parsed, digits, region) or _may_lack_plus(written, parsed, other):
        raise ValueError(f"{given} {_why_not_national(digits, region, other)}")
    start = len(digits) - len(national) if digits.endswith(national) else None
    return Number(parsed, national, start, frozenset({0}))


def _is_national(parsed: PhoneNumber, digits: str, region: str) -> bool:
    """Return whether the region's people write a valid number with these digits."""
    usual = phonenumbers.format_number(parsed, PhoneNumberFormat.NATIONAL)
    trunk = _trunk_prefix(phonenumbers.country_code_for_region(region))
    national = phonenumbers.national_significant_number(parsed)
    forms = {"".join(_groups_of(usual)), trunk + national}
    return phonenumbers.is_valid_number(parsed) and digits in forms


def _groups_of(text: str) -> list[str]:
    return re.findall("[0-9]+", text)


def _written_groups(written: Written) -> list[str]:
    bounds = [0, *(gap.position for gap in written.gaps), len(written.digits)]
    return [written.digits[begin:end] for begin, end in pairwise(bounds)]


def _may_lack_plus(written: Written, parsed: PhoneNumber, other: PhoneNumber | None) -> bool:
    """Return whether a national number may as well be the *other* one, without its plus sign."""
    digits = written.digits
    if other is None or _e164(other) == _e164(parsed):
        return False
    if other.country_code == parsed.country_code:
        return True
    trunk = _trunk_prefix(parsed.country_code or 0)
    if trunk and digits.startswith(trunk):
        return False
    bounds = [gap.position for gap in written.gaps]
    if not bounds:
        return len(digits) >= _WITH_COUNTRY_CODE
    usual = phonenumbers.format_number(parsed, PhoneNumberFormat.NATIONAL)
    return len(str(other.country_code)) in bounds and (
        len(digits) >= _WITH_COUNTRY_CODE or _written_groups(written) != _groups_of(usual)
    )


def _why_not_national(digits: str, region: str, other: PhoneNumber | None) -> str:
    """Return what is wrong with a number that is not written as those of the region are."""
    code = phonenumbers.country_code_for_region(region)
    trunk = _trunk_prefix(code)
    if other is not None and other.country_code == code:
        national = f" or '{trunk}{digits}'" if _is_valid(f"+{code}{digits}") else ""
        return (
            f"begins with {code}, the country code of {region}, but has no plus sign. Write "
            f"'{_e164(other)}'{national}, whichever you mean."
        )
    hints = []
    if not (trunk and digits.startswith(trunk)) and _is_valid(trunk + digits, region):
        national = f"'{trunk}{digits}' or " if trunk else ""
        hints.append(f"{national}'+{code}{digits}' if it is a number in {region}")
    if other is not None:
        hints.append(f"'{_e164(other)}' if {other.country_code} is its country code")
    if hints:
        return f"is not written as the numbers in {region} are. Write {', or '.join(hints)}."
    return (
        f"is not a valid phone number in {region}. If it is a number of another country, write it "
        "with a plus sign and its country code."
    )


def _e164(parsed: PhoneNumber) -> str:
    return phonenumbers.format_number(parsed, PhoneNumberFormat.E164)


def _is_valid(text: str, region: str | None = None) -> bool:
    parsed = _parse(text, region)
    return parsed is not None and phonenumbers.is_valid_number(parsed)


def _has_optional_zero(written: Written, position: int) -> bool:
    """Return whether a 0 in parentheses stands at *position*."""
    gaps = {gap.position: gap.text for gap in written.gaps}
    return "(" in gaps.get(position, "") and ")" in gaps.get(position + 1, "")


def _check_dialable(parsed: PhoneNumber, given: str) -> None:
    """Raise ValueError for an emergency number, a short code or an impossible length."""
    e164 = _e164(parsed)
    national = phonenumbers.national_significant_number(parsed)
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(parsed.country_code or 0, ())
    if any(phonenumbers.is_emergency_number(national, each) for each in regions):
        raise ValueError(f"{given} is an emergency number and cannot be called back.")
    # TENIOS reads the number without what was written around it.
    again = _parse(e164)
    is_possible = (
        again is not None
        and _e164(again) == e164
        and re.fullmatch(_E164, e164)
        and phonenumbers.is_possible_number(parsed)
    )
    if not is_possible or any(
        phonenumbers.is_possible_short_number_for_region(parsed, each)
        and not phonenumbers.is_valid_number(parsed)
        for each in regions
    ):
        raise ValueError(
            f"{given} is too short, too long or a short code, and cannot be dialled from abroad."
        )


def _check_length(number: Number, given: str) -> None:
    code = number.parsed.country_code
    longest = _LONGEST_BY_CODE.get(code or 0, _LONGEST)
    if len(number.national) > longest:
        raise ValueError(
            f"{given} is too long: no number has more than {longest} digits after the country code "
            f"{code}. Are there two numbers, or an extension? Write one number without it."
        )


def _check_code_repeated(number: Number, given: str) -> None:
    """Raise ValueError if the country code may be there twice, as in +49 49 221 4710123."""
    code = str(number.parsed.country_code)
    rest = number.national.removeprefix(code)
    is_whole = rest != number.national and _is_valid(f"+{code}{rest}")
    if is_whole and (len(rest) >= _WHOLE_NUMBER or not number.is_valid):
        raise ValueError(
            f"{given} seems to have the country code {code} twice. Write '+{code}{rest}' if so. "
            f"Otherwise, {number.e164} cannot be told from a mistake, and is not called."
        )


def _check_gaps(number: Number, written: Written) -> None:
    """Raise ValueError if the groups contradict the number, or may be two numbers."""
    formats = (PhoneNumberFormat.INTERNATIONAL, PhoneNumberFormat.NATIONAL)
    usual = [_groups_of(phonenumbers.format_number(number.parsed, each)) for each in formats]
    if number.is_valid and _written_groups(written) in usual and _are_plain(written):
        return
    groups = _Groups(number, written)
    for index, gap in enumerate(written.gaps):
        if not groups.is_at_home(index):
            hint = (
                f"Write '{phonenumbers.format_number(number.parsed, formats[0])}' if it is one number."
                if gap.text in {" ", "-"}
                else "Separate the groups of one number by single spaces."
            )
            raise ValueError(
                f"{written.given} is not written as a phone number is: {gap.rest!r} begins where "
                f"none of its groups does. {hint}"
            )
        if not groups.continues(index):
            raise ValueError(
                f"{written.given} may be two numbers, or have an extension: {gap.rest!r} follows "
                "what could be a whole number. Write one number without an extension, its last "
                "digits in one group."
            )


def _are_plain(written: Written) -> bool:
    return all(gap.text in {" ", "-", "(", ")", " (", ") ", ")-"} for gap in written.gaps)


class _Groups:
    """The groups in which a number is written, compared with its parts."""

    def __init__(self, number: Number, written: Written) -> None:
        start = number.start or 0
        self.gaps = written.gaps
        self._number = number
        self._positions = [gap.position - start for gap in self.gaps]
        self._ends = number.area_ends()
        self._is_simple = number.start is None or not number.is_valid
        found = [(p, gap.text) for p, gap in zip(self._positions, self.gaps, strict=True)]
        self._is_area_marked = any(p in self._ends and set(text) & set(")/") for p, text in found)
        area = number.area_length or next((p for p in self._positions if p in self._ends), 0)
        # What stands after the area code: the separators, and the lengths of the groups.
        self._local = [(p, text.strip() or " ") for p, text in found if p > area]
        bounds = [area, *(p for p, _ in self._local), len(number.national)]
        self._sizes = [end - begin for begin, end in pairwise(bounds)]

    def is_at_home(self, index: int) -> bool:
        """Return whether the gap is one that people write at this place."""
        text, position = self.gaps[index].text, self._positions[index]
        if self._is_simple:  # Its parts are not known.
            return text in {" ", "-"}
        if position <= 0:
            return position in self._number.prefixes and "/" not in text
        if "(" in text or ("/" in text and self._count("/") > 1):
            return False
        if position in self._ends:
            return True
        if position < self._number.area_length:
            return self._is_area_marked and text in {" ", "-"}
        return text in {" ", "-"} or self._is_unusual(text, position)

    def _is_unusual(self, text: str, position: int) -> bool:
        """Return whether the gap is a full stop between short groups, or ends a long area code."""
        sizes, is_whole = self._sizes, self._is_whole(position)
        if text == ".":  # not that of a decimal fraction or an extension
            return (
                sizes[0] <= _MAX_GROUP
                and all(_MIN_GROUP <= size <= _MAX_GROUP for size in sizes[1:])
                and (not is_whole or self._count(".") > 1)
            )
        left = len(self._number.national) - position
        is_area = ")" in text and "/" not in text and position <= _MAX_AREA
        return is_area and left >= _MAX_GROUP and not is_whole

    def continues(self, index: int) -> bool:
        """Return whether what follows the gap cannot be a second number or an extension."""
        position = self._positions[index]
        local = [p for p, _ in self._local]
        if position not in local or not self._is_whole(position):
            return True
        national, at = self._number.national, local.index(position)
        sizes, separators = self._sizes, [each for _, each in self._local]
        tail = national[position:]
        if len(tail) >= _MIN_NUMBER and self._is_number(tail):
            return False
        if separators.count("-") == 1 and separators[-1] == "-" and self._number.area_length:
            # As in 4710-123, where the hyphen separates what is dialled after the others.
            if at == len(local) - 1:
                return len(tail) <= _MAX_EXTENSION and not self._is_next(position, len(tail))
            sizes, separators = sizes[:-1], separators[:-1]
        return (
            len(set(separators)) == 1
            and sizes[0] <= _MAX_FIRST_GROUP
            and all(_MIN_GROUP <= size <= _MAX_GROUP for size in sizes[1:])
            and not self._has_two_endings()
        )

    def _has_two_endings(self) -> bool:
        """Return whether the last two groups may be two endings, as in 23125-100-109."""
        *before, first, last = self._sizes
        end = len(self._number.national) - last
        if not before or first != last or not self._is_whole(end - first):
            return False
        if self._local[-1][1] != " " or (last >= _ENDING and before[-1] > last):
            return True
        return last >= _ENDING and self._is_next(end, last)

    def _is_next(self, position: int, length: int) -> bool:
        """Return whether the digits from *position* on count on from those before it."""
        national = self._number.national
        if length == 1 and self._sizes[-2] < _LONG_GROUP:
            return False
        before, after = national[position - length : position], national[position:]
        return 0 < int(after[:length]) - int(before) <= _NEIGHBOURS

    def _count(self, character: str) -> int:
        return sum(character in gap.text for gap in self.gaps)

    def _is_whole(self, position: int) -> bool:
        """Return whether the digits up to *position* are a number on their own."""
        code = self._number.parsed.country_code
        return _is_valid(f"+{code}{self._number.national[:position]}")

    def _is_number(self, digits: str) -> bool:
        region = phonenumbers.region_code_for_country_code(self._number.parsed.country_code or 0)
        parsed = _parse(digits, region)
        return parsed is not None and _is_national(parsed, digits, region)
