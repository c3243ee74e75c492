"""One probe by itself, pointed at a target."""

from __future__ import annotations

import socket
import time
from typing import Any

from probes.base import CannotObserve, Context, Observation, ProbeTarget, load
from troubleshoot.asks.model import Job
from troubleshoot.intake.target import Target
from troubleshoot.knowledge.catalogue import catalogue as installed
from troubleshoot.options import Options
from troubleshoot.run.hiding import hiding_secrets
from troubleshoot.run.stand_in import StandIns


async def observe(
    name: str,
    target: Target,
    options: Options,
    *,
    context: Context | None = None,
    stand_ins: StandIns | None = None,
) -> Observation[Any]:
    """Run one probe by itself against ``target`` and return its record.

    ``stand_ins`` look from where the failing program stands, as in a diagnosis.
    """
    context, stand_ins = hiding_secrets(options, installed(), context or Context()), stand_ins or StandIns()
    probe = load(name)
    aim = ProbeTarget(
        host=target.host,
        address=await _first_address(target, options, context, stand_ins)
        if name not in ("resolve", "hosts-file", "proxy")
        else None,
        port=target.port if target.port is not None else _port_of(target.service, target.transport),
        service=target.service,
        transport=target.transport,
        family=options.family,
        pid=options.pid,
    )
    started = time.time()
    try:
        request = probe.request_for(aim)
    except CannotObserve as reason:
        return Observation(
            probe=name,
            subject=target.input,
            status=reason.status,
            started=started,
            duration_ms=0.0,
            reason=reason.reason,
        )
    job = Job(name, probe.subject(request), request)
    return await stand_ins.worker(job, probe, context, lambda _: None).run(timeout_s=options.timeout_s)


async def _first_address(target: Target, options: Options, context: Context, stand_ins: StandIns) -> str | None:
    """Return the first address of the target, by the same probe that a diagnosis uses."""
    if target.host is None or target.literal:
        return target.host
    probe = load("resolve")
    request = probe.request_for(ProbeTarget(host=target.host, family=options.family))
    job = Job("resolve", target.host, request)
    found = await stand_ins.worker(job, probe, context, lambda _: None).run(timeout_s=options.timeout_s)
    return next(iter(getattr(found.result, "addresses", ())), None)


def _port_of(service: str | None, transport: str) -> int | None:
    if service is None:
        return None
    try:
        return socket.getservbyname(service, transport)
    except OSError:
        entry = installed().service(service, transport)
        return entry.port if entry is not None else None
