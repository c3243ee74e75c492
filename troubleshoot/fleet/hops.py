"""Where ways meet: the routers that all failing ways pass and no working one does."""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Sequence

from troubleshoot.fleet.model import View


def meeting(failing: Sequence[View], working: Sequence[View]) -> str | None:
    """Return the last router that every failing way passes and no working one; ``None`` where there is none.

    A private address next to a machine is that of its own site: it is the same router within that site only. Where the
    way of any report is not known, nobody looked at whether it passes there.
    """
    if not failing or not all(view.routers for view in (*failing, *working)):
        return None
    shared = set.intersection(*(set(_nodes(view)) for view in failing))
    shared -= {node for view in working for node in _nodes(view)}
    return next((node[1] for node in reversed(_nodes(failing[0])) if node in shared), None)


def last_of_all(failing: Sequence[View]) -> str | None:
    """Return the router at which all failing ways end, ``None`` where they end at several or reach the target."""
    ends = {_nodes(view)[-1] if _nodes(view) and not view.arrives else None for view in failing}
    end = next(iter(ends)) if len(ends) == 1 else None
    return end[1] if end is not None else None


def splits(views: Iterable[View]) -> list[set[str]]:
    """Return the sets of machines that a router tells apart from the others, each once."""
    held: dict[tuple[str, str], set[str]] = defaultdict(set)
    for view in views:
        for node in _nodes(view):
            held[node].add(view.machine)
    return [set(one) for one in {frozenset(machines) for machines in held.values()}]


def _nodes(view: View) -> list[tuple[str, str]]:
    """Return the routers of a way, each with the site within which its address means it."""
    return [(view.site if n == 0 and _is_private(node) else "", node) for n, node in enumerate(view.routers)]


def _is_private(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_private
    except ValueError:
        return False
