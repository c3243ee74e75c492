"""How far a check is, and how long it is likely to take still."""

from __future__ import annotations

import time

import msgspec


class Progress(msgspec.Struct, kw_only=True):
    """Counts of a check that is under way, filled in by it and read by whoever shows them.

    ``tried`` of ``total`` targets have had their attempts; of those, ``failures`` want an explanation and
    ``explained`` have one. The explanations are begun when all have been tried. ``waits_s`` is how long a target is
    waited for at most.
    """

    total: int = 0
    tried: int = 0
    failures: int = 0
    explained: int = 0
    waits_s: float = 0.0
    began_s: float = msgspec.field(default_factory=time.monotonic)
    _ends_s: float | None = None

    def expect(self, seconds: float) -> None:
        """Take note that the explanations are likely to be there in so many seconds from now."""
        self._ends_s = time.monotonic() + seconds

    @property
    def explaining(self) -> bool:
        """Whether the explanations are under way."""
        return self._ends_s is not None

    @property
    def left_s(self) -> int | None:
        """Whole seconds that are left, never less than one; ``None`` while that cannot be told."""
        now = time.monotonic()
        if self._ends_s is not None:
            return max(1, round(self._ends_s - now))
        went_s = now - self.began_s
        by_others_s = went_s / self.tried * (self.total - self.tried) if self.tried else None
        if self.waits_s:
            by_others_s = max(by_others_s or 0.0, self.waits_s - went_s)
        return None if by_others_s is None else max(1, round(by_others_s))
