"""How a phone number is written: its digits, and what stands between them."""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise
from typing import NamedTuple

# The text that is allowed before and between the digits. All other text is refused: phonenumbers
# would ignore it or convert letters to digits. Patterns are compiled at first use, because that
# takes longer than importing this module.
_LEAD = r"(?i)(?:tel: *)?(?:\( *)?\+? *(?:\( *)?"
_GAP = r" *\)? *[-./]? *\(? *"
_EXTENSION = r"(?i)\s*[,;]*\s*(?:ext(?:ension|n)?\b|durchwahl|dw\b|app\b|x\b|x(?=\d)|#|;)"
_DAY, _MONTH, _YEAR = r"(?:0?[1-9]|[12]\d|3[01])", r"(?:0?[1-9]|1[0-2])", r"(?:19|20)\d\d"
_DATE = (
    rf"(?:{_DAY}[./ -]+{_MONTH}|{_MONTH}[./ -]+{_DAY})[./ -]+{_YEAR}(?!\d)"
    rf"|{_YEAR}[./ -]+{_MONTH}[./ -]+{_DAY}(?!\d)"
    rf"|(?:{_DAY}[./-]{_MONTH}|{_MONTH}[./-]{_DAY})[./-]\d\d$"
    rf"|\d\d[./-]{_MONTH}[./-]{_DAY}$"
    rf"|{_YEAR}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:\d{{4}}|\d{{6}})?$"
    rf"|(?:(?:0[1-9]|[12]\d|3[01])(?:0[1-9]|1[0-2])|(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01]))"
    rf"{_YEAR}$"
)
_TIME = r".*(?<!\d)\d{1,2}:\d\d(?!\d)"
# Groups of digits, joined by spaces, that may be a date with its year, or several dates and times.
_CLOCK = r"(?:[01]?\d|2[0-3]) [0-5]\d(?: [0-5]\d)?"
_CALENDAR = rf"(?:{_DAY} {_MONTH}|{_MONTH} {_DAY})"
_DATED = rf"(?:{_CALENDAR} (?:19|20)?\d\d|(?:19|20)?\d\d {_MONTH} {_DAY})"
_MOMENT = rf"(?:{_DATED}|{_CALENDAR}|{_CLOCK})"
_COMPACT = r"(?:[01]\d|2[0-3])[0-5]\d"
_MOMENTS = rf"{_DATED}(?: {_COMPACT}(?:\d\d)?)?|{_MOMENT}(?: {_MOMENT})+|{_COMPACT} {_COMPACT}"
_IS_A_DATE = (
    "it looks like a date or a time. If it is a phone number, write it with its country code, such "
    "as '+49 221 4710123'."
)
_SCIENTIFIC = r"(?i)[+-]?\d+(?:[.,]\d*)?e[+-]?\d+$"
_DECIMAL = r"-?(?:[1-9]\d*|0)[.,]\d+$|\+\d{7,}[.,]\d+$"
_MAX_LENGTH = 60
_QUOTED = 12
_MIN_NUMBER = 6
# Invisible characters, such as the direction marks that phones copy. U+202E, which shows digits in
# reverse, is not among them.
_INVISIBLE = (
    "\xad\u061c\u180e\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u2060\u2066\u2067\u2068\u2069"
    "\ufeff"
)


class Gap(NamedTuple):
    """
    The separator between two groups of digits.

    Attributes:
        position: The number of digits before it.
        text: Its text, such as " ", "-" or ") ".
        rest: The text from here to the end.
    """

    position: int
    text: str
    rest: str


