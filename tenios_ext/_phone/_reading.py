"""Determines the number that written digits mean."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING

import phonenumbers
from phonenumbers import PhoneNumber, PhoneNumberFormat, PhoneNumberType, ValidationResult

from ._groups import check_groups
from ._plans import (
    Number,
    format_e164,
    groups_of,
    has_usual_length,
    is_national,
    is_valid,
    metadata_of,
    parse,
    trunk_prefix,
)
from ._text import read_text

if TYPE_CHECKING:
    from ._text import Written

_E164 = r"\+[1-9][0-9]{6,14}"  # as in the contract
_COUNTRY_HINT = (
    "Write it with its country code, such as '+49 221 4710123', or set its country: region='DE' "
    "(or TENIOS_REGION=DE)."
)
# The maximum number of digits after the country code. Where numbers vary in length, libphonenumber
# allows 15. Germany's limit is its regulator's; Luxembourg's excludes the numbers of neighbours.
_LONGEST, _LONGEST_BY_CODE = 12, {49: 11, 352: 9}
# Numbers of this length usually begin with a country code.
_WITH_COUNTRY_CODE = 11
# Shorter numbers may begin with the digits of their country code: +49 4921 is Emden.
_WHOLE_NUMBER = 9


def read_number(written: Written, region: str | None) -> Number:
    """Return the number that *written* means. Raises ValueError unless there is exactly one."""
    given, digits = written.given, written.digits
    if not written.has_plus and (prefix := _international_prefix(digits, region, given)):
        written = written.without_prefix(prefix)
    if written.has_plus:
        number = _international(written)
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
    Return the region's international prefix, such as 00, if *digits* begin with it. Raises
    ValueError if prefixes of different lengths would lead to different numbers.
    """
    if region is None:
        # Most countries use 00, and no national number begins with it.
        return "00" if digits.startswith("00") else ""
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region)
    if metadata is None:
        return ""
    pattern = metadata.international_prefix or ""
    # Where the prefix contains a carrier, the digits after 00 are ambiguous.
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
            f"{given} is ambiguous in {region}, where the prefix may contain a carrier: "
            f"{' or '.join(sorted(readings))}. Write it with a plus sign."
        )
    return prefix


def _international(written: Written) -> Number:
    given, digits = written.given, written.digits
    parsed = parse(f"+{digits}")
    if parsed is None:
        raise ValueError(
            f"{given} is not a phone number: it has no known country code, or no number after it."
        )
    code = str(parsed.country_code)
    national = phonenumbers.national_significant_number(parsed)
    trunk = digits[len(code) : len(digits) - len(national)]
    _check_dialable(parsed, given)
    # Only a 0 is ignored, as in +49 (0)221. Other digits may be part of another number.
    if code + trunk + national != digits or (
        trunk and not trunk == trunk_prefix(parsed.country_code or 0) == "0"
    ):
        raise ValueError(
            f"{given} is not a phone number: the digits after +{code} are not in the format of "
            f"that country.{_writings(format_e164(parsed))}"
        )
    is_optional = _has_optional_zero(written, len(code))
    if is_optional and not trunk and is_valid(f"+{code}{national[1:]}"):
        hint = _writings(f"+{code}{national}", f"+{code}{national[1:]}")
        raise ValueError(f"{given} is ambiguous: its 0 may be superfluous.{hint}")
    prefixes = {0, -len(trunk), -len(code + trunk)}
    if is_optional and not trunk:  # In +39 (0)6, the 0 is part of the number.
        prefixes.add(1)
    if code.endswith("0") and trunk_prefix(parsed.country_code or 0) == "0":
        prefixes.add(-1)  # +38 (050) is common for +380 50.
    number = Number(parsed, national, len(digits) - len(national), frozenset(prefixes))
    if not number.is_valid and (trunk or is_optional or not _may_be_new(number)):
        raise ValueError(
            f"{given} is not a valid phone number: it is in no known range of +{code}. Check its "
            "digits."
        )
    return number


def _has_optional_zero(written: Written, position: int) -> bool:
    """Return whether a 0 in parentheses stands at *position*."""
    gaps = {gap.position: gap.text for gap in written.gaps}
    return "(" in gaps.get(position, "") and ")" in gaps.get(position + 1, "")


def _may_be_new(number: Number) -> bool:
    """Return whether a number in no known range has the length of a phone number."""
    metadata = metadata_of(number.parsed.country_code or 0)
    kinds = [metadata.fixed_line, metadata.mobile] if metadata else []
    examples = [kind.example_number for kind in kinds if kind and kind.example_number]
    lengths = {length for kind in kinds if kind for length in kind.possible_length}
    # If all numbers have the same length, the known ranges are complete.
    is_usual = len(lengths) > 1 and len(number.national) >= min(map(len, examples), default=0)
    return is_usual and len(number.national) in lengths and number.national[0] != "0"


