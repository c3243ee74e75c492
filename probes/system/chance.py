"""Numbers that nobody can guess, straight from the system: ``secrets`` brings ``hmac`` and ``random`` along, 3 ms."""

from __future__ import annotations

import os


def below(limit: int) -> int:
    """Return a number from 0 to ``limit`` - 1 (``limit`` far below 2**64: its remainder prefers none noticeably)."""
    return int.from_bytes(os.urandom(8)) % limit
