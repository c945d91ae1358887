"""Text that contains more than a number is refused, because someone else could be called."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenios_ext import to_e164

NUMBER = "+492214710123"


@pytest.mark.parametrize(
    ("spelling", "fault"),
    [
        ("+49 221 4710123 (Max)", "Max"),
        ("+49 221 471O123", "O123"),
        ("+49 221 471l123", "l123"),
        ("+49 221 4710123 Max", "Max"),
        ("Max +49 221 4710123", "Max"),
        ("+49 221 CALLNOW", "CALLNOW"),
        ("+49 221 4710123; +49 30 23125000", "+49 30"),
        ("+49 221 4710123, +49 30 23125000", ", "),
        ("+49 221 4710123\t*1", "*1"),
        ("+49 221 4710123#1", "#1"),
        ("+49 221 +4710123", "+4710123"),
        ("++49 221 4710123", "+49"),
        ("49+221 4710123", "+221"),
        ("+49 221 4710123?", "?"),
        ("+49 221 4710123@example.com", "@example"),
        ("https://wa.me/492214710123", "https"),
        ("+49 221 4710123 \N{TELEPHONE RECEIVER}", "\N{TELEPHONE RECEIVER}"),
        ("+49 221 471\N{ROMAN NUMERAL ONE}123", "\N{ROMAN NUMERAL ONE}"),
        ("+49 221 471\N{SUPERSCRIPT TWO}123", "\N{SUPERSCRIPT TWO}"),
        ("tel:+49-221-4710-123;phone-context=example.com", "extension"),
        ("+49 221 4710123;ext=5", "extension"),
        ("+49 221 4710123 x5", "extension"),
        ("(+49 221 4710123", "unbalanced parentheses"),
        ("+49 221) 4710123", "unbalanced parentheses"),
        ("+49 ((221)) 4710123", "unbalanced parentheses"),
        ("+49 )221( 4710123", "unbalanced parentheses"),
    ],
)
def test_anything_that_is_not_part_of_a_number_is_refused(spelling: str, fault: str) -> None:
    with pytest.raises(ValueError, match=re.escape(fault)):
        to_e164(spelling)


@pytest.mark.parametrize(
    "spelling",
    [
        "\u202a+49 221 4710 123\u202c",
        "\u200e+49 221 4710 123",
        "+49\u200b221\u200b4710\u200b123",
        "\ufeff+492214710123",
        "+49\u00a0221\u202f4710\u2009123",
        "+49\u2011221\u20114710\u2013123",
        "+49\u2212221 4710123",
        "\uff0b\uff14\uff19\uff12\uff12\uff11\uff14\uff17\uff11\uff10\uff11\uff12\uff13",
        "+\u0664\u0669\u0662\u0662\u0661\u0664\u0667\u0661\u0660\u0661\u0662\u0663",
        "+\u096a\u096f\u0968\u0968\u0967\u096a\u096d\u0967\u0966\u0967\u0968\u0969",
        "(+49) 221 4710123",
        "(+49 221) 4710123",
        "+49.221.4710.123",
        "+49 221/4710123",
        "TEL:+49-221-4710-123",
        "tel: +49 221 4710 123",
    ],
)
def test_invisible_marks_separators_and_digits_of_other_scripts_are_understood(
    spelling: str,
) -> None:
    assert to_e164(spelling) == NUMBER


@given(
    st.text(alphabet=st.characters(exclude_categories=["Nd", "Cf", "Zs", "Pd"]), min_size=1),
    st.integers(0, 13),
)
def test_text_within_a_number_never_changes_who_is_called(text: str, position: int) -> None:
    try:
        found = to_e164(NUMBER[:position] + text + NUMBER[position:])
    except ValueError:
        return
    assert found == NUMBER
