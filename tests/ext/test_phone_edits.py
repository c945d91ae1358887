"""A number that is edited on its way is still this number or refused, never another one."""

from __future__ import annotations

import re
from contextlib import nullcontext, suppress

import phonenumbers
from hypothesis import given, settings
from hypothesis import strategies as st
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from tenios_ext import to_e164

# fmt: off
REGIONS = [
    "DE", "AT", "CH", "FR", "GB", "NL", "BE", "LU", "IT", "ES", "PT", "PL", "CZ", "DK", "SE",
    "NO", "FI", "HU", "GR", "RO", "HR", "IE", "TR", "RU", "IN", "JP", "AU", "BR", "AR", "US",
]
# fmt: on
SUFFIXES = ["", "", ".0", ",0", ".00", ",00", ".5", ".", "-", " x"]


@st.composite
def numbers(draw: st.DrawFn) -> tuple[str, phonenumbers.PhoneNumber]:
    """Return a region and a valid number in it."""
    region = draw(st.sampled_from(REGIONS))
    kind = draw(st.sampled_from([PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE]))
    example = phonenumbers.example_number_for_type(region, kind)
    assert example is not None
    digits = phonenumbers.national_significant_number(example)
    kept = draw(st.integers(2, 5))
    last = draw(st.text("0123456789", min_size=len(digits) - kept, max_size=len(digits) - kept))
    other = phonenumbers.parse(f"+{example.country_code}{digits[:kept]}{last}")
    is_valid = phonenumbers.is_valid_number_for_region(other, region)
    return region, other if is_valid else example


def spellings(number: phonenumbers.PhoneNumber) -> list[str]:
    code, national = number.country_code, phonenumbers.national_significant_number(number)
    international = phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL)
    return [
        f"+{code}{national}",
        f"00{code}{national}",
        f"{code}{national}",
        f"+{code} (0) {national}",
        f"+{code}{code}{national}",
        f"+{code} 00{code}{national}",
        f"0{code}{national}",
        international,
        international[1:],
        phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL),
        phonenumbers.format_number(number, PhoneNumberFormat.RFC3966),
        national,
    ]


@st.composite
def edited(draw: st.DrawFn, text: str) -> str:
    """Return *text* after edits that change no digits except those of a prefix."""
    for _ in range(draw(st.integers(0, 3))):
        match draw(st.sampled_from(["insert", "delete", "unprefix"])):
            case "insert":
                position = draw(st.integers(0, len(text)))
                mark = draw(st.sampled_from(" -./(),;:'\t\n#~_|\u00a0\u200b"))
                text = text[:position] + mark + text[position:]
            case "delete":
                marks = [i for i, character in enumerate(text) if not character.isdigit()]
                if marks:
                    position = draw(st.sampled_from(marks))
                    text = text[:position] + text[position + 1 :]
            case "unprefix":
                text = re.sub(r"^(?:\+(?:35\d|420|\d\d) ?(?:\(0\) )?|\+|00|\(?0\)?)", "", text)
    return text + draw(st.sampled_from(SUFFIXES))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_edited_number_is_the_number_itself_or_refused(data: st.DataObject) -> None:
    region, number = data.draw(numbers())
    text = data.draw(edited(data.draw(st.sampled_from(spellings(number)))))
    try:
        found = to_e164(text, region=data.draw(st.sampled_from([region, region, None])))
    except ValueError:
        return
    assert found == phonenumbers.format_number(number, PhoneNumberFormat.E164)


@settings(max_examples=100, deadline=None)
@given(numbers(), st.sampled_from(["E164", "INTERNATIONAL", "NATIONAL"]))
def test_number_in_a_usual_spelling_is_read(
    given: tuple[str, phonenumbers.PhoneNumber], spelling: str
) -> None:
    """A function that refuses everything would pass the test above."""
    region, number = given
    e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    text = phonenumbers.format_number(number, getattr(PhoneNumberFormat, spelling))
    # A number in Lund (046) may contain the country code twice.
    with suppress(ValueError) if region == "SE" else nullcontext():
        assert to_e164(text, region=region) == to_e164(e164) == e164
