"""A service name that leads to no port, for the code that says so: part of ``resolver-misconfigured``."""

from __future__ import annotations

from probes.base import note
from probes.services_file import ServicesFileResult
from troubleshoot.facts import Facts
from troubleshoot.judge.model import Finding, values


def unknown(facts: Facts) -> Finding | None:
    """The file of service names is not there, or lacks the name for the transport that is asked for."""
    if "service-name" not in facts.request.about:
        return None
    file = facts.get("services-file", ServicesFileResult, facts.request.service_name or "")
    if file is None or file.resolved_port is not None:
        return None
    service = facts.request.target.service
    if file.readable and service is None:
        return None
    registered = facts.request.service_port if service is not None else facts.request.target.port
    others = sorted({entry.transport for entry in file.entries})
    if not file.readable:
        variant = "services-missing" if file.missing else "forbidden"
        fact = note("fact.file-missing" if file.missing else "fact.file-forbidden", path=file.path)
    elif others:
        variant = "services-transport"
        fact = note("fact.services-only", service=service, transport=", ".join(others))
    else:
        variant = "services-unlisted" if registered is not None else "services-unknown"
        fact = note("fact.services-none", path=file.path, service=service, port=registered or "?")
    return Finding(
        cause="resolver-misconfigured",
        confidence="certain" if service is not None else "likely",
        step="services-file",
        evidence=(("services-file", fact),),
        values=values(
            name=service or facts.request.target.input,
            file=file.path,
            found=", ".join(others) or facts.request.service_near or "-",
            expected=registered or "?",
            transport=facts.request.target.transport,
        ),
        variant=variant,
    )
