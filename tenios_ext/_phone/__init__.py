"""
Converts phone numbers to E.164. Ambiguous numbers are refused.

This takes three steps: the characters (:mod:`._text`), the meaning of the digits
(:mod:`._reading`), and their groups (:mod:`._groups`). No step completes or corrects a number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._text import read_text

if TYPE_CHECKING:
    from collections.abc import Collection


def check_region(region: object) -> str:
    """Return *region* in upper case. Raises ValueError unless it is an ISO 3166 code ("DE")."""
    import phonenumbers

    if not isinstance(region, str) or region.upper() not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError(f"region must be a two-letter ISO 3166 code such as 'DE', got {region!r}.")
    return region.upper()


def to_e164(
    number: str,
    *,
    region: str | None = None,
    allowed_regions: Collection[str] | None = None,
    allow_special_numbers: bool = False,
) -> str:
    """
    Return *number* in E.164, such as ``+492214710123``, as TENIOS expects it.

    A number is refused unless there is exactly one way to read it. Without a country code, it must
    be valid in *region* and written as you would dial it there: ``0221 4710123`` in Germany.

    Args:
        number: Any usual spelling: ``+49 221 4710 123``, ``0049 221 4710123``; with a region also
            ``(0221) 4710-123``.
        region: The country of a number without a country code: a two-letter ISO 3166 code, such as
            "DE".
        allowed_regions: The countries whose numbers are accepted; None for all.
        allow_special_numbers: Whether to accept premium-rate, shared-cost, personal, pager and
            satellite numbers.

    Raises:
        TypeError: *number* is not a str, or *allowed_regions* is one.
        ValueError: *number* is refused. The message says why and how to write it.
    """
    # Loading libphonenumber's tables takes 0.1 seconds, and status requests do not need them.
    from ._price import check_place, check_price
    from ._reading import read_number

    if region is not None:
        region = check_region(region)
    if isinstance(allowed_regions, str):
        raise TypeError(
            f"allowed_regions must be a list such as ['DE', 'AT'], got {allowed_regions!r}."
        )
    if allowed_regions is not None:
        allowed_regions = frozenset(map(check_region, allowed_regions))
    if not isinstance(number, str):
        raise TypeError(
            f"A phone number must be a str such as '+49 221 4710123', got {type(number).__name__}."
        )
    found = read_number(read_text(number), region)
    check_price(found, allow_special_numbers=allow_special_numbers)
    check_place(found, allowed_regions)
    return found.e164
