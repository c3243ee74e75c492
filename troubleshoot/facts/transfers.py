"""What a pair of transfers shows: the same dialogue over long segments and over short ones. Pure."""

from __future__ import annotations

from typing import Final

import msgspec

from probes.transfer import TransferOutcome, TransferResult, Trial

#: A connection that was watched for less is not known to stall: the retransmissions of three packets lie in it.
_STALLED_MS: Final = 1000.0


class Contrast(msgspec.Struct, frozen=True):
    """``long`` stands still and ``short`` came to its end: by its segments alone the one differs from the other.

    ``back`` tells that the answer is what is missing, not what was said. ``repeated`` tells that both were seen twice.
    ``works`` is the greatest size of IP packets with which the dialogue came to its end, bytes.
    """

    long: Trial
    short: Trial
    back: bool
    repeated: bool
    works: int


def contrast(result: TransferResult | None) -> Contrast | None:
    """Return what proves that long packets are lost, ``None`` where the connections do not.

    More must be due than fits into a short segment, and no size may work above one that does not.
    """
    trials = result.trials if result is not None else ()
    alike = [t for t in trials if not t.bound and t.mss == trials[0].mss]
    stalled = [t for t in alike if _stands(t)]
    whole = [t for t in trials if t.bound and t.outcome is TransferOutcome.WHOLE]
    if not stalled or stalled[0] is not trials[0] or not whole:
        return None
    long, short = stalled[0], min(whole, key=lambda t: t.bound)
    if any(_got_there(t, short) for t in alike):
        return None  # it got there, if late
    unsaid = long.acknowledged < long.said
    if not unsaid and not (short.received > short.mss and short.received > long.received):
        return None
    lengths = [t.mss for t in trials if t.outcome is TransferOutcome.WHOLE]
    failing = [t.mss for t in stalled] + [t.mss for t in trials if _stands(t) and not _got_there(t, short)]
    if max(lengths) >= min(failing):
        return None
    twice = len(stalled) > 1 and sum(t.bound == short.bound for t in whole) > 1
    return Contrast(long, short, not unsaid, twice, max(t.bound for t in whole))


def suspicious(result: TransferResult | None) -> bool:
    """Whether a short connection got on where the ordinary one before it has not (yet)."""
    trials = result.trials if result is not None else ()
    ahead = any(t.bound and t.received > t.mss for t in trials)
    return ahead and trials[0].outcome is TransferOutcome.STALLED


def moved(result: TransferResult | None) -> Trial | None:
    """Return the ordinary connection over which the dialogue came to its end, if it did at once."""
    first = result.trials[0] if result is not None and result.trials else None
    return first if first is not None and first.outcome is TransferOutcome.WHOLE else None


def _got_there(trial: Trial, short: Trial) -> bool:
    """Whether as much was moved as over the short segments, however the connection ended."""
    return trial.acknowledged >= trial.said and trial.received >= short.received


def _stands(trial: Trial) -> bool:
    return trial.outcome is TransferOutcome.STALLED and trial.watched_ms >= _STALLED_MS
