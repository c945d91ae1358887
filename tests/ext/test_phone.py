"""Phone numbers as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenios_ext import TeniosError, to_e164


@pytest.mark.parametrize(
    ("spelling", "region"),
    [
        ("+49 221 4710 123", None),
        ("+492214710123", "FR"),
        ("0049 221 4710123", None),
        ("0049-221-4710-123", "DE"),
        ("(0221) 4710-123", "DE"),
        ("0221/4710123", "de"),
        ("+49 (0) 221 4710 123", None),
        ("+49 (0)221 4710-123", "DE"),
        ("tel:+49-221-4710-123", None),
        ("  +49 221 4710 123\n", None),
        ("+49\u00a0221\u00a04710\u00a0123", None),
        pytest.param(
            "\uff0b\uff14\uff19\uff12\uff12\uff11\uff14\uff17\uff11\uff10\uff11\uff12\uff13",
            None,
            id="fullwidth",
        ),
        ("011 49 221 4710123", "US"),
        ("0011 49 221 4710123", "AU"),
    ],
)
def test_usual_spelling_is_converted(spelling: str, region: str | None) -> None:
    assert to_e164(spelling, region=region) == "+492214710123"


def test_number_in_the_documentation_of_tenios_is_accepted() -> None:
    """It is possible, though not assigned."""
    assert to_e164("+491234567890") == "+491234567890"


@pytest.mark.parametrize("spelling", ["0221 4710123", "(0221) 4710-123", "2214710123", "112"])
def test_number_without_country_code_is_refused(spelling: str) -> None:
    """A country is never guessed: +221 is Senegal."""
    with pytest.raises(
        ValueError, match=r"has no country code.*\+49 221 4710123.*region='DE'"
    ) as raised:
        to_e164(spelling)
    assert repr(spelling) in str(raised.value)
    assert not isinstance(raised.value, TeniosError)


@pytest.mark.parametrize(
    ("spelling", "region"),
    [
        ("110", "DE"),
        ("112", "DE"),
        ("+49112", None),
        ("+49 110", None),
        ("911", "US"),
        ("+1 911", None),
        ("999", "GB"),
    ],
)
def test_emergency_number_is_refused(spelling: str, region: str | None) -> None:
    with pytest.raises(ValueError, match="is an emergency number"):
        to_e164(spelling, region=region)


@pytest.mark.parametrize(
    ("spelling", "region"),
    [
        ("11833", "DE"),
        ("+49 11833", None),
        ("116117", "DE"),
        ("115", "DE"),
        ("22456", "DE"),
        ("118712", "FR"),
    ],
)
def test_short_code_is_refused(spelling: str, region: str) -> None:
    with pytest.raises(ValueError, match="short code"):
        to_e164(spelling, region=region)


@pytest.mark.parametrize("number", ["+29022158", "+508430123", "+81312345678", "+8222123456"])
def test_valid_number_that_is_as_short_as_a_short_code_is_accepted(number: str) -> None:
    assert to_e164(number) == number


@pytest.mark.parametrize(
    "spelling",
    ["+49 221 4710123 4710123 4710123", "+1 212", "+49", "+", "", "  ", "customer", "+999 123456"],
)
def test_impossible_number_is_refused(spelling: str) -> None:
    with pytest.raises(ValueError, match=r"is not a phone number|is too short|has no country code"):
        to_e164(spelling)


@pytest.mark.parametrize("number", [492214710123, None, b"+492214710123", ["+492214710123"]])
def test_number_that_is_not_a_str_is_refused(number: object) -> None:
    """An integer has lost its plus sign and leading zeros."""
    with pytest.raises(TypeError, match=f"must be a str .* got {type(number).__name__}") as raised:
        to_e164(number)  # type: ignore[arg-type] # the wrong type is the test
    assert not isinstance(raised.value, TeniosError)


def test_number_with_an_extension_is_refused() -> None:
    with pytest.raises(ValueError, match="has an extension"):
        to_e164("+49 221 4710123 ext. 5")


@pytest.mark.parametrize("region", ["XX", "Germany", "49", ""])
def test_unknown_region_is_refused(region: str) -> None:
    with pytest.raises(
        ValueError, match=f"region must be a two-letter ISO 3166 code such as 'DE', got {region!r}"
    ):
        to_e164("0221 4710123", region=region)


def test_allowed_regions_in_one_str_are_refused() -> None:
    """Its letters would be regions."""
    with pytest.raises(TypeError, match=r"must be a list such as \['DE', 'AT'\], got 'DE'"):
        to_e164("+49 221 4710123", allowed_regions="DE")


@given(st.text(), st.sampled_from([None, "DE", "US", "IT", "AU"]))
def test_any_text_is_converted_or_refused(text: str, region: str | None) -> None:
    try:
        number = to_e164(text, region=region)
    except ValueError:
        return
    check_e164(number)


@given(
    st.from_regex(r"[+0]?[0-9 ()/.-]{3,20}", fullmatch=True),
    st.sampled_from([None, "DE", "US", "IT", "AU"]),
)
def test_any_digits_and_separators_are_converted_or_refused(text: str, region: str | None) -> None:
    try:
        number = to_e164(text, region=region)
    except ValueError:
        return
    check_e164(number)
    assert to_e164(number) == number


def check_e164(number: str) -> None:
    assert number.startswith("+")
    assert number[1:].isascii()
    assert number[1:].isdecimal()
    assert 7 <= len(number[1:]) <= 15
