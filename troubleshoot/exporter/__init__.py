"""Probes over HTTP for Prometheus, in the multi-target form of its blackbox exporter.

:mod:`troubleshoot.exporter.app` answers requests; what may be probed stands in
:mod:`troubleshoot.exporter.allowed`. Needs the extra ``wsadiag[exporter]``.
"""
