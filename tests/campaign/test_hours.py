"""Opening hours: when callbacks may be started."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tenios_campaign import OpeningHours
from tenios_campaign._hours import machine_zone
from tenios_ext import ConfigurationError

BERLIN = ZoneInfo("Europe/Berlin")
DAY, NIGHT = "09:00-18:00", "22:00-06:00"
WEEK = "Mon-Fri 09:00-18:00, Sat 10:00-14:00"


def at(text: str) -> float:
    """
    Return a time by the clocks of Berlin in seconds since the epoch; with a "b" at its end, the
    second of that name.
    """
    local = datetime.fromisoformat(text.rstrip("b"))
    return local.replace(tzinfo=BERLIN, fold=text.endswith("b")).timestamp()


@pytest.mark.parametrize(
    ("between", "now", "opens"),
    [
        (DAY, "2026-11-25 08:59:59", "2026-11-25 09:00"),
        (DAY, "2026-11-25 09:00", None),
        (DAY, "2026-11-25 17:59:59.9", None),
        (DAY, "2026-11-25 18:00", "2026-11-26 09:00"),
        (DAY, "2026-12-31 23:00", "2027-01-01 09:00"),
        (NIGHT, "2026-11-25 21:59", "2026-11-25 22:00"),
        (NIGHT, "2026-11-26 05:59", None),
        (NIGHT, "2026-11-26 06:00", "2026-11-26 22:00"),
        ("00:00-00:00", "2026-11-25 00:00", None),
        ("12:00-12:00", "2026-11-25 11:59", None),
        (WEEK, "2026-11-27 17:59", None),
        (WEEK, "2026-11-27 18:00", "2026-11-28 10:00"),
        (WEEK, "2026-11-28 14:00", "2026-11-30 09:00"),
        ("sat-mon 09:00-10:00", "2026-11-28 10:00", "2026-11-29 09:00"),
        ("sat-mon 09:00-10:00", "2026-11-30 10:00", "2026-12-05 09:00"),
        ("Fri 22:00-06:00", "2026-11-28 05:59", None),
        ("Fri 22:00-06:00", "2026-11-27 05:59", "2026-11-27 22:00"),
        # The clocks go forward: there is no 02:00 to 03:00.
        ("02:30-05:00", "2026-03-29 01:59", "2026-03-29 03:00"),
        ("00:00-02:30", "2026-03-29 01:59", None),
        ("00:00-02:30", "2026-03-29 03:00", "2026-03-30 00:00"),
        (DAY, "2026-03-28 18:00", "2026-03-29 09:00"),
        # They go back: 02:00 to 03:00 happens twice.
        ("02:30-05:00", "2026-10-25 02:30", None),
        ("02:30-05:00", "2026-10-25 02:30b", None),
        ("00:00-02:30", "2026-10-25 02:30b", "2026-10-26 00:00"),
        ("01:30-02:30", "2026-10-25 02:50", "2026-10-25 02:00b"),
        (DAY, "2026-10-24 18:00", "2026-10-25 09:00"),
    ],
)
def test_hours_are_in_local_time(between: str, now: str, opens: str | None) -> None:
    hours = OpeningHours(between, "Europe/Berlin")
    assert hours.is_open(at(now)) is (opens is None)
    if opens is not None:
        assert hours.next_opening(at(now)) == at(opens)
        assert hours.is_open(at(opens))


@pytest.mark.parametrize(
    ("between", "holidays", "now", "opens"),
    [
        (DAY, None, "2026-10-03 12:00", None),
        (DAY, "DE", "2026-10-03 12:00", "2026-10-04 09:00"),
        (DAY, "DE", "2026-11-01 12:00", None),
        (DAY, "DE-NW", "2026-11-01 12:00", "2026-11-02 09:00"),
        (DAY, "DE-NW", "2026-12-24 18:00", "2026-12-27 09:00"),
        ("22:00-06:00", "DE-NW", "2026-12-25 05:00", "2026-12-27 00:00"),
        ("22:00-06:00", "DE-NW", "2026-12-27 05:00", None),
    ],
)
def test_hours_exclude_holidays(
    between: str, holidays: str | None, now: str, opens: str | None
) -> None:
    hours = OpeningHours(between, "Europe/Berlin", holidays)
    assert hours.is_open(at(now)) is (opens is None)
    if opens is not None:
        assert hours.next_opening(at(now)) == at(opens)


def test_times_are_described_with_their_zone() -> None:
    hours = OpeningHours(DAY, "Europe/Berlin")
    assert hours.describe(at("2026-11-30 09:00")) == "Mon 2026-11-30 09:00 (Europe/Berlin)"


@pytest.mark.parametrize(
    "text",
    ["9-18", "09:00", "09:00-24:00", "09:60-10:00", "", "09:00-18:00h", "Mon-Foo 09:00-10:00"],
)  # fmt: skip
def test_invalid_hours_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a valid time range"):
        OpeningHours(text, "Europe/Berlin")


def test_unknown_zone_and_holidays_are_refused() -> None:
    with pytest.raises(ValueError, match="no time zone 'Europe/Atlantis'"):
        OpeningHours(DAY, "Europe/Atlantis")
    with pytest.raises(ValueError, match="no holidays for 'DE-XX'"):
        OpeningHours(DAY, "Europe/Berlin", "DE-XX").is_open(0)


def test_holidays_without_the_extra_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "holidays", None)
    with pytest.raises(ConfigurationError, match=r"Run: pip install 'tenios-callback\[campaign\]'"):
        OpeningHours(DAY, "Europe/Berlin", "DE-NW").is_open(0)


@pytest.mark.parametrize(
    ("variable", "link", "zone"),
    [
        (None, "/usr/share/zoneinfo/America/New_York", "America/New_York"),
        (None, "/usr/share/zoneinfo/Etc/UTC", None),
        (None, "/usr/share/zoneinfo/UTC", None),
        (None, "/somewhere", None),
        (None, None, None),
        ("Europe/Berlin", None, "Europe/Berlin"),
        (":/usr/share/zoneinfo/Europe/Berlin", "/usr/share/zoneinfo/Etc/UTC", "Europe/Berlin"),
        ("CET-1CEST", None, None),
    ],
)
def test_zone_of_this_machine_is_used_if_it_has_a_name(
    variable: str | None, link: str | None, zone: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def readlink(_: Path) -> Path:
        if link is None:
            raise OSError
        return Path(link)

    monkeypatch.delenv("TZ", raising=False)
    if variable is not None:
        monkeypatch.setenv("TZ", variable)
    monkeypatch.setattr(Path, "readlink", readlink)
    assert machine_zone() == zone
    if zone is None:
        with pytest.raises(ValueError, match="need a time zone"):
            OpeningHours(DAY)
    else:
        assert OpeningHours(DAY).zone == zone
