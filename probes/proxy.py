"""Read the proxy settings of the environment: a fact that explains why a browser works and a socket does not."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProxyRequest:
    """``host`` is held against ``no_proxy``."""

    host: str | None = None


@dataclass(frozen=True, slots=True)
class ProxySetting:
    """One variable; passwords in the value are replaced by ``***``."""

    variable: str
    value: str


@dataclass(frozen=True, slots=True)
class ProxyResult:
    """All proxy variables that are set; ``bypassed`` is true where ``no_proxy`` exempts the host."""

    settings: tuple[ProxySetting, ...]
    bypassed: bool