class Written(NamedTuple):
    """
    A number as it is written.

    Attributes:
        given: The whole text, quoted for messages.
        has_plus: Whether there is a plus sign before the digits.
        digits: All digits.
        gaps: The separators, in order.
    """

    given: str
    has_plus: bool
    digits: str
    gaps: tuple[Gap, ...]

    @property
    def groups(self) -> list[str]:
        bounds = [0, *(gap.position for gap in self.gaps), len(self.digits)]
        return [self.digits[begin:end] for begin, end in pairwise(bounds)]

    def without_prefix(self, prefix: str) -> Written:
        """Return the number with a plus sign instead of *prefix*."""
        gaps = [gap._replace(position=gap.position - len(prefix)) for gap in self.gaps]
        gaps = [gap for gap in gaps if gap.position or "/" in gap.text]
        return self._replace(has_plus=True, digits=self.digits[len(prefix) :], gaps=tuple(gaps))

    def check_dates(self, usual: list[list[str]]) -> None:
        """Raise ValueError for dates and times, unless they are grouped as *usual* or by spaces."""
        separators = {re.sub(r"[() ]", "", gap.text) for gap in self.gaps[1:] or self.gaps}
        is_usual = separators <= {""} or (self.groups in usual and len(separators) == 1)
        if not is_usual and not self.has_plus and re.fullmatch(_MOMENTS, " ".join(self.groups)):
            raise ValueError(f"{self.given} is not a phone number: {_IS_A_DATE}")


def read_text(number: str) -> Written:
    """Return the digits and separators. Raises ValueError for any other text."""
    text = (number if number.isascii() else "".join(map(_ascii, number))).strip()
    text = re.sub(" ?\u200b+ ?", " ", text).strip()
    if len(text) > _MAX_LENGTH:
        raise ValueError(
            f"A text of {len(text)} characters is not a phone number. Write only one number."
        )
    given = repr(number)
    if reason := _other_kind(text):
        raise ValueError(f"{given} is not a phone number: {reason}")
    if not _is_balanced(text):
        raise ValueError(f"{given} has unbalanced parentheses.")
    lead, *parts = re.split(r"([0-9]+)", text)
    gaps, position, offset = [], 0, len(lead)
    if not parts:
        raise ValueError(
            f"{given} is not a phone number: it has no digits. Write a number such as "
            "'+49 221 4710123'."
        )
    if not re.fullmatch(_LEAD, lead):
        raise _not_a_part(given, lead.strip(), position=0)
    for digits, gap in zip(parts[::2], parts[1::2], strict=True):
        position, offset = position + len(digits), offset + len(digits)
        rest = text[offset:]
        if not re.fullmatch(_GAP, gap) or gap == rest != "":
            raise _not_a_part(given, rest, position)
        gaps.append(Gap(position, gap, rest))
        offset += len(gap)
    return Written(given, "+" in lead, "".join(parts[::2]), tuple(gaps[:-1]))


def _other_kind(text: str) -> str | None:
    """Return the reason if *text* is another kind of data, such as a date; else None."""
    if re.search(r"[\n\r\t\v\f\x1c-\x1e\x85\u2028\u2029]", text):
        return "it has several lines or columns. Write only one number."
    if re.match(_SCIENTIFIC, text):
        return (
            "it is in scientific notation, so a spreadsheet has dropped digits. Format the column "
            "as text and enter the number again."
        )
    if re.match(_DECIMAL, text):
        return (
            "it has a decimal fraction. Export the column as text, not as a number, and write a "
            "country code with its plus sign."
        )
    if re.match(_TIME, text) or re.match(_DATE, text):
        return _IS_A_DATE
    return None


def _not_a_part(given: str, rest: str, position: int) -> ValueError:
    part = rest if len(rest) <= _QUOTED else f"{rest[:_QUOTED]}…"
    if min(position, len(re.findall("[0-9]", rest))) >= _MIN_NUMBER:
        return ValueError(
            f"{given} contains two numbers: {part!r} follows the first. Write only one of them."
        )
    if position and re.match(_EXTENSION, rest):
        return ValueError(
            f"{given} has an extension, which cannot be dialled. Write the number without it."
        )
    return ValueError(f"{given} is not a phone number: {part!r} is not part of one.")


def _ascii(character: str) -> str:
    """Return a digit, space, hyphen, plus sign or parenthesis in ASCII."""
    if (digit := unicodedata.decimal(character, None)) is not None:
        return str(digit)
    if character in _INVISIBLE:
        return ""
    category = unicodedata.category(character)
    if category == "Pd" or character == "\N{MINUS SIGN}":
        return "-"
    if category == "Zs":
        return " "
    # Plus signs and parentheses of another width, but no superscripts and no fractions.
    return character if category[0] in "LN" else unicodedata.normalize("NFKC", character)


def _is_balanced(text: str) -> bool:
    depth = 0
    for character in text:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth not in {0, 1}:
            return False
    return depth == 0
