"""Reports under other names: judged the same, and nothing of the original left in any form."""

from __future__ import annotations

import ipaddress
import re
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from probes.base import load
from probes.table import TABLE
from troubleshoot.cli.show import lexicon
from troubleshoot.knowledge.catalogue import catalogue
from troubleshoot.render.reports import FORMS, render
from troubleshoot.render.style import Style
from troubleshoot.render.text import screen
from troubleshoot.report import Report, from_json
from troubleshoot.run.engine import replay
from troubleshoot.run.redact import redact
from troubleshoot.run.redact.addresses import Addresses
from troubleshoot.run.redact.fields import kind_of
from troubleshoot.run.redact.words import Words

SAVED = sorted((Path(__file__).parents[1] / "data" / "reports").glob("*.json"))
KEY = b"k" * 32


def saved(name: str) -> Report:
    return from_json((SAVED[0].parent / f"{name}.json").read_bytes())


def forms(report: Report) -> str:
    """Return the report in every form, one behind the other."""
    words = lexicon(report, catalogue(), "en")
    texts = [render(form, report, words) for form in FORMS.values()]
    return "\n".join([*texts, screen(report, words, Style(), verbose=True)]).replace("\\", "")


def addresses_in(report: Report) -> set[str]:
    """Return the private IPv4 addresses with a number of their own that the probes met."""
    text = str(report.probes)
    found = {
        one for one in re.findall(r"(?<![\d.])\d+(?:\.\d+){3}(?![\d.])", text) if ipaddress.ip_address(one).is_private
    }
    whole = ("0.", "127.", "192.0.2.", "198.51.", "203.0.", "255.")
    return {one for one in found if not one.startswith(whole) and not one.endswith((".0", ".255.255"))}


@pytest.mark.parametrize("path", SAVED, ids=lambda path: path.stem)
def test_it_is_judged_the_same_and_no_address_is_left(path: Path) -> None:
    report = from_json(path.read_bytes())
    hidden = redact(report)
    assert hidden.same
    again = replay(hidden.report, "en")
    assert (again.verdict, again.steps) == (hidden.report.verdict, hidden.report.steps)
    text = forms(hidden.report)
    left = [one for one in addresses_in(report) if re.search(rf"(?<![\d.]){re.escape(one)}(?![\d.])", text)]
    assert left == []


PLANTED = {
    "name": "payroll-db.zurich.megacorp.example",
    "search": "intra.megacorp.example",
    "alias": "vault7.megacorp.example",
    "user": "hannelore",
    "program": "payrolld",
    "command": "/opt/megacorp/bin/payrolld --password=hunter2 --customer kowalski",
    "banner": "220 kraken.megacorp.example ESMTP Zebrafish ready, ask hannelore",
    "subject": "CN=kraken.megacorp.example,O=Megacorp Holding",
    "mac": "5e:86:3f:7a:60:ba",
    "host": "laptop-hannelore",
}
SECRET = (
    *("payroll", "zurich", "megacorp", "intra", "vault7", "hannelore", "payrolld", "hunter2", "kowalski", "kraken"),
    *("zebrafish", "holding", "5e:86:3f:7a:60:ba", "laptop"),
)


def planted() -> Report:
    """Return a report in whose records stands what a network would rather keep to itself."""
    report = saved("stale-hosts-entry.nobody")
    old = report.target.host
    assert old is not None
    text = msgspec.json.encode(report).decode().replace(old, PLANTED["name"])
    report = msgspec.json.decode(text, type=Report)
    probes = [dict(record) for record in report.probes]
    for record in probes:
        if record["probe"] == "resolve":
            record["result"] = {**record["result"], "search_matched": PLANTED["name"]}
            configuration = {**record["result"]["configuration"], "search": [PLANTED["search"]]}
            answers = [{**answer, "aliases": [PLANTED["alias"]]} for answer in record["result"]["answers"]]
            record["result"] |= {"configuration": configuration, "answers": answers}
        if record["probe"] == "interfaces":
            first, *rest = record["result"]["interfaces"]
            record["result"] = {**record["result"], "interfaces": [{**first, "mac": PLANTED["mac"]}, *rest]}
    address = report.target.addresses[0]
    owner = {"pid": 7, "name": PLANTED["program"], "user": PLANTED["user"], "command": PLANTED["command"]}
    entry = {"transport": "tcp", "state": "listen", "local_address": "0.0.0.0", "local_port": 9419, "owners": [owner]}
    entry |= {"remote_address": "0.0.0.0", "remote_port": 0, "inode": 1, "uid": 1000, "user": PLANTED["user"]}
    said = PLANTED["banner"]
    service = {
        "address": address,
        "port": 9419,
        "outcome": "answered",
        "first_text": said,
        "first_hex": said.encode().hex(),
    }
    service["tls"] = {"subject": PLANTED["subject"], "names": [PLANTED["alias"]], "chain": [PLANTED["subject"]]}
    common = {
        "status": "observed",
        "started": 0.0,
        "duration_ms": 1.0,
        "vantage": "here",
        "reason": None,
        "error": None,
    }
    probes += [
        {**common, "probe": "sockets", "subject": "tcp/9419", "result": {"entries": [entry]}},
        {**common, "probe": "service", "subject": f"{address} 9419", "result": service},
    ]
    vantage = replace(report.vantage, hostname=PLANTED["host"], user=PLANTED["user"])
    return replace(report, probes=tuple(probes), vantage=vantage)


