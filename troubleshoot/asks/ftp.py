"""FTP's second connection: asked about where the first one was greeted well."""

from __future__ import annotations

from collections.abc import Iterator

from probes.ftp_data import FtpDataRequest
from troubleshoot.asks.ladder import rtt_s, tcp_port
from troubleshoot.asks.model import Job, ask
from troubleshoot.facts import Facts
from troubleshoot.facts.rungs import Ending


@ask("ftp-data")
def data_way(facts: Facts, address: str) -> Iterator[Job]:
    """Where would the second connection go, and does that way lead anywhere?"""
    port = tcp_port(facts)
    if port is None or facts.request.protocol != "ftp" or facts.request.tls:
        return
    greeted = facts.service.climbed(address)
    if greeted is not None and greeted.ending is Ending.WELL:
        wait_s = 2.0 + 4 * rtt_s(facts, address)
        yield Job("ftp-data", facts.endpoint(address), FtpDataRequest(address, port, wait_s))
