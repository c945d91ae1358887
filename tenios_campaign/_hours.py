"""The hours in which customers are called."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from attrs import field, frozen

_TIMES = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)")
_DAY = timedelta(days=1)


def _to_zone(zone: str | tzinfo | None) -> tzinfo | None:
    return ZoneInfo(zone) if isinstance(zone, str) else zone


@frozen
class OpeningHours:
    """
    The hours of each day in which callbacks are started.

    Args:
        opens: When they begin, by the clocks of *zone*.
        closes: When they end; earlier than *opens* if that is after midnight.
        zone: A time zone or its name, such as "Europe/Berlin"; None for this machine's.

    Raises:
        ValueError: Both times are the same.
        ZoneInfoNotFoundError: There is no such time zone.
    """

    opens: time
    closes: time = field()
    zone: tzinfo | None = field(default=None, converter=_to_zone)

    @closes.validator
    def _check(self, _: object, closes: time) -> None:
        if closes == self.opens:
            raise ValueError(f"opens and closes must differ, got {closes:%H:%M} for both.")

    @classmethod
    def parse(cls, text: str, zone: str | tzinfo | None = None) -> OpeningHours:
        """
        Return the hours in a text such as "09:00-18:00". Raises ValueError and
        ZoneInfoNotFoundError.
        """
        found = _TIMES.fullmatch(text.strip())
        if found is None:
            raise ValueError(f"Write the hours like 09:00-18:00, got {text!r}.")
        opens_hour, opens_minute, closes_hour, closes_minute = map(int, found.groups())
        return cls(time(opens_hour, opens_minute), time(closes_hour, closes_minute), zone)

    def seconds_until_open(self, now: float) -> float:
        """
        Return the seconds from *now*, a time since the epoch, until callbacks may be started; 0 if
        they may be now.
        """
        local = datetime.fromtimestamp(now, UTC).astimezone(self.zone)
        clock = local.time()
        after, before = clock >= self.opens, clock < self.closes
        if (after and before) if self.opens < self.closes else (after or before):
            return 0.0
        day = local.date() if clock < self.opens else local.date() + _DAY
        # None is this machine's zone for timestamp(), too.
        opens = datetime.combine(day, self.opens, self.zone)
        return max(opens.timestamp() - now, 0.0)
