"""Moments as OpenSSL prints them, in ISO 8601."""

from __future__ import annotations

import re

_MOMENT = re.compile(r"^(?P<month>[A-Z][a-z]{2})\s+(?P<day>\d{1,2}) (?P<time>\d\d:\d\d:\d\d) (?P<year>\d{4}) GMT$")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def iso(text: str) -> str | None:
    """Return ``Nov 29 12:00:00 2026 GMT`` as ``2026-11-29T12:00:00Z``, ``None`` for anything else."""
    found = _MOMENT.match(text.strip())
    if found is None or found["month"] not in _MONTHS:
        return None
    month = _MONTHS.index(found["month"]) + 1
    return f"{found['year']}-{month:02}-{int(found['day']):02}T{found['time']}Z"
