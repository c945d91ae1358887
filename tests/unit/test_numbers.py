"""Telephone numbers as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenios_ext import InvalidRequestError, to_e164


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
        ("＋４９２２１４７１０１２３", None),  # noqa: RUF001 - as a Japanese keyboard writes it
        ("011 49 221 4710123", "US"),
        ("0011 49 221 4710123", "AU"),
    ],
)
def test_usual_spellings(spelling: str, region: str | None) -> None:
    """Each usual spelling of a number is the same number."""
    assert to_e164(spelling, region=region) == "+492214710123"


def test_example_of_the_documentation_is_taken_as_it_is() -> None:
    """TENIOS's own example belongs to nobody, and is possible."""
    assert to_e164("+491234567890") == "+491234567890"


@pytest.mark.parametrize("spelling", ["0221 4710123", "(0221) 4710-123", "2214710123", "112"])
def test_number_without_country_is_refused_with_an_explanation(spelling: str) -> None:
    """A country is never guessed: 0221 as +221 would be Senegal."""
    with pytest.raises(InvalidRequestError, match=r"names no country.*\+49 221 4710123.*region='DE'"):
        to_e164(spelling)


@pytest.mark.parametrize(
    ("spelling", "region"),
    [("110", "DE"), ("112", "DE"), ("+49112", None), ("+49 110", None), ("911", "US"), ("+1 911", None), ("999", "GB")],
)
def test_emergency_number_is_refused(spelling: str, region: str | None) -> None:
    """Nobody is connected to the fire brigade by a web form."""
    with pytest.raises(InvalidRequestError, match="emergency"):
        to_e164(spelling, region=region)


@pytest.mark.parametrize(
    ("spelling", "region"),
    [("11833", "DE"), ("+49 11833", None), ("116117", "DE"), ("115", "DE"), ("22456", "DE"), ("118712", "FR")],
)
def test_short_code_is_refused(spelling: str, region: str) -> None:
    """Directory enquiries and text-message codes are no customers."""
    with pytest.raises(InvalidRequestError, match="short code"):
        to_e164(spelling, region=region)


@pytest.mark.parametrize(
    "spelling", ["+49 221 4710123 4710123 4710123", "+1 212", "+49", "+", "", "  ", "nobody", "+999 123456"]
)
def test_impossible_number_is_refused(spelling: str) -> None:
    """What cannot be a number is not sent."""
    with pytest.raises(InvalidRequestError):
        to_e164(spelling)


@pytest.mark.parametrize("number", [492214710123, None, b"+492214710123", ["+492214710123"]])
def test_number_that_is_no_text_is_refused(number: object) -> None:
    """Leading zeros and the plus sign get lost in an integer."""
    with pytest.raises(InvalidRequestError, match="text"):
        to_e164(number)  # type: ignore[arg-type] # that is the point


def test_extension_is_refused() -> None:
    """An extension would be dropped in silence, and somebody else called."""
    with pytest.raises(InvalidRequestError, match="extension"):
        to_e164("+49 221 4710123 ext. 5")


@pytest.mark.parametrize("region", ["XX", "Germany", "49", ""])
def test_unknown_region_is_refused(region: str) -> None:
    """A region is two letters of ISO 3166."""
    with pytest.raises(InvalidRequestError, match="region"):
        to_e164("0221 4710123", region=region)


@given(st.text(), st.sampled_from([None, "DE", "US", "IT", "AU"]))
def test_whatever_is_written_gives_e164_or_an_error(text: str, region: str | None) -> None:
    """Any text is either a number in the contract's form or refused."""
    try:
        number = to_e164(text, region=region)
    except InvalidRequestError:
        return
    assert number.startswith("+")
    assert number[1:].isascii()
    assert number[1:].isdecimal()
    assert 7 <= len(number[1:]) <= 15