def test_the_planted_stands_in_the_original() -> None:
    text = str(msgspec.to_builtins(planted())).casefold()
    assert [one for one in SECRET if one not in text] == []


def test_nothing_that_was_planted_is_left_in_any_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """The records are looked at by themselves: two of them hold more than a probe would tell at once."""
    from troubleshoot.run import redact as module

    report = planted()
    words = module._words(report, KEY, catalogue())
    words.know(module._names(report))
    text = str([module.record(one, words) for one in report.probes]).casefold()
    hidden = "".join(bytes.fromhex(one).decode("latin-1") for one in re.findall(r"'first_hex': '([0-9a-f]+)'", text))
    assert [one for one in SECRET if one in text or one in hidden.casefold()] == []
    assert "esmtp" in text  # a protocol is still known by what it says
    assert "220 " in hidden


def test_nothing_that_was_planted_is_left_in_any_form() -> None:
    report = planted()
    report = replace(report, probes=tuple(p for p in report.probes if p["probe"] not in ("sockets", "service")))
    hidden = redact(report)
    assert hidden.same
    text = forms(hidden.report).casefold()
    assert [one for one in SECRET if one in text] == []


def test_a_network_stays_a_network_and_kinds_stay_kinds() -> None:
    own = ipaddress.ip_network("10.20.30.0/23")
    made = Addresses(KEY, [own])
    pairs = [
        ("10.20.30.7", "10.20.31.200"),
        ("8.8.8.8", "8.8.4.4"),
        ("fd00:1:2:3::7", "fd00:1:2:3::99"),
        ("fe80::7", "fe80::8"),
    ]
    for one, two in pairs:
        a, b = map(ipaddress.ip_address, (one, two))
        x, y = made.put(a), made.put(b)
        assert x != a
        assert (int(a) ^ int(b)).bit_length() == (int(x) ^ int(y)).bit_length()
        assert (x.is_private, x.is_global, x.is_link_local) == (a.is_private, a.is_global, a.is_link_local)
    for kept in (
        "127.0.0.53",
        "::1",
        "0.0.0.0",
        "192.0.2.7",
        "2001:db8::7",
        "224.0.0.251",
        "255.255.255.255",
        "fe80::1",
    ):
        assert made.put(ipaddress.ip_address(kept)) == ipaddress.ip_address(kept)
    assert made.put(own[-1]) == made.network(own)[-1]


def test_another_call_gives_other_names() -> None:
    report = saved("stale-hosts-entry.nobody")
    one, two = redact(report).report, redact(report).report
    assert one.target.host != two.target.host
    assert redact(report, KEY).report == redact(report, KEY).report


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3", "SSH-2.0-"),
        ("HTTP/1.1 404 Not Found\r\nServer: wombat", "HTTP/1.1 404"),
        ("220 wombat.example.net FTP server ready", " FTP server ready"),
        ("* OK [CAPABILITY IMAP4rev1] wombat ready", "IMAP4rev1"),
    ],
)
def test_a_protocol_is_still_told_by_its_greeting(text: str, kept: str) -> None:
    from troubleshoot.run import redact as module

    words = Words(KEY, Addresses(KEY), module._spoken(catalogue()))
    assert kept in words.text(text)
    assert "wombat" not in words.text(text)


def texts(kind: Any, place: str, seen: tuple[Any, ...] = ()) -> Iterator[str]:
    """Yield the place of every plain text below a type."""
    if kind is str:
        yield place
    elif isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind not in seen:
        for name, inner in typing.get_type_hints(kind).items():
            yield from texts(inner, f"{place}.{name}", (*seen, kind))
    elif typing.get_origin(kind) is not typing.Literal:
        for inner in typing.get_args(kind):
            yield from texts(inner, place, seen)


@pytest.mark.parametrize("probe", TABLE)
def test_of_every_text_it_is_said_how_it_is_replaced(probe: str) -> None:
    assert [place for place in texts(load(probe).result, probe) if kind_of(place) is None] == []
