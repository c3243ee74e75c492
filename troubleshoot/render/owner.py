"""Who can mend what a verdict names."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from troubleshoot.report import Verdict


def owner_of(verdict: Verdict, owners: Mapping[str, str]) -> str | None:
    """Return the owner of a fault, by its cause, else by where it lies; ``None`` where no fault is named.

    A path is the provider's where the place on it has a public address.
    """
    if verdict.outcome != "fault" or verdict.location is None:
        return None
    scope, address = verdict.location.scope, verdict.location.address
    if scope == "path" and address is not None and _public(address):
        scope = "public-path"
    return owners.get(verdict.cause or "") or owners.get(scope)


def _public(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_global
    except ValueError:
        return False
