"""FTP greets well on its first connection, and its second one, for lists and files, leads nowhere."""

from __future__ import annotations

from probes.failure import Failure
from probes.ftp_data import FtpDataResult
from troubleshoot import asks
from troubleshoot.facts import Facts, Reach, describe, plain
from troubleshoot.judge.evidence.attempt import attempt_evidence
from troubleshoot.judge.model import Finding, rule, values
from troubleshoot.judge.service import on_any


@rule("ftp-data-unreachable", asks=(asks.ftp.data_way,), holds_up="healthy")
def ftp_data_unreachable(facts: Facts) -> Finding | None:
    """The address and port that the server gives for the second connection cannot be connected to."""
    return on_any(facts, _unreachable)


def _unreachable(facts: Facts, reach: Reach) -> Finding | None:
    found = facts.get("ftp-data", FtpDataResult, facts.endpoint(reach.address))
    if found is None:
        return None
    named = {way.word: way for way in reversed(found.ways)}  # of each word the way that the server itself names
    shut = [way for word, way in sorted(named.items(), reverse=True) if not way.connected]
    if not shut:
        return None
    first = shut[0]
    elsewhere = plain(first.address) != plain(reach.address)
    # A port that is silent or refused at the server's own address is shut by somebody on the way, or by the server.
    by_host = elsewhere or first.failure is Failure.REFUSED
    extended = first.word == "EPSV" and len(named) > 1
    return Finding(
        cause="ftp-data-unreachable",
        confidence="likely",
        scope="remote-host" if by_host else "path",
        step="connect",
        evidence=(attempt_evidence(facts, reach), *(("connect", describe.data_way(way)) for way in found.ways)),
        values=values(found=describe.endpoint(first.address, first.port)),
        variant="elsewhere" if elsewhere else "extended" if extended else "default",
        address=first.address,
    )
