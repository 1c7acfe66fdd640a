"""Periods to compare with: the one just before, or the same weekdays a week ago."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from dashboard.conditions import Bind

#: Values of the parameter `compare`.
COMPARISONS = ("previous", "week")


@dataclass(frozen=True, slots=True)
class Shift:
    """How far back a period lies: whole days of the zone's calendar, or seconds where `days` is 0."""

    zone: ZoneInfo
    days: int = 0
    seconds: int = 0

    def back(self, moment: dt.datetime) -> dt.datetime:
        """The instant (UTC) of the earlier period that stands for `moment`; the same time of day for days."""
        if not self.days:
            return moment - dt.timedelta(seconds=self.seconds)
        local = moment.astimezone(self.zone).replace(tzinfo=None) - dt.timedelta(days=self.days)
        return local.replace(tzinfo=self.zone).astimezone(dt.UTC)

    def forward(self, name: str, bind: Bind) -> str:
        """SQL for the times of column `name` as they would be in the later period."""
        if self.days:
            return f"addDays(toTimeZone({name}, {bind(self.zone.key, 'String')}), {bind(self.days, 'Int32')})"
        return f"addSeconds({name}, {bind(self.seconds, 'Int64')})"


def shift(compare: str, since: dt.datetime, until: dt.datetime, zone: ZoneInfo) -> Shift:
    """From the period between `since` and `until` to the one that `compare` names.

    Whole days are compared with as many whole days, also where the clocks are changed.
    """
    if compare == "week":
        return Shift(zone, days=7)
    first, last = since.astimezone(zone), until.astimezone(zone)
    if first.time() == last.time() == dt.time():
        return Shift(zone, days=(last.date() - first.date()).days)
    return Shift(zone, seconds=int((until - since).total_seconds()))
