"""How long a connection is waited for, by the round trips that other connections to the host took.

As TCP sets its own timer (RFC 6298), with more room; a SYN that was lost is sent once more before a target counts as
silent, from another port. Of a host that has answered nothing its network's round trips tell less, and of a network
that has answered nothing either the whole time-out is waited for.
"""

from __future__ import annotations

from typing import Final

import msgspec

from probes.budget import Punctuality
from troubleshoot.check.group import network_of

#: No answer is given less than this, seconds: of the host itself, and of others on its network.
_LEAST_S: Final = 0.25
_LEAST_BESIDE_S: Final = 0.75
#: Round trips vary more beside a thousand others than TCP reckons with.
_ROOM: Final = 2.0
#: RFC 6298, section 2: how much one sample moves the mean, and the mean deviation; and how many of the latter count.
_ALPHA: Final = 1 / 8
_BETA: Final = 1 / 4
_DEVIATIONS: Final = 4


class _Times(msgspec.Struct):
    mean_s: float
    deviation_s: float

    def learn(self, took_s: float) -> None:
        self.deviation_s += _BETA * (abs(took_s - self.mean_s) - self.deviation_s)
        self.mean_s += _ALPHA * (took_s - self.mean_s)

    @property
    def limit_s(self) -> float:
        return _ROOM * (self.mean_s + _DEVIATIONS * self.deviation_s)


class Patience:
    """Round trips by host and by network; ``punctuality`` is how late this machine itself was meanwhile."""

    def __init__(self) -> None:
        self.punctuality = Punctuality()
        self._times: dict[str, _Times] = {}

    def learn(self, address: str, took_s: float) -> None:
        """Take note of an answer of the host itself, an open connection or a refusal."""
        for place in (address, network_of(address)):
            times = self._times.get(place)
            if times is None:
                self._times[place] = _Times(took_s, took_s / 2)
            else:
                times.learn(took_s)

    def limit_s(self, address: str, most_s: float) -> float:
        """Return how long to wait for an answer from there, ``most_s`` seconds at most."""
        own = self._times.get(address)
        if own is not None:
            return min(most_s, max(_LEAST_S, own.limit_s))
        beside = self._times.get(network_of(address))
        return most_s if beside is None else min(most_s, max(_LEAST_BESIDE_S, beside.limit_s))
