"""The hours in which customers are called."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from attrs import define, field

from tenios_ext import ConfigurationError
from tenios_ext.shared import requires_extra

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_NAMES = "|".join(_DAYS)
_PART = re.compile(rf"(?:({_NAMES})(?:-({_NAMES}))?\s+)?(\d\d):(\d\d)-(\d\d):(\d\d)", re.IGNORECASE)
_DAY = timedelta(days=1)
#: Maximum days to search for the next opening.
_HORIZON = 60


def machine_zone() -> str | None:
    """Return the name of this machine's time zone; None if it is UTC or unknown."""
    try:
        path = os.environ.get("TZ") or str(Path("/etc/localtime").readlink())
    except OSError:
        return None
    name = path.rpartition("zoneinfo/")[2].lstrip(":")
    with suppress(ValueError):
        find_zone(name)
        return name if "/" in name and not name.startswith("Etc/") else None
    return None


def find_zone(name: str) -> ZoneInfo:
    """Return a time zone. Raises ValueError if there is none of this name."""
    try:
        return ZoneInfo(name)
    except (ValueError, LookupError, OSError):
        raise ValueError(
            f"There is no time zone {name!r}. Use one such as Europe/Berlin."
        ) from None


def _to_zone(zone: str | None) -> str:
    return zone or machine_zone() or ""


@define(frozen=True, slots=False)
class OpeningHours:
    """
    The hours in which callbacks are started.

    Args:
        between: The hours of each day, such as "09:00-18:00", or of some days of the week, such as
            "Mon-Fri 09:00-18:00, Sat 10:00-14:00". Hours whose end is not after their start end on
            the next day: "00:00-00:00" means always.
        zone: The name of the time zone, such as "Europe/Berlin"; None for this machine's.
        holidays: The country or part of a country on whose public holidays no callbacks are
            started, such as "DE" or "DE-NW"; None to ignore holidays.

    Raises:
        ValueError: An argument is invalid.
    """

    between: str = field()
    zone: str = field(default=None, converter=_to_zone)
    holidays: str | None = None

    def __attrs_post_init__(self) -> None:
        if not self.zone:
            raise ValueError(
                "This machine's time zone is UTC or unknown, so the hours need a time zone such "
                "as Europe/Berlin."
            )
        _ = self._clock, self._weekly

    @cached_property
    def _clock(self) -> ZoneInfo:
        return find_zone(self.zone)

    @cached_property
    def _weekly(self) -> list[list[tuple[time, time]]]:
        """The hours of each day of the week."""
        weekly: list[list[tuple[time, time]]] = [[] for _ in _DAYS]
        for part in self.between.split(","):
            found = _PART.fullmatch(part.strip())
            try:
                first, last, *clock = found.groups() if found else ()
                hour, minute, last_hour, last_minute = map(int, clock)
                opens, closes = time(hour, minute), time(last_hour, last_minute)
            except ValueError:
                raise ValueError(
                    f"{part.strip()!r} is not a valid time range. Write it like 09:00-18:00 or "
                    "Mon-Fri 09:00-18:00, Sat 10:00-14:00."
                ) from None
            begin = _DAYS.index(first.lower()) if first else 0
            end = _DAYS.index((last or first).lower()) if first else 6
            for day in range(begin, end + 1 if end >= begin else end + 8):
                weekly[day % 7].append((opens, closes))
        return weekly

    @cached_property
    def _days_off(self) -> Any:
        if self.holidays is None:
            return ()
        country, _, part = self.holidays.partition("-")
        with requires_extra("campaign", ConfigurationError):
            library = import_module("holidays")  # takes a third of a second
        try:
            return library.country_holidays(country, subdiv=part or None)
        except NotImplementedError:
            raise ValueError(
                f"There are no holidays for {self.holidays!r}. Use a code such as DE or DE-NW."
            ) from None

    def _of(self, day: date) -> list[tuple[time, time]]:
        return self._weekly[day.weekday()]

    def is_open(self, now: float) -> bool:
        """Return whether callbacks may be started at *now* (seconds since the epoch)."""
        local = datetime.fromtimestamp(now, UTC).astimezone(self._clock)
        day, clock = local.date(), local.time()
        return day not in self._days_off and (
            any(
                opens <= clock and (clock < closes or closes <= opens)
                for opens, closes in self._of(day)
            )
            or any(clock < closes <= opens for opens, closes in self._of(day - _DAY))
        )

    def next_opening(self, now: float) -> float:
        """Return the next time at which callbacks may be started, if they may not be at *now*."""
        today = datetime.fromtimestamp(now, self._clock).date()
        # At a full hour, a holiday can end and the clocks can change.
        hours = [time(hour, fold=fold) for hour in range(24) for fold in (0, 1)]
        for day in (today + _DAY * number for number in range(_HORIZON)):
            times = [*hours, *(opens for opens, _ in self._of(day))]
            at = [datetime.combine(day, each, self._clock).timestamp() for each in times]
            if found := [each for each in at if each > now and self.is_open(each)]:
                return min(found)
        return now + _HORIZON * _DAY.total_seconds()

    def describe(self, at: float) -> str:
        """Return a time such as "Mon 2026-11-30 09:00 (Europe/Berlin)"."""
        local = datetime.fromtimestamp(at, self._clock)
        return f"{local:%a %Y-%m-%d %H:%M} ({self.zone})"
