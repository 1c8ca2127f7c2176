"""Days and months in the lender's time zone, as people name and read them; the times of records are in UTC."""

import tomllib
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

from inference.errors import BadSetting

AFTER_ALL = "9999-12-31T24"  # later than the time of any record


def zone_of(name: object) -> ZoneInfo:
    """The time zone of this name. Raises `ValueError`."""
    try:
        return ZoneInfo(str(name))
    except (OSError, KeyError, ValueError):  # ZoneInfoNotFoundError is a KeyError
        raise ValueError(
            f"work.time_zone: {name}: this system knows no such zone; one like Europe/Paris is needed"
        ) from None


def zone_in(lender: Path | None) -> tzinfo:
    """The `time_zone` in the section `[work]` of a lender's file, for commands; UTC where none is named. Raises
    `BadSetting`."""
    if lender is None:
        return UTC
    try:
        work = tomllib.loads(lender.read_text("utf-8")).get("work", {})
        return zone_of(work.get("time_zone", "UTC"))
    except OSError as error:
        raise BadSetting(
            f"TENFOLD_LENDER: {lender}: {error.strerror}. Name an existing file, or leave it unset"
        ) from None
    except (ValueError, AttributeError) as error:
        raise BadSetting(f"TENFOLD_LENDER: {lender}: {error}") from None


def local(time: str, zone: tzinfo) -> datetime:
    """A record's time (ISO, UTC) in a time zone."""
    return datetime.fromisoformat(time).astimezone(zone)


def local_day(time: str, zone: tzinfo) -> str:
    """The ISO date of a record's time in a time zone; its first seven characters are the month."""
    return local(time, zone).date().isoformat()


def day_start(day: date, zone: tzinfo) -> str:
    """The time, as records have it, with which a day begins: of two midnights the first, of none what stands for it."""
    try:
        moment = datetime.combine(day, time.min, zone).astimezone(UTC)
    except OverflowError:  # the first or the last day of the calendar
        return f"{day}T"
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def day_end(day: date, zone: tzinfo) -> str:
    """The time with which the day after it begins."""
    return AFTER_ALL if day == date.max else day_start(day + timedelta(days=1), zone)
