"""Opening hours: when the next callback may be started."""

from __future__ import annotations

import os
import time as system_time
from datetime import datetime, time
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pytest

from tenios_campaign import OpeningHours

BERLIN = ZoneInfo("Europe/Berlin")
DAY = OpeningHours(time(9), time(18), BERLIN)
NIGHT = OpeningHours(time(22), time(6), BERLIN)


def at(text: str) -> float:
    """Return a time by the clocks of Berlin in seconds since the epoch."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp()


@pytest.mark.parametrize(
    ("hours", "now", "opens"),
    [
        (DAY, "2026-11-25 08:59:59", "2026-11-25 09:00"),
        (DAY, "2026-11-25 09:00", None),
        (DAY, "2026-11-25 17:59:59.9", None),
        (DAY, "2026-11-25 18:00", "2026-11-26 09:00"),
        (DAY, "2026-12-31 23:00", "2027-01-01 09:00"),
        (NIGHT, "2026-11-25 21:59", "2026-11-25 22:00"),
        (NIGHT, "2026-11-25 22:00", None),
        (NIGHT, "2026-11-26 05:59", None),
        (NIGHT, "2026-11-26 06:00", "2026-11-26 22:00"),
        # The clocks go forward and back at night.
        (DAY, "2026-03-28 20:00", "2026-03-29 09:00"),
        (DAY, "2026-10-24 20:00", "2026-10-25 09:00"),
    ],
)
def test_next_opening_is_by_the_clocks_of_the_zone(
    hours: OpeningHours, now: str, opens: str | None
) -> None:
    expected = 0 if opens is None else at(opens) - at(now)
    assert hours.seconds_until_open(at(now)) == pytest.approx(expected)


def test_night_in_which_the_clocks_change_is_shorter_or_longer() -> None:
    assert DAY.seconds_until_open(at("2026-03-28 18:00")) == 14 * 3600
    assert DAY.seconds_until_open(at("2026-10-24 18:00")) == 16 * 3600


def test_hours_that_begin_in_the_hour_that_is_left_out_begin_after_it() -> None:
    hours = OpeningHours(time(2, 30), time(5), BERLIN)
    now = at("2026-03-29 01:00")
    opens = now + hours.seconds_until_open(now)
    assert datetime.fromtimestamp(opens, BERLIN).strftime("%H:%M") == "03:30"
    assert hours.seconds_until_open(opens) == 0


@pytest.mark.skipif(
    not hasattr(system_time, "tzset"), reason="this system cannot change the zone of a process"
)
def test_without_a_zone_the_hours_are_by_this_machines_clocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    try:
        monkeypatch.setenv("TZ", "America/New_York")
        system_time.tzset()
        now = datetime(2026, 11, 25, 12, tzinfo=ZoneInfo("UTC")).timestamp()  # 7 o'clock there
        assert OpeningHours(time(9), time(18)).seconds_until_open(now) == 2 * 3600
    finally:
        monkeypatch.undo()
        system_time.tzset()
    assert os.environ.get("TZ") != "America/New_York"


def test_text_is_parsed() -> None:
    assert OpeningHours.parse("09:00-18:30", "Europe/Berlin") == OpeningHours(
        time(9), time(18, 30), BERLIN
    )


@pytest.mark.parametrize(
    "text", ["9-18", "09:00", "09:00-24:00", "09:60-10:00", "09:00-09:00", "", "09:00-18:00h"]
)
def test_wrong_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the messages are several
        OpeningHours.parse(text)


def test_zone_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ZoneInfoNotFoundError):
        OpeningHours.parse("09:00-18:00", "Europe/Atlantis")
