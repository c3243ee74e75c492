"""Moments as texts give them: a certificate's days, the clock of an HTTP server, when an observation began."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

#: The names of months in an HTTP date (RFC 9110, section 5.6.7).
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def at(seconds: float) -> datetime:
    """Return a moment given in seconds since the epoch; what no calendar holds becomes its first day."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, UTC)


def of_text(text: str | None) -> datetime | None:
    """Return a moment written as ``2026-11-28T17:12:13Z``, ``None`` where there is none."""
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None


def of_header(text: str | None) -> datetime | None:
    """Return a moment as the header Date has it, ``Sat, 28 Nov 2026 17:12:13 GMT``; ``None`` for anything else."""
    words = (text or "").replace(":", " ").split()
    try:
        _day, day, month, year, hour, minute, second, _zone = words
        numbers = (int(year), _MONTHS.index(month) + 1, int(day), int(hour), int(minute), int(second))
        return datetime(*numbers, tzinfo=UTC)
    except ValueError:
        return None


def day(moment: datetime) -> str:
    """Return a moment's day, ``2026-11-28``."""
    return f"{moment:%Y-%m-%d}"


def minute(moment: datetime) -> str:
    """Return a moment to the minute, UTC."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def days(first: datetime, second: datetime) -> int:
    """Return how many whole days lie between two moments."""
    return abs(second - first) // timedelta(days=1)


def apart(first: datetime, second: datetime) -> bool:
    """Whether two clocks differ by more than a day: time zones and slow answers explain less than that."""
    return abs(first - second) > timedelta(days=1)
