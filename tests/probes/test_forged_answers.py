"""Packets that no system takes for an answer are none here either: a router forges them for the SYNs that it drops."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from linklab import NOBODY, LinkLab

SERVER = ("10.77.2.2", "fd77:2::2")
PORT = 8083
FORGER = Path(__file__).parents[1] / "lab" / "forger.py"
#: Runs the forger with its first line of input, and says in this lab's words when it is ready.
RUN = """
import os, runpy, sys
out, (read, write) = sys.stdout, os.pipe()
class Ready:
    write = lambda self, text: out.write(text.lower())
    flush = lambda self: out.flush()
os.write(write, sys.argv[2].encode() + b"\\n")
os.dup2(read, 0)
sys.stdout = Ready()
runpy.run_path(sys.argv[1], run_name="__main__")
"""


@pytest.fixture
def lab(link: LinkLab) -> LinkLab:
    return link


def forge(lab: LinkLab, **words: object) -> None:
    lab.filter("router", "forward", f"tcp dport {PORT} drop")
    lab.start("router", RUN, str(FORGER), json.dumps({"interface": "b0", "port": PORT, "ttl": 64, **words}))


@pytest.mark.lab
@pytest.mark.parametrize("address", SERVER)
@pytest.mark.parametrize(
    ("kind", "wrong", "why"),
    [
        ("reset", "number", "number"),
        ("reset", "bare", "number"),
        ("reset", "checksum", "checksum"),
        ("reset", "address", "address"),
        ("syn-ack", "number", "number"),
        ("syn-ack", "port", "port"),
        ("ack", "number", "number"),
        ("refusal", "number", "number"),
    ],
)
def test_what_tcp_throws_away_is_no_answer(lab: LinkLab, address: str, kind: str, wrong: str, why: str) -> None:
    forge(lab, kind=kind, wrong=wrong)
    found = lab.observe("wire", address=address, port=PORT)
    assert (found.answer_in, found.icmp, found.socket_heard, found.failure) == (None, None, False, None)
    assert found.refusers == ()
    assert found.syns_out >= 1
    told = found.unfitting[0]
    assert (told.kind, told.why) == ("icmp" if kind == "refusal" else kind, why)
    assert told.count >= found.syns_out
    assert (told.source == address) == (wrong != "address" and kind != "refusal")


@pytest.mark.lab
@pytest.mark.parametrize("address", SERVER)
def test_what_fits_is_an_answer_whoever_sent_it(lab: LinkLab, address: str) -> None:
    forge(lab, kind="reset")
    found = lab.observe("wire", address=address, port=PORT)
    assert (found.answer_in, found.answer_ttl, found.socket_heard, found.unfitting) == ("reset", 64, True, ())


@pytest.mark.lab
@pytest.mark.parametrize("address", SERVER)
def test_one_packet_refused_by_many_is_seen_as_root_and_counted_without(lab: LinkLab, address: str) -> None:
    forge(lab, kind="refusal", senders=30)
    found = lab.observe("wire", address=address, port=PORT)
    assert (found.answer_in, len(found.refusers)) == ("icmp", 30)
    request = {"address": address, "port": PORT, "interface": "e0", "rtt_ms": 20.0, "rounds": 2, "whole": True}
    counted = lab.observe("own-filter", uid=NOBODY, **request)
    assert all(one.refusals >= 2 for one in counted.attempts)
    assert not any(one.refusals for one in counted.idle)


@pytest.mark.lab
@pytest.mark.parametrize("address", SERVER)
def test_what_tcp_got_was_not_taken_by_a_filter(lab: LinkLab, address: str) -> None:
    forge(lab, kind="syn-ack", wrong="number")
    found = lab.observe("own-filter", uid=NOBODY, address=address, port=PORT, interface="e0", rtt_ms=5.0)
    assert all(one.received >= 1 and one.segments >= 1 for one in found.attempts)
    assert any(one.accounted >= one.received for one in found.attempts)  # the link's own packets come between
    lab.filter("client", "input", f"tcp sport {PORT} drop")
    found = lab.observe("own-filter", uid=NOBODY, address=address, port=PORT, interface="e0", rtt_ms=5.0)
    assert all(one.received > one.accounted and not one.segments for one in found.attempts)


@pytest.mark.lab
@pytest.mark.parametrize("address", SERVER)
def test_a_forged_segment_does_not_decide_the_ttl_of_the_answer(lab: LinkLab, address: str) -> None:
    words = {"interface": "b0", "port": 8081, "ttl": 7, "kind": "reset", "wrong": "number"}
    lab.start("router", RUN, str(FORGER), json.dumps(words))
    found = lab.observe("answer-ttl", address=address, port=8081)
    assert not found.confirmed or found.ttl == 63  # the server itself refuses, two hops away
