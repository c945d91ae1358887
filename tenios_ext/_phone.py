"""Phone numbers, as people write them, to E.164. A country is never guessed."""

from __future__ import annotations

import re
import unicodedata

# What people write between digits. Everything else is refused: phonenumbers would drop it, or make
# digits of letters. All patterns are compiled at their first use, because that takes longer than to
# import this module.
_NUMBER = r"(?i)(?:tel:)?\s*[(]?\s*[+]?[0-9\s()./-]*"
_EXTENSION = r"(?i)\s*[,;]?\s*(?:ext(?:ension|n)?\b|x\b|x(?=\d)|#|;)"
_E164 = r"\+[1-9][0-9]{6,14}"  # as in the contract
_COUNTRY_HINT = (
    "Write it with its country code, such as '+49 221 4710123', or set the region it is written "
    "for: region='DE' (or TENIOS_REGION=DE)."
)


def check_region(region: object) -> None:
    """Raise ValueError unless *region* is a two-letter ISO 3166 code, such as "DE"."""
    import phonenumbers

    if not isinstance(region, str) or region.upper() not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError(f"region must be a two-letter ISO 3166 code such as 'DE', got {region!r}.")


def to_e164(number: str, *, region: str | None = None) -> str:
    """
    Return *number* in the form that TENIOS expects, such as ``+492214710123``.

    Args:
        number: Any usual spelling: ``+49 221 4710 123``, ``0049 221 4710123``; with a region also
            ``(0221) 4710-123``.
        region: The country to assume if *number* names none: a two-letter ISO 3166 code, such as
            "DE".

    Raises:
        TypeError: *number* is not a str.
        ValueError: *number* is not a phone number, has no country code and no region is given, or
            is an emergency number, a short code or of an impossible length.
    """
    # Loading its tables takes a tenth of a second, which a program that only fetches statuses need
    # not pay.
    import phonenumbers

    if region is not None:
        check_region(region)
    if not isinstance(number, str):
        raise TypeError(
            f"A phone number must be a str such as '+49 221 4710123', got {type(number).__name__}."
        )
    text = _normalized(number)
    if region is None and text.startswith("00"):
        # 00 is the international prefix of most countries and begins no national number. With a
        # region, its own rules apply.
        text = "+" + text[2:]
    try:
        parsed = phonenumbers.parse(text, region.upper() if region else None)
    except phonenumbers.NumberParseException as error:
        if (
            error.error_type == phonenumbers.NumberParseException.INVALID_COUNTRY_CODE
            and not text.startswith("+")
        ):
            raise ValueError(f"{number!r} has no country code. {_COUNTRY_HINT}") from None
        raise ValueError(f"{number!r} is not a phone number.") from None
    # What is sent is what is checked: TENIOS reads the number without the region, and without what
    # was written around it.
    e164 = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    try:
        parsed = phonenumbers.parse(e164)
    except phonenumbers.NumberParseException:
        raise ValueError(f"{number!r} is not a phone number.") from None

    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(parsed.country_code or 0, ())
    national = phonenumbers.national_significant_number(parsed)
    if any(phonenumbers.is_emergency_number(national, each) for each in regions):
        raise ValueError(f"{number!r} is an emergency number and cannot be called back.")
    is_stable = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164) == e164
    is_possible = (
        is_stable and re.fullmatch(_E164, e164) and phonenumbers.is_possible_number(parsed)
    )
    if not is_possible or any(
        phonenumbers.is_possible_short_number_for_region(parsed, each)
        and not phonenumbers.is_valid_number(parsed)
        for each in regions
    ):
        raise ValueError(
            f"{number!r} is too short, too long or a short code, and cannot be dialled from abroad."
        )
    return e164


def _normalized(number: str) -> str:
    """
    Return *number* with ASCII digits, spaces, hyphens and plus sign, and without invisible
    characters.

    Raises ValueError if there is anything in it that is not part of a phone number.
    """
    text = "".join(_ascii(character) for character in number).strip()
    match = re.match(_NUMBER, text)
    rest = text[match.end() :] if match else text
    if not rest and _is_balanced(text):
        return text
    if not rest:
        raise ValueError(f"{number!r} has a bracket too many or too few.")
    if re.match(_EXTENSION, rest):
        raise ValueError(
            f"{number!r} has an extension, which cannot be dialled. Give the number without it."
        )
    raise ValueError(f"{number!r} is not a phone number: {rest!r} is not part of one.")


def _ascii(character: str) -> str:
    if (digit := unicodedata.decimal(character, None)) is not None:
        return str(digit)
    category = unicodedata.category(character)
    if category == "Cf":  # marks of direction, joiners, byte order marks: nobody sees them
        return ""
    if category == "Pd" or character == "\N{MINUS SIGN}":
        return "-"
    if category == "Zs":
        return " "
    # A plus sign or a bracket of another width, but not the digit that a superscript looks like.
    return character if category[0] in "LN" else unicodedata.normalize("NFKC", character)


def _is_balanced(text: str) -> bool:
    depth = 0
    for character in text:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth not in {0, 1}:
            return False
    return depth == 0
