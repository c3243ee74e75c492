"""What is exposed: the result of one probe, and the exporter's own counts.

No label holds what a request or the network said: targets are Prometheus' own labels, everything else is one of a
bounded number of words.
"""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import choose_encoder
from prometheus_client.process_collector import ProcessCollector

from troubleshoot.check.model import Status
from troubleshoot.exporter.probing import MODULES, Found

#: Why a request was turned away.
TURNED_AWAY: Final = ("bad-request", "not-allowed", "too-many", "busy")
_WHY: Final = ("status", "reading", "cause", "confidence", "scope", "hop", "failed_step")
_SECONDS: Final = (0.01, 0.05, 0.25, 1, 2.5, 5, 10, 30)


def of_probe(found: Found) -> CollectorRegistry:
    """Return the series of one probe: the names of the blackbox exporter where it has them, too."""
    registry = CollectorRegistry()
    good = found.status in (Status.PASSED, Status.FLAKY)
    Gauge("probe_success", "Whether the target met the module's expectation.", registry=registry).set(int(good))
    took = Gauge("probe_duration_seconds", "How long the probe took, its diagnosis included.", registry=registry)
    took.set(round(found.duration_s, 6))
    why = Gauge("wsadiag_probe_failure", "Why the target failed; always 1.", _WHY, registry=registry)
    if not good:
        why.labels(*(str(getattr(found, name)) for name in _WHY)).set(1)
    return registry


class Own:
    """The exporter's own counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.probes = Counter(
            "wsadiag_exporter_probes", "Probes by module and result.", ["module", "status"], registry=self.registry
        )
        self.turned_away = Counter(
            "wsadiag_exporter_turned_away", "Requests that were not probed.", ["reason"], registry=self.registry
        )
        self.running = Gauge("wsadiag_exporter_probes_running", "Probes that are under way.", registry=self.registry)
        self.seconds = Histogram(
            "wsadiag_exporter_probe_duration_seconds",
            "How long probes took.",
            ["module"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        for reason in TURNED_AWAY:
            self.turned_away.labels(reason)
        for module in MODULES:
            self.seconds.labels(module)

    def count(self, module: str, found: Found) -> None:
        """Count a probe that was carried out."""
        self.probes.labels(module, str(found.status)).inc()
        self.seconds.labels(module).observe(found.duration_s)


def encoded(registry: CollectorRegistry, accept: str) -> tuple[bytes, str]:
    """Return the series in the form that was asked for, and that form's content type."""
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type
