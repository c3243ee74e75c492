"""The memory of sockets: which pool is rationed, and whether the machine has any left."""

from __future__ import annotations

from probes.base import Note, note
from probes.buffers import BuffersResult
from troubleshoot.facts import Facts


def pools(result: BuffersResult) -> tuple[tuple[str, int, int, int], ...]:
    """Return name, pages, the pages from which they are rationed, and the limit, of each pool that is rationed.

    TCP rations from its second bound on, and above the third, transfers stall. UDP has no use for the second: from the
    first on large datagrams are lost, above the third all are (tcp(7), udp(7); measured on Linux 6.18). Few calls fail.
    """
    known = (("TCP", result.tcp_pages, result.tcp_limits, 1), ("UDP", result.udp_pages, result.udp_limits, 0))
    return tuple(
        (name, pages, limits[first], limits[2])
        for name, pages, limits, first in known
        if pages is not None and limits is not None and pages >= limits[first] > 0
    )


def short_of_memory(facts: Facts, result: BuffersResult) -> tuple[tuple[str, Note], ...]:
    """Say which pool of socket memory is under pressure, and whether the machine's memory is used up."""
    said: list[tuple[str, Note]] = []
    for name, pages, pressure, high in pools(result):
        said.append(("buffers", note("fact.buffers-pool", pool=name, pages=pages, pressure=pressure, high=high)))
    if result.memory_available < result.memory_total * facts.threshold("memory_share"):
        megabytes = result.memory_available >> 20
        said.append(("buffers", note("fact.buffers-memory", available=megabytes, total=result.memory_total >> 20)))
    if said and result.orphans and result.orphan_limit:
        said.append(("buffers", note("fact.orphans", count=result.orphans, limit=result.orphan_limit)))
    return tuple(said)


def describe_memory(result: BuffersResult) -> str:
    """Return the scarcest memory as a figure: ``TCP 575900/575802`` pages, or MiB of the machine."""
    pressed = pools(result)
    if pressed:
        name, pages, _, high = pressed[0]
        return f"{name} {pages}/{high}"
    return f"{result.memory_available >> 20}/{result.memory_total >> 20} MiB"