def _national(written: Written, region: str) -> Number:
    given, digits = written.given, written.digits
    parsed = parse(digits, region)
    if parsed is None:
        raise ValueError(f"{given} is not a phone number: it has {len(digits)} digits.")
    national = phonenumbers.national_significant_number(parsed)
    other = parse(f"+{digits}")
    if other is not None and not phonenumbers.is_valid_number(other):
        other = None
    if other is None:
        _check_dialable(parsed, given)
    if not is_national(parsed, digits, region) or _may_lack_plus(written, parsed, other):
        raise ValueError(f"{given} {_why_not_national(digits, region, other)}")
    _check_dialable(parsed, given)
    if not phonenumbers.is_valid_number_for_region(parsed, region):
        place = phonenumbers.region_code_for_number(parsed)
        raise ValueError(
            f"{given} is a number in {place}, not in {region}. Write '{format_e164(parsed)}'."
        )
    start = len(digits) - len(national) if digits.endswith(national) else None
    return Number(parsed, national, start, frozenset({0}))


def _may_lack_plus(written: Written, parsed: PhoneNumber, other: PhoneNumber | None) -> bool:
    """Return whether a national number may be the *other* one without its plus sign."""
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
    """Return what is wrong with a number that is not in the format of the region."""
    code = phonenumbers.country_code_for_region(region)
    trunk = trunk_prefix(code)
    if other is not None and other.country_code == code:
        hint = _writings(format_e164(other), trunk and trunk + digits, region=region)
        return f"begins with {code}, the country code of {region}, but has no plus sign.{hint}"
    proposals = [f"+{digits}"] if other else []
    if not (trunk and digits.startswith(trunk)) and is_valid(trunk + digits, region):
        proposals = [trunk and trunk + digits, f"+{code}{digits}", *proposals]
    if hint := _writings(*proposals, region=region):
        return f"is not in the format of numbers in {region}.{hint}"
    return (
        f"is not a valid phone number in {region}. If it is a number of another country, write it "
        "with a plus sign and its country code."
    )


def _writings(*numbers: str, region: str | None = None) -> str:
    """Return a sentence that proposes those *numbers* that would be accepted."""
    accepted = []
    for number in filter(None, dict.fromkeys(numbers)):
        with suppress(ValueError):
            read_number(read_text(number), region)
            accepted.append(f"'{number}'")
    return f" Write {' or '.join(accepted)}." if accepted else ""


def _check_dialable(parsed: PhoneNumber, given: str) -> None:
    """Raise ValueError for an emergency number, a short code or an impossible length."""
    e164 = format_e164(parsed)
    national = phonenumbers.national_significant_number(parsed)
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(parsed.country_code or 0, ())
    # With an area code, an emergency number reaches the police of that area.
    local = national[phonenumbers.length_of_geographical_area_code(parsed) :]
    if any(
        phonenumbers.is_emergency_number(digits, each)
        for each in regions
        for digits in (national, local)
    ):
        raise ValueError(f"{given} is an emergency number and cannot be called back.")
    # TENIOS gets only the E.164 form.
    again = parse(e164)
    is_possible = (
        again is not None
        and format_e164(again) == e164
        and re.fullmatch(_E164, e164)
        and phonenumbers.is_possible_number(parsed)
    )
    if phonenumbers.is_possible_number_with_reason(parsed) == ValidationResult.TOO_LONG:
        raise ValueError(
            f"{given} is too long for a phone number with country code {parsed.country_code}."
        )
    if not is_possible or any(
        phonenumbers.is_possible_short_number_for_region(parsed, each)
        and not phonenumbers.is_valid_number(parsed)
        for each in regions
    ):
        raise ValueError(
            f"{given} is too short for a phone number with country code {parsed.country_code}. If "
            "it is a short code, it cannot be called back."
        )


def _check_length(number: Number, given: str) -> None:
    code = number.parsed.country_code
    longest = _LONGEST_BY_CODE.get(code or 0, _LONGEST)
    if len(number.national) > longest:
        raise ValueError(
            f"{given} is too long: numbers with country code {code} have at most {longest} more "
            "digits. If it contains a second number or an extension, remove it."
        )


def _check_zero(number: Number, given: str) -> None:
    """Raise ValueError if the number may have lost a 0, as in Italy, or have a superfluous one."""
    code, national = number.parsed.country_code or 0, number.national
    has_zero = national[0] == "0"
    other = parse(f"+{code}{national[1:] if has_zero else '0' + national}")
    if trunk_prefix(code) or other is None or not phonenumbers.is_valid_number(other):
        return
    if has_zero:
        is_mobile = phonenumbers.number_type(other) == PhoneNumberType.MOBILE
        if is_mobile and has_usual_length(other):
            raise ValueError(
                f"{given} is ambiguous: its 0 may be superfluous. If it is a mobile number, write "
                f"'{format_e164(other)}'."
            )
    elif number.is_valid and not has_usual_length(number.parsed):
        raise ValueError(
            f"{given} is ambiguous: it may have lost a 0. If so, write '{format_e164(other)}'. "
            f"{number.e164} itself cannot be called, because it is probably a mistake."
        )


def _check_code_repeated(number: Number, given: str) -> None:
    """Raise ValueError if the country code may be repeated, as in +49 49 221 4710123."""
    code = str(number.parsed.country_code)
    rest = number.national.removeprefix(code)
    is_whole = rest != number.national and is_valid(f"+{code}{rest}")
    # If the area code is as long as the country code, even the groups are ambiguous: +46 46 812 is
    # a number in Lund.
    is_long = len(rest) >= _WHOLE_NUMBER or number.area_length <= len(code)
    if is_whole and (is_long or not number.is_valid):
        raise ValueError(
            f"{given} seems to have the country code {code} twice. If so, write '+{code}{rest}'. "
            f"{number.e164} itself cannot be called, because it is probably a mistake."
        )
