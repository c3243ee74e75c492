"""What an exporter may be asked for: entries, what fits them, and how many of the targets that are not spelt out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troubleshoot.exporter.allowed import Allowed, parse_entry
from troubleshoot.exporter.probing import deadline_s
from troubleshoot.intake.target import parse_target
from troubleshoot.knowledge.text import Refusal


@pytest.mark.parametrize(
    ("entry", "fitting", "other"),
    [
        ("db.example:5432", ["db.example:5432", "DB.Example.:5432"], ["db.example:5433", "x.db.example:5432"]),
        ("db.example", ["db.example:1", "db.example:65535"], ["db.example.evil.test:1", "a.db.example:1"]),
        (".example.com:80,443", ["a.example.com:443", "a.b.example.com:80"], ["example.com:80", "xexample.com:80"]),
        ("*.example.com", ["a.example.com:1"], ["example.com:1", "a.example.com.evil.test:1"]),
        ("10.1.0.0/24:8000-8010", ["10.1.0.7:8005"], ["10.1.0.7:8011", "10.1.1.7:8005", "ten.example:8005"]),
        ("10.1.0.7", ["10.1.0.7:5", "[::ffff:10.1.0.7]:5"], ["10.1.0.8:5", "[::7]:5"]),
        ("[2001:db8::/64]:22", ["[2001:db8::1]:22"], ["[2001:db8::1]:23", "[2001:db8:1::1]:22"]),
        ("2001:db8::5", ["[2001:db8::5]:1"], ["[2001:db8::6]:1"]),
        ("bücher.example:80", ["xn--bcher-kva.example:80", "bücher.example:80"], ["bucher.example:80"]),
    ],
)
def test_entries_fit_what_they_name(entry: str, fitting: list[str], other: list[str]) -> None:
    allowed = Allowed((parse_entry(entry),), 100)
    assert [allowed.why_not(parse_target(word)) for word in fitting] == [None] * len(fitting)
    assert [allowed.why_not(parse_target(word)) for word in other] == ["not-allowed"] * len(other)


@pytest.mark.parametrize(
    "word",
    ["", "*", ".", "*.", "a b", "0.0.0.0/0", "::/0", "10.0.0.0/7", "a.example:0", "a.example:70000", "a.example:9-1",
     "a.example:x", "a.*.example", "10.0.0.0/33", "a.example/24", "[10.0.0.1", ":80"],
)  # fmt: skip
def test_what_is_no_entry_is_refused(word: str) -> None:
    with pytest.raises(Refusal):
        parse_entry(word)


@given(st.text(max_size=40))
def test_no_entry_crashes(word: str) -> None:
    try:
        parse_entry(word)
    except Refusal:
        return


def test_a_network_allows_so_many_targets_and_a_spelt_out_one_is_always_there() -> None:
    allowed = Allowed((parse_entry("10.0.0.0/8"), parse_entry("db.example:5432"), parse_entry("web.example")), 3)
    asked = [f"10.0.0.{n}:80" for n in range(1, 6)]
    assert [allowed.why_not(parse_target(word)) for word in asked] == [None] * 3 + ["too-many"] * 2
    assert allowed.why_not(parse_target("10.0.0.1:80")) is None
    assert allowed.why_not(parse_target("10.0.0.1:81")) == "too-many"
    assert allowed.why_not(parse_target("web.example:1")) == "too-many"
    assert allowed.why_not(parse_target("db.example:5432")) is None


def test_this_machine_itself_is_allowed_by_name_or_address_only() -> None:
    assert Allowed((parse_entry("10.0.0.0/8"),), 3).why_not(parse_target(":80")) == "not-allowed"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("10", 9.5), ("3", 2.5), ("0.4", 0.2), ("1000", 30.0), (None, 30.0), ("x", 30.0), ("nan", 30.0), ("-1", 30.0),
     ("inf", 30.0), ("0", 30.0), ("1e-9", 0.1)],
)  # fmt: skip
def test_a_probe_ends_before_its_scrape(header: str | None, seconds: float) -> None:
    assert deadline_s(header, 30.0) == pytest.approx(seconds)
