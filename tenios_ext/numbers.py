"""Telephone numbers, as people write them, to E.164. A country is never guessed."""

from __future__ import annotations

from .errors import InvalidRequestError


def check_region(region: str) -> None:
    """Raise InvalidRequestError where *region* is not two letters of ISO 3166, such as "DE"."""
    import phonenumbers  # noqa: PLC0415 - see to_e164

    if region.upper() not in phonenumbers.SUPPORTED_REGIONS:
        raise InvalidRequestError(f"{region!r} is no region; give two letters of ISO 3166, such as 'DE'.")


def to_e164(number: str, *, region: str | None = None) -> str:
    """
    Give *number* the form that TENIOS is sent, such as ``+492214710123``.

    Args:
        number: Any usual spelling: ``+49 221 4710 123``, ``0049 221 4710123``; with a region also ``(0221) 4710-123``.
        region: The country whose spelling is used where *number* names no country: two letters of ISO 3166, such as "DE".

    Raises:
        InvalidRequestError: *number* is no telephone number, names no country where no region is given, or is an
            emergency number, a short code or of an impossible length.
    """
    # Its tables take a tenth of a second to load: whoever only asks for a status does not pay for them.
    import phonenumbers  # noqa: PLC0415

    if region is not None:
        check_region(region)
    if not isinstance(number, str):
        raise InvalidRequestError(
            f"A telephone number is text, such as '+49 221 4710123', not {type(number).__name__}."
        )
    text = number.strip()
    if region is None and text.startswith("00"):
        # 00 is the international prefix of most countries and begins no national number; with a region, its own rule holds.
        text = "+" + text[2:]
    try:
        parsed = phonenumbers.parse(text, region.upper() if region else None)
    except phonenumbers.NumberParseException as error:
        if error.error_type == phonenumbers.NumberParseException.INVALID_COUNTRY_CODE and not text.startswith("+"):
            raise InvalidRequestError(
                f"{number!r} names no country. Write it with its country code, such as '+49 221 4710123', "
                "or say which country's spelling it is: region='DE' (or TENIOS_REGION=DE).",
            ) from None
        raise InvalidRequestError(f"{number!r} is no telephone number.") from None
    if parsed.extension:
        raise InvalidRequestError(f"{number!r} has an extension, which cannot be dialled; give the number without it.")

    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(parsed.country_code or 0, ())
    national = phonenumbers.national_significant_number(parsed)
    if any(phonenumbers.is_emergency_number(national, each) for each in regions):
        raise InvalidRequestError(f"{number!r} is an emergency number; nobody is called back there.")
    if not phonenumbers.is_possible_number(parsed) or any(
        phonenumbers.is_possible_short_number_for_region(parsed, each) and not phonenumbers.is_valid_number(parsed)
        for each in regions
    ):
        raise InvalidRequestError(
            f"{number!r} is too short, too long or a short code; it cannot be dialled from abroad."
        )
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
