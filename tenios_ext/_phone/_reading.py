"""What the digits of a written number mean."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import phonenumbers
from phonenumbers import PhoneNumber, PhoneNumberFormat, PhoneNumberType

from ._groups import check_groups
from ._plans import (
    Number,
    format_e164,
    groups_of,
    is_national,
    is_valid,
    metadata_of,
    parse,
    trunk_prefix,
)

if TYPE_CHECKING:
    from ._text import Written

_E164 = r"\+[1-9][0-9]{6,14}"  # as in the contract
_COUNTRY_HINT = (
    "Write it with its country code, such as '+49 221 4710123', or set the region it is written "
    "for: region='DE' (or TENIOS_REGION=DE)."
)
# The most digits after the country code. libphonenumber allows up to 15 where numbers vary in
# length. Two countries need less: Germany by its regulator, and Luxembourg, where the numbers of
# its neighbours would fit.
_LONGEST, _LONGEST_BY_CODE = 12, {49: 11, 352: 9}
# So many digits begin with a country code more often than not.
_WITH_COUNTRY_CODE = 11
# Shorter numbers may just begin with the digits of their country code: +49 4921 is Emden.
_WHOLE_NUMBER = 9


def read_number(written: Written, region: str | None) -> Number:
    """Return the number that *written* means. Raises ValueError unless there is exactly one."""
    given, digits = written.given, written.digits
    prefix = "" if written.has_plus else _international_prefix(digits, region, given)
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
    _check_zero(number, given)
    if written.gaps:
        check_groups(number, written)
    return number


def _international_prefix(digits: str, region: str | None, given: str) -> str:
    """
    Return what *digits* begin with if that dials out of the region's country, such as 00. Raises
    ValueError if prefixes of several lengths would lead to different numbers.
    """
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
    prefix = max(known, key=len, default="")
    lengths = [n for n in range(1, len(digits)) if re.fullmatch(pattern, digits[:n])]
    readings = {f"+{digits[n:]}" for n in lengths if is_valid(f"+{digits[n:]}")}
    if prefix and len(readings | {f"+{digits[len(prefix) :]}"}) > 1:
        raise ValueError(
            f"{given} can be read in two ways: {' or '.join(sorted(readings))}, depending on the "
            f"carrier that is dialled first in {region}. Write it with a plus sign."
        )
    return prefix


def _international(written: Written, skipped: int) -> Number:
    given, digits = written.given, written.digits[skipped:]
    parsed = parse(f"+{digits}")
    if parsed is None:
        raise ValueError(f"{given} is not a phone number: it begins with no known country code.")
    code = str(parsed.country_code)
    national = phonenumbers.national_significant_number(parsed)
    trunk = digits[len(code) : len(digits) - len(national)]
    _check_dialable(parsed, given)
    # Only a 0 may be kept, as in +49 (0)221: other digits might be part of another number.
    if code + trunk + national != digits or (
        trunk and not trunk == trunk_prefix(parsed.country_code or 0) == "0"
    ):
        raise ValueError(
            f"{given} is not a phone number: after +{code}, it is not written as the numbers of "
            "that country are."
        )
    is_optional = _has_optional_zero(written, skipped + len(code))
    if is_optional and not trunk and is_valid(f"+{code}{national[1:]}"):
        raise ValueError(
            f"{given} can be read in two ways. Write '+{code}{national}' or "
            f"'+{code}{national[1:]}'."
        )
    number = Number(
        parsed,
        national,
        start=len(written.digits) - len(national),
        # The 0 is part of the number in +39 (0)6.
        prefixes=frozenset({0, -len(trunk), -len(code + trunk), 1 if is_optional else 0}),
    )
    if not number.is_valid and (trunk or is_optional or not _may_be_new(number)):
        raise ValueError(f"{given} is not a valid phone number: no number in use is like that.")
    return number


def _has_optional_zero(written: Written, position: int) -> bool:
    """Return whether a 0 in parentheses stands at *position*."""
    gaps = {gap.position: gap.text for gap in written.gaps}
    return "(" in gaps.get(position, "") and ")" in gaps.get(position + 1, "")


def _may_be_new(number: Number) -> bool:
    """Return whether a number in no known range is as long as those of phones."""
    metadata = metadata_of(number.parsed.country_code or 0)
    kinds = [metadata.fixed_line, metadata.mobile] if metadata else []
    examples = [kind.example_number for kind in kinds if kind and kind.example_number]
    lengths = {length for kind in kinds if kind for length in kind.possible_length}
    is_usual = len(number.national) >= min(map(len, examples), default=0)
    return is_usual and len(number.national) in lengths and number.national[0] != "0"


def _national(written: Written, region: str) -> Number:
    given, digits = written.given, written.digits
    parsed = parse(digits, region)
    if parsed is None:
        raise ValueError(f"{given} is not a phone number.")
    national = phonenumbers.national_significant_number(parsed)
    other = parse(f"+{digits}")
    if other is not None and not phonenumbers.is_valid_number(other):
        other = None
    if other is None:
        _check_dialable(parsed, given)
    if not is_national(parsed, digits, region) or _may_lack_plus(written, parsed, other):
        raise ValueError(f"{given} {_why_not_national(digits, region, other)}")
    _check_dialable(parsed, given)
    start = len(digits) - len(national) if digits.endswith(national) else None
    return Number(parsed, national, start, frozenset({0}))


def _may_lack_plus(written: Written, parsed: PhoneNumber, other: PhoneNumber | None) -> bool:
    """Return whether a national number may as well be the *other* one, without its plus sign."""
    digits = written.digits
    if other is None or format_e164(other) == format_e164(parsed):
        return False
    if other.country_code == parsed.country_code:
        return True
    trunk = trunk_prefix(parsed.country_code or 0)
    if trunk and digits.startswith(trunk):
        return False
    bounds = [gap.position for gap in written.gaps]
    if not bounds:
        return len(digits) >= _WITH_COUNTRY_CODE
    usual = phonenumbers.format_number(parsed, PhoneNumberFormat.NATIONAL)
    return len(str(other.country_code)) in bounds and (
        len(digits) >= _WITH_COUNTRY_CODE or written.groups != groups_of(usual)
    )


def _why_not_national(digits: str, region: str, other: PhoneNumber | None) -> str:
    """Return what is wrong with a number that is not written as those of the region are."""
    code = phonenumbers.country_code_for_region(region)
    trunk = trunk_prefix(code)
    if other is not None and other.country_code == code:
        national = f" or '{trunk}{digits}'" if is_valid(f"+{code}{digits}") else ""
        return (
            f"begins with {code}, the country code of {region}, but has no plus sign. Write "
            f"'{format_e164(other)}'{national}, whichever you mean."
        )
    hints = []
    if not (trunk and digits.startswith(trunk)) and is_valid(trunk + digits, region):
        national = f"'{trunk}{digits}' or " if trunk else ""
        hints.append(f"{national}'+{code}{digits}' if it is a number in {region}")
    if other is not None:
        hints.append(f"'{format_e164(other)}' if {other.country_code} is its country code")
    if hints:
        return f"is not written as the numbers in {region} are. Write {', or '.join(hints)}."
    return (
        f"is not a valid phone number in {region}. If it is a number of another country, write it "
        "with a plus sign and its country code."
    )


def _check_dialable(parsed: PhoneNumber, given: str) -> None:
    """Raise ValueError for an emergency number, a short code or an impossible length."""
    e164 = format_e164(parsed)
    national = phonenumbers.national_significant_number(parsed)
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(parsed.country_code or 0, ())
    # An area code in front of it leads to the police of that area.
    local = national[phonenumbers.length_of_geographical_area_code(parsed) :]
    if any(
        phonenumbers.is_emergency_number(digits, each)
        for each in regions
        for digits in (national, local)
    ):
        raise ValueError(f"{given} is an emergency number and cannot be called back.")
    # TENIOS reads the number without what was written around it.
    again = parse(e164)
    is_possible = (
        again is not None
        and format_e164(again) == e164
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


def _check_zero(number: Number, given: str) -> None:
    """Raise ValueError if a mobile number in Italy may have a 0 before it that does not belong."""
    code, national = number.parsed.country_code or 0, number.national
    if len(national) == _WITH_COUNTRY_CODE and national[0] == "0" and not trunk_prefix(code):
        rest = parse(f"+{code}{national[1:]}")
        if rest is not None and phonenumbers.number_type(rest) == PhoneNumberType.MOBILE:
            raise ValueError(
                f"{given} can be read in two ways: with its 0, and as '{format_e164(rest)}'. Write "
                "the number without a 0 if it is that of a mobile phone."
            )


def _check_code_repeated(number: Number, given: str) -> None:
    """Raise ValueError if the country code may be there twice, as in +49 49 221 4710123."""
    code = str(number.parsed.country_code)
    rest = number.national.removeprefix(code)
    is_whole = rest != number.national and is_valid(f"+{code}{rest}")
    # Where the area code is as long as the country code, the groups do not tell, either: +46 46 812
    # is written by people in Lund.
    is_long = len(rest) >= _WHOLE_NUMBER or number.area_length <= len(code)
    if is_whole and (is_long or not number.is_valid):
        raise ValueError(
            f"{given} seems to have the country code {code} twice. Write '+{code}{rest}' if so. "
            f"Otherwise, {number.e164} cannot be told from a mistake, and is not called."
        )
