"""Checks that the groups of a written number match its digits."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import phonenumbers
from phonenumbers import PhoneNumberFormat

from ._plans import Number, groups_of, is_national, is_valid, parse

if TYPE_CHECKING:
    from ._text import Written

_MIN_NUMBER = 5
# The lengths of the groups after an area code.
_MIN_GROUP, _MAX_GROUP, _MAX_FIRST_GROUP, _LONG_GROUP = 2, 4, 5, 6
_MAX_AREA = 5
_MAX_EXTENSION = 5
_ENDING = 3
_NEIGHBOURS = 9


def check_groups(number: Number, written: Written) -> None:
    """Raise ValueError if the groups contradict the number or may be two numbers."""
    formats = (PhoneNumberFormat.INTERNATIONAL, PhoneNumberFormat.NATIONAL)
    usual = [groups_of(phonenumbers.format_number(number.parsed, each)) for each in formats]
    if number.area_length and number.start is not None:
        area_end = number.start + number.area_length
        usual.append([written.digits[:area_end], written.digits[area_end:]])
    written.check_dates(usual)
    if number.is_valid and written.groups in usual and _are_plain(written):
        return
    groups = _Groups(number, written)
    for index, gap in enumerate(written.gaps):
        if not groups.is_at_home(index):
            international = phonenumbers.format_number(number.parsed, formats[0])
            hint = (
                f"Write '{international}' if it is one number."
                if gap.text in {" ", "-"}
                else "Write one number, with single spaces between its groups."
            )
            raise ValueError(
                f"{written.given} has an unusual separator before "
                f"{gap.rest[len(gap.text) :]!r}. {hint}"
            )
        if not groups.continues(index):
            raise ValueError(
                f"{written.given} may be two numbers or a number with an extension: the digits "
                f"before {gap.rest!r} are also a complete number. Write one number without an "
                "extension, with its last digits in one group."
            )


def _are_plain(written: Written) -> bool:
    return all(gap.text in {" ", "-", ".", "(", ")", " (", ") ", ")-"} for gap in written.gaps)


class _Groups:
    """The groups of a written number, compared with the parts of the number."""

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
        # The separators and the lengths of the groups after the area code.
        self._local = [(p, text.strip() or " ") for p, text in found if p > area]
        bounds = [area, *(p for p, _ in self._local), len(number.national)]
        self._sizes = [end - begin for begin, end in pairwise(bounds)]

    def is_at_home(self, index: int) -> bool:
        """Return whether the gap is usual at this position."""
        text, position = self.gaps[index].text.replace(" - ", "-"), self._positions[index]
        if self._is_simple:  # The parts of the number are unknown.
            return text in {" ", "-"}
        if position <= 0 or position in self._number.prefixes:
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
        if text == ".":  # Not a decimal point, nor before an extension.
            return all(_MIN_GROUP <= size <= _MAX_GROUP for size in sizes) and (
                not is_whole or (self._count(".") > 1 and sizes[-1] > _MIN_GROUP)
            )
        left = len(self._number.national) - position
        is_area = ")" in text and "/" not in text and position <= _MAX_AREA
        return is_area and left >= _MAX_GROUP and not is_whole

    def continues(self, index: int) -> bool:
        """Return whether the digits after the gap belong to the same number."""
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
            # As in 4710-123, where the hyphen comes before a direct dialling number.
            if at == len(local) - 1:
                is_one_digit = len(tail) == 1 and tail != "0" and sizes[-2] >= _LONG_GROUP
                is_short = len(tail) <= _MAX_EXTENSION and not is_one_digit
                return is_short and not self._is_next(position, len(tail))
            sizes, separators = sizes[:-1], separators[:-1]
        return (
            len(set(separators)) == 1
            and sizes[0] <= _MAX_FIRST_GROUP
            and all(_MIN_GROUP <= size <= _MAX_GROUP for size in sizes[1:])
            and not self._has_two_endings()
        )

    def _has_two_endings(self) -> bool:
        """Return whether the last two groups may be alternatives, as in 23125-100-109."""
        *before, first, last = self._sizes
        end = len(self._number.national) - last
        if first != last:
            return False
        if self._is_next(end, last, limit=_NEIGHBOURS if last >= _ENDING else 1):
            return True
        return (
            bool(before)
            and self._is_whole(end - first)
            and (self._local[-1][1] != " " or (last >= _ENDING and before[-1] > last))
        )

    def _is_next(self, position: int, length: int, *, limit: int = _NEIGHBOURS) -> bool:
        """Return whether the digits from *position* are a little higher than those before it."""
        national = self._number.national
        if length == 1:
            return False
        before, after = national[position - length : position], national[position:]
        return 0 < int(after[:length]) - int(before) <= limit

    def _count(self, character: str) -> int:
        return sum(character in gap.text for gap in self.gaps)

    def _is_whole(self, position: int) -> bool:
        """Return whether the digits up to *position* are a complete number."""
        code = self._number.parsed.country_code
        return is_valid(f"+{code}{self._number.national[:position]}")

    def _is_number(self, digits: str) -> bool:
        region = phonenumbers.region_code_for_country_code(self._number.parsed.country_code or 0)
        parsed = parse(digits, region)
        return parsed is not None and is_national(parsed, digits, region)
