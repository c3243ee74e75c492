"""Reports of many places: what is concluded from them, and that nothing wrong is concluded for certain."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from tests.fleet.fleets import BASES, DATA, FAULTS, Place, confusion, moved, played
from troubleshoot.fleet import Merged, merge
from troubleshoot.fleet.state import chance
from troubleshoot.fleet.view import view_of
from troubleshoot.knowledge.catalogue import catalogue
from troubleshoot.render.merged import as_html, as_json, as_markdown, as_text
from troubleshoot.render.style import Style
from troubleshoot.report import Location, Report, from_json, to_json
from troubleshoot.run.engine import replay
from troubleshoot.run.redact import redact


def at(site: int, machine: int, **more: Any) -> Place:
    return Place(**{"site": site, "machine": machine, "provider": site, "resolver": 1, **more})


def one(reports: list[Report], **more: Any) -> Merged:
    """Return the one verdict of reports of one target."""
    (found,) = merge([view_of(report, str(n)) for n, report in enumerate(reports)], **more)
    return found


def grid(name: Any, sites: int = 3, machines: int = 4) -> list[Report]:
    """Return a report of every machine of every site; ``name`` says by place which one."""
    places = [at(site, machine) for site in range(1, sites + 1) for machine in range(1, machines + 1)]
    return [moved(name(place), place, n / 100) for n, place in enumerate(places)]


def test_nothing_wrong_is_said_for_certain_of_a_fleet_with_a_known_fault() -> None:
    table, wrong = confusion(range(5))
    assert wrong == []
    # Small fleets leave much open, yet where a pattern can be told, it mostly is.
    told = {
        fault: sum(n for said, n in table[fault].items() if said.split(" ")[0] in FAULTS[fault][1]) for fault in FAULTS
    }
    assert sum(told.values()) >= len(FAULTS) * 5 // 2, table


@pytest.mark.parametrize("name", sorted(BASES))
def test_a_report_that_was_moved_is_judged_as_before(name: str) -> None:
    before = replay(from_json((DATA / BASES[name]).read_bytes()), "en").verdict
    after = replay(moved(name, at(4, 2), 7), "en")
    verdict = after.verdict
    assert (verdict.outcome, verdict.cause, verdict.confidence) == (before.outcome, before.cause, before.confidence)
    assert view_of(after, "").network in ("10.4.0.0/24", "fd00:4::/64")


def test_what_fails_from_everywhere_is_the_servers() -> None:
    reports = grid(lambda _: "refused")
    found = one([replace(each, verdict=replace(each.verdict, confidence="certain")) for each in reports]).finding
    assert (found.kind, found.confidence) == ("everywhere", "certain")


def test_what_fails_at_one_site_is_that_sites_and_the_router_is_named() -> None:
    found = one(grid(lambda place: "drop" if place.site == 2 else "healthy")).finding
    assert (found.kind, found.confidence, found.keys) == ("site", "certain", ("10.2.0.0/24",))
    assert found.router == "2001:db8:1::2"


def test_a_router_where_only_failing_ways_meet_is_named() -> None:
    places = [at(site, machine, provider=site % 2) for site in range(1, 7) for machine in (1, 2)]
    found = one([moved("drop" if p.provider else "healthy", p, n / 100) for n, p in enumerate(places)]).finding
    assert (found.kind, found.confidence, found.router) == ("hop", "certain", "2001:db8:1::1")


@pytest.mark.parametrize("runs", [1, 2])
def test_some_addresses_of_a_subnet_are_certain_only_when_they_fail_again(runs: int) -> None:
    places = [at(site, machine) for site in (1, 2) for machine in range(1, 11)]

    def ill(place: Place) -> bool:
        return place.site == 1 and place.machine >= 6

    reports = [
        moved("drop" if ill(p) else "healthy", p, n / 100 + 10 * run)
        for run in range(runs)
        for n, p in enumerate(places)
    ]
    found = one(reports).finding
    assert (found.kind, found.keys) == ("part", ("10.1.0.0/24",))
    assert found.confidence == ("certain" if runs == 2 else "likely")
    assert any(dict(fact.values).get("prefix") == "10.1.0.16/29" for fact in found.evidence)


def test_name_servers_that_only_failing_machines_ask_are_named() -> None:
    places = [at(site, machine, resolver=1 + machine % 2) for site in (1, 2, 3) for machine in range(1, 5)]
    found = one([moved("name" if p.resolver == 2 else "healthy", p, n / 100) for n, p in enumerate(places)]).finding
    assert (found.kind, found.confidence, found.keys[0]) == ("resolver", "certain", "192.0.2.20")


def test_a_stale_record_is_told_by_where_the_name_leads() -> None:
    places = [at(site, machine, resolver=1 + machine % 2) for site in (1, 2, 3) for machine in range(1, 5)]
    placed = [replace(place, stale=place.resolver == 2) for place in places]
    found = one([moved("refused" if p.stale else "healthy", p, n / 100) for n, p in enumerate(placed)]).finding
    assert (found.kind, found.confidence) == ("answers", "certain")


def test_the_family_and_the_address_that_fail_from_everywhere_are_named() -> None:
    family = one(grid(lambda _: "family")).finding
    assert (family.kind, family.keys, family.works) == ("family", ("IPv6",), ("IPv4",))
    address = one(grid(lambda _: "address")).finding
    assert (address.kind, address.confidence) == ("address", "certain")
    assert len(address.keys) == len(address.works) == 1


def test_a_turn_in_time_is_told_and_reports_made_at_another_time_prove_no_place() -> None:
    places = [at(site, machine) for site in (1, 2) for machine in (1, 2, 3)]
    reports = [
        moved("refused" if run else "healthy", p, 30 * run + n / 100) for run in (0, 1) for n, p in enumerate(places)
    ]
    found = one(reports).finding
    assert (found.kind, found.confidence, found.keys) == (
        "time",
        "certain",
        ("2026-11-02T08:00:03.000Z", "2026-11-02T08:30:00.000Z"),
    )
    once = [moved("refused" if p.site == 2 else "healthy", p, 30 * p.site) for p in places]
    apart = one(once).finding
    assert (apart.kind, "time" in apart.rivals) == ("site", True)
    assert apart.confidence != "certain"


def test_a_machine_with_a_fault_of_its_own_stands_beside_the_rest() -> None:
    alone = one(grid(lambda place: "own" if (place.site, place.machine) == (1, 1) else "healthy")).finding
    assert (alone.kind, alone.confidence, alone.keys) == ("machine", "certain", ("m1-1",))
    both = one(
        grid(lambda place: "drop" if place.site == 2 else "own" if (place.site, place.machine) == (1, 1) else "healthy")
    ).finding
    assert (both.kind, both.beside) == ("site", ("m1-1",))


def test_a_report_without_a_verdict_takes_the_certainty() -> None:
    reports = grid(lambda _: "refused")
    open_ = replace(reports[0], verdict=replace(reports[0].verdict, outcome="inconclusive"))
    found = one([open_, *reports[1:]]).finding
    assert (found.kind, found.confidence) == ("everywhere", "likely")
    assert "ui.merge-settle-open" in [note.key for note in found.settle]


def test_each_target_has_its_verdict_and_an_address_joins_its_name() -> None:
    named, literal = moved("healthy", at(1, 1), 0), moved("healthy", at(1, 2), 1)
    address = literal.target.addresses[0]
    literal = replace(literal, target=replace(literal.target, input=f"{address}:8443", host=address))
    other = replace(moved("refused", at(1, 3), 2), target=replace(named.target, port=9, input="app.example.test:9"))
    found = merge([view_of(report, str(n)) for n, report in enumerate([named, literal, other])])
    assert [(len(merged.views), merged.finding.kind) for merged in found] == [(2, "works"), (1, "alone")]


def test_localhost_is_another_target_on_each_machine() -> None:
    report = replay(from_json((DATA / "reports/healthy-port-to-bind-by-name.nobody.json").read_bytes()), "en")
    twins = [replace(report, vantage=replace(report.vantage, hostname=name)) for name in ("a", "b")]
    assert [merged.target for merged in merge([view_of(twin, "") for twin in twins])] == [
        "localhost:http (a)",
        "localhost:http (b)",
    ]


def test_copies_count_once() -> None:
    reports = grid(lambda _: "healthy", 1, 2)
    found = one([*reports, *reports])
    assert (len(found.views), found.duplicates) == (2, 2)


def test_private_subnets_of_two_sites_are_told_apart_by_their_routers() -> None:
    one_site, other = moved("healthy", at(1, 1), 0), moved("healthy", at(1, 2), 0)
    text = to_json(other).replace("02:00:00:00:00:01", "02:00:00:00:00:99")
    found = one([one_site, from_json(text)])
    assert len({view.site for view in found.views}) == 2


def test_folders_are_sites_unless_each_machine_has_its_own() -> None:
    reports = grid(lambda place: "drop" if place.site == 2 else "healthy", 2, 2)
    by_site = merge([view_of(report, "", report.vantage.hostname[:2]) for report in reports])[0]
    assert {view.site for view in by_site.views} == {"m1", "m2"}
    by_machine = merge([view_of(report, "", report.vantage.hostname) for report in reports])[0]
    assert {view.site for view in by_machine.views} == {"10.1.0.0/24", "10.2.0.0/24"}


def test_redacted_reports_have_nothing_in_common_unless_they_are_said_to_be_of_one_target() -> None:
    hidden = [redact(report).report for report in grid(lambda _: "refused", 2, 2)]
    views = [view_of(report, str(n)) for n, report in enumerate(hidden)]
    assert all(view.redacted and not view.own and not view.routers for view in views)
    assert len(merge(views)) == 4
    (found,) = merge(views, one_target=True)
    assert found.finding.outcome == "fault"
    assert found.finding.confidence != "certain"


def test_a_router_is_named_only_where_it_is_known_that_no_working_way_passes_it() -> None:
    places = [at(site, machine, provider=site % 2) for site in range(1, 7) for machine in (1, 2)]
    reports = [moved("drop" if p.provider else "healthy", p, n / 100) for n, p in enumerate(places)]
    n = next(n for n, place in enumerate(places) if not place.provider)
    reports[n] = replace(reports[n], verdict=replace(reports[n].verdict, ways=()))
    views = [view_of(report, str(n)) for n, report in enumerate(reports)]
    assert [bool(view.routers) for view in views].count(False) == 1
    found = merge(views)[0].finding
    assert (found.router, found.kind == "hop") == (None, False)


def test_a_part_that_fails_is_certain_only_where_each_failure_was_seen_again() -> None:
    places = [at(site, machine) for site in (1, 2) for machine in range(1, 13)]
    reports = []
    for run in (0, 1):
        for n, place in enumerate(places):
            ill = place.site == 1 and place.machine >= 11
            if not (run and ill):
                reports.append(moved("drop" if ill else "healthy", place, n / 100 + run / 2))
    found = one(reports).finding
    assert (found.kind, found.confidence) == ("part", "likely")


@pytest.mark.parametrize("name", ["refused", "healthy"])
def test_many_reports_are_no_surer_than_the_surest_of_them(name: str) -> None:
    reports = [
        replace(report, verdict=replace(report.verdict, confidence="possible")) for report in grid(lambda _: name)
    ]
    assert one(reports).finding.confidence == "possible"
    reports[3] = replace(reports[3], verdict=replace(reports[3].verdict, confidence="likely"))
    assert one(reports).finding.confidence == "likely"


def test_what_fails_from_everywhere_without_a_cause_is_not_certain() -> None:
    reports = [replace(report, verdict=replace(report.verdict, cause=None)) for report in grid(lambda _: "refused")]
    found = one(reports).finding
    assert (found.kind, found.confidence) == ("everywhere", "likely")


def scoped(report: Report, scope: str) -> Report:
    """Return the report as if its fault lay elsewhere."""
    location = replace(report.verdict.location, scope=scope) if report.verdict.location else Location(scope=scope)
    return replace(report, verdict=replace(report.verdict, location=location))


@pytest.mark.parametrize(
    ("scope", "sites", "kind"),
    [
        ("local-network", 1, "one-network"),
        ("local-network", 2, "each-its-own"),
        ("this-machine", 1, "each-its-own"),
    ],
)
def test_what_one_network_shares_is_no_fault_of_each_machine(scope: str, sites: int, kind: str) -> None:
    assert one([scoped(report, scope) for report in grid(lambda _: "drop", sites)]).finding.kind == kind


def test_one_verdict_beside_an_open_one_is_not_certain() -> None:
    first, second = grid(lambda _: "refused", 1, 2)
    first = replace(first, verdict=replace(first.verdict, confidence="certain"))
    assert one([first]).finding.confidence == "certain"
    found = one([first, replace(second, verdict=replace(second.verdict, outcome="inconclusive"))]).finding
    assert (found.kind, found.confidence) == ("alone", "likely")


def test_a_machine_that_was_looked_at_later_than_the_others_is_not_certain() -> None:
    places = [at(site, machine) for site in (1, 2, 3) for machine in (1, 2, 3, 4)]
    others = [moved("healthy", place, n / 100) for n, place in enumerate(places[1:])]
    found = one([moved("own", places[0], 30), *others]).finding
    assert (found.kind, found.confidence, found.rivals) == ("machine", "likely", ("time",))


def test_a_moment_that_cannot_be_read_is_no_moment_before_all_others() -> None:
    places = [at(site, machine) for site in (1, 2) for machine in (1, 2, 3)]
    reports = [
        moved("refused" if run else "healthy", p, 30 * run + n / 100) for run in (0, 1) for n, p in enumerate(places)
    ]
    reports[0] = replace(reports[0], started="yesterday")
    assert one(reports).finding.kind != "time"
    ill = [moved("own" if n == 0 else "healthy", p, n / 100) for n, p in enumerate(places)]
    assert one(ill).finding.confidence == "certain"
    assert one([replace(ill[0], started="yesterday"), *ill[1:]]).finding.confidence == "likely"


def test_addresses_that_flap_are_told_by_chance_alone_in_a_small_fleet() -> None:
    table, wrong = confusion(range(20), ["flapping-addresses"])
    assert wrong == []
    assert table["flapping-addresses"]["address (likely)"] > 0
    few, many = (one(grid(lambda _: "address", 2, machines)).finding for machines in (2, 4))
    assert [(found.kind, found.confidence) for found in (few, many)] == [("address", "likely"), ("address", "certain")]


def test_two_machines_of_one_name_are_two_though_both_have_the_bridge_of_containers() -> None:
    views = []
    for machine in (1, 2):
        report = moved("healthy", at(1, machine), 0)
        plain = msgspec.to_builtins(replace(report, vantage=replace(report.vantage, hostname="localhost")))
        (held,) = [record["result"] for record in plain["probes"] if record["probe"] == "interfaces"]
        address = {"address": "172.17.0.1", "family": 4, "prefix": 16}
        held["interfaces"].append(
            {**held["interfaces"][-1], "name": "docker0", "mac": "02:42:ac:11:00:01", "addresses": [address]}
        )
        views.append(view_of(msgspec.convert(plain, Report), str(machine)))
    (found,) = merge(views)
    assert len({view.machine for view in found.views}) == 2


def test_data_hold_every_row_of_which_screens_show_the_first() -> None:
    wording = catalogue().wording("en")
    found = one(grid(lambda _: "healthy", 30, 1))
    rows = as_json.document([found], wording, 0)["targets"][0]["tables"]["site"]
    assert len(rows) == 30
    assert "(6 more)" in as_text.render([found], wording, Style())


def test_chance_is_the_share_of_draws_that_look_like_it() -> None:
    assert chance([1, 1, 1], 1) == 1
    assert chance([2, 2], 2) == pytest.approx(2 / 6)
    assert chance([4, 4, 4], 4) == pytest.approx(3 / 495)
    assert chance([], 0) == 1


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_it_is_told_in_four_forms(fault: str, language: Any) -> None:
    wording = catalogue().wording(language)
    _, merged = played(fault, 1)
    hostile = tuple(replace(view, machine=f"\x1b[31m|<b>`x`\u202e{view.machine}") for view in merged.views)
    merged = replace(merged, views=hostile, target="\x1b]0;<script>alert(1)</script>")
    texts = [
        as_text.render([merged], wording, Style()),
        as_markdown.render([merged], wording),
        as_html.render([merged], wording, language),
    ]
    for text in texts:
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert "<ui." not in text
        assert "&lt;ui." not in text
    assert all(len(line) <= 80 for line in texts[0].splitlines() if line.isascii())
    assert not any(re.search(r"(?<!\\)<(?:script|b)\b", text) for text in texts[1:])
    assert "default-src 'none'" in texts[2]
    assert not re.search(r"(?:src|href)=", texts[2])
    data = as_json.document([merged], wording, 0)
    assert data["schema"] == "wsadiag/merge/1"
    assert len(data["targets"][0]["reports"]) == len(merged.views)
    msgspec.json.encode(data)


def command(*words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "troubleshoot", "merge", *words],
        input=stdin,
        capture_output=True,
        check=False,
        timeout=120,
    )


def test_files_folders_and_lines_are_read_and_what_is_no_report_costs_one_line(tmp_path: Path) -> None:
    reports = grid(lambda place: "drop" if place.site == 2 else "healthy", 2, 3)
    (tmp_path / "some").mkdir()
    for n, report in enumerate(reports[:3]):
        (tmp_path / "some" / f"{n}.json").write_text(to_json(report))
    lines = [msgspec.json.encode(report) for report in reports[3:5]]
    lines.append(msgspec.json.encode({"at": "x", "report": reports[5]}))
    (tmp_path / "rest.jsonl").write_bytes(b"\n".join(lines) + b"\n\nnonsense\n")
    (tmp_path / "some" / "broken.json").write_text("{")
    (tmp_path / "some" / "deep.json").write_text("[" * 100_000)
    lying = json.loads(to_json(reports[0]))
    lying["probes"][0]["duration_ms"] = -5
    (tmp_path / "some" / "lying.json").write_text(json.dumps(lying))
    (tmp_path / "some" / "notes.txt").write_text("not looked at")
    shut = tmp_path / "some" / "shut.json"
    shut.write_text("{}")
    shut.chmod(0)
    out = tmp_path / "page.html"
    done = command(
        "--json", str(tmp_path / "some"), str(tmp_path / "rest.jsonl"), str(tmp_path / "none.json"), "--to", str(out)
    )
    told = done.stderr.decode().splitlines()
    data = json.loads(done.stdout)
    assert done.returncode == 2
    (target,) = data["targets"]
    assert (len(target["reports"]), target["verdict"]["kind"], target["verdict"]["outcome"]) == (6, "site", "fault")
    assert len(told) == data["unread"] == 6
    assert all(line.startswith("wsadiag: ") for line in told)
    assert any("rest.jsonl:5" in line for line in told)
    assert out.read_text().startswith("<!DOCTYPE html>")


def test_a_folder_that_cannot_be_looked_into_costs_one_line() -> None:
    """Root may look into each: it asks as somebody else then."""
    with tempfile.TemporaryDirectory() as place:  # nobody may go into the folders of pytest
        folder = Path(place)
        folder.chmod(0o755)
        (folder / "a.json").write_text(to_json(moved("healthy", at(1, 1), 0)))
        for name, mode in (("shut", 0), ("listed", 0o444)):
            (folder / name).mkdir()
            (folder / name / "b.json").write_text("{}")
            (folder / name).chmod(mode)
        before = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
        done = subprocess.run(
            [*before, sys.executable, "-B", "-m", "troubleshoot", "merge", "--json", place],
            capture_output=True,
            check=False,
            timeout=120,
            encoding="utf-8",
        )
        for name in ("shut", "listed"):
            (folder / name).chmod(0o755)
    told = sorted(line.split(":")[1].split()[-1] for line in done.stderr.splitlines())
    assert told == [f"{place}/listed/b.json", f"{place}/shut"]
    assert (done.returncode, json.loads(done.stdout)["unread"]) == (2, 2)


def test_a_file_of_lines_may_be_larger_than_a_report_is(tmp_path: Path) -> None:
    lines = [msgspec.json.encode(report) for report in grid(lambda _: "healthy", 1, 2)]
    with (tmp_path / "long.jsonl").open("wb") as opened:
        opened.write(lines[0] + b"\n" + b" " * (40 << 20) + b"\n" + lines[1])
    done = command("--json", str(tmp_path))
    data = json.loads(done.stdout)
    assert (done.returncode, data["unread"], len(data["targets"][0]["reports"])) == (2, 1, 2)
    assert [line.split(" ")[1] for line in done.stderr.decode().splitlines()] == [f"{tmp_path}/long.jsonl:2"]


def test_codes_may_differ_and_every_target_has_its_verdict(tmp_path: Path) -> None:
    reports = grid(lambda place: "drop" if place.site == 2 else "healthy", 2, 2)
    reports[0] = replace(
        reports[0], error=replace(reports[0].error, input="10061", number=10061, name="WSAECONNREFUSED")
    )
    named = replace(reports[3].target, input="other.example.test:8443", host="other.example.test")
    for n, report in enumerate([*reports[:3], replace(reports[3], target=named)]):
        (tmp_path / f"{n}.json").write_text(to_json(report))
    done = command("--json", str(tmp_path))
    told = [(target["target"], len(target["reports"])) for target in json.loads(done.stdout)["targets"]]
    assert (done.returncode, done.stderr) == (1, b"")
    assert told == [("app.example.test:8443", 3), ("other.example.test:8443", 1)]


def test_nothing_to_merge_is_said_in_one_line(tmp_path: Path) -> None:
    for words in ([], [str(tmp_path)], ["--to", "x.xml", "y.json"]):
        done = command(*words)
        assert (done.returncode, done.stdout) == (2, b"")
        assert len(done.stderr.splitlines()) == 1


def test_standard_input_is_one_report_or_lines_of_them() -> None:
    reports = grid(lambda _: "healthy", 1, 2)
    whole = command("--json", "-", stdin=to_json(reports[0]).encode())
    lines = command("--json", "-", stdin=b"\n".join(map(msgspec.json.encode, reports)))
    counts = [len(json.loads(done.stdout)["targets"][0]["reports"]) for done in (whole, lines)]
    assert counts == [1, 2]
    assert (whole.returncode, lines.returncode) == (0, 0)


def test_a_pipe_among_the_files_is_no_reason_to_hang(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(to_json(moved("healthy", at(1, 1), 0)))
    os.mkfifo(tmp_path / "pipe.json")
    assert stat.S_ISFIFO((tmp_path / "pipe.json").stat().st_mode)
    done = command("--json", str(tmp_path))
    assert done.returncode == 0
    assert json.loads(done.stdout)["unread"] == 0
