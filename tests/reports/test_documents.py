"""Reports as documents: what stands in them, and that nothing of a stranger's does anything there."""

from __future__ import annotations

import base64
import hashlib
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from markdown_it import MarkdownIt

from tests.reports.made import fault
from troubleshoot.cli.files import forms_of, replace, written
from troubleshoot.cli.show import lexicon
from troubleshoot.knowledge.catalogue import catalogue
from troubleshoot.knowledge.kinds import Language, Owner, Scope
from troubleshoot.knowledge.text import Refusal
from troubleshoot.render.owner import owner_of
from troubleshoot.render.reports import FORMS, render
from troubleshoot.report import Report, from_json
from troubleshoot.run.engine import replay

ROOT = Path(__file__).parents[2]
SAVED = sorted((ROOT / "tests/data/reports").glob("*.json"))
HOSTILE = (
    '"><script>alert(1)</script><img src=http://x.example/ onerror=alert(1)>',
    "]]></failure><!-- \x1b[2J\u202e\x07\x9b31m",
    "`code` [link](javascript:alert(1)) | cell | https://www.evil.example <b>\n# heading\n- item",
)
KEPT = {"started", "outcome", "confidence", "status", "relation", "scope", "language", "schema", "kind", "end", "probe"}


def document(form: str, report: Report, language: Language = "en") -> str:
    return render(form, report, lexicon(report, catalogue(), language))


def poisoned(value: Any, poison: str, key: str = "") -> Any:
    """Return plain data in which every text of a stranger's ends in ``poison``."""
    if isinstance(value, dict):
        return {name: poisoned(inner, poison, name) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [poisoned(inner, poison, key) for inner in value]
    return f"{value} {poison}" if isinstance(value, str) and key not in KEPT else value


def hostile(report: Report, poison: str) -> Report:
    return msgspec.convert(poisoned(msgspec.to_builtins(report), poison), Report)


class Page(HTMLParser):
    """What a page holds: its elements with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(params=[SAVED[0], *SAVED[1::9]], ids=lambda path: path.stem)
def saved(request: pytest.FixtureRequest) -> Report:
    return from_json(request.param.read_bytes())


@pytest.mark.parametrize("language", get_args(Language))
def test_the_ticket_says_what_an_owner_asks(language: Language) -> None:
    report, words = fault(), lexicon(fault(), catalogue(), language)
    text = document("markdown", report, language).replace("\\", "")
    for said in ("wsadiag 10061 ftp://files.example.org", "2026-03-04 05:06:07 UTC", "helpdesk-7", "0.1.0"):
        assert said in text
    for said in (report.verdict.summary, *report.verdict.actions, *(step.title for step in report.steps)):
        assert said in text
    for key in ("owner-server", "owner-needs-server", "owner-disprove-server"):
        assert words.ui(key) in text


@pytest.mark.parametrize("poison", HOSTILE)
def test_a_page_holds_only_what_the_renderer_put_there(saved: Report, poison: str) -> None:
    plain, text = Page(document("html", saved)), document("html", hostile(saved, poison))
    page = Page(text)
    assert {tag for tag, _ in page.elements} <= {tag for tag, _ in plain.elements} | {"dt", "dd", "li", "p", "pre"}
    for tag, attributes in page.elements:
        assert not {name for name in attributes if name.startswith("on")} | attributes.keys() & {"src", "href", "style"}
        assert tag not in ("script", "img", "link", "iframe", "object", "form", "a")
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    sheet = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    assert sheet is not None
    digest = base64.b64encode(hashlib.sha256(sheet[1].encode()).digest()).decode()
    policy = next(a["content"] for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none';")
    assert f"'sha256-{digest}'" in policy


def test_a_page_can_be_read_by_its_structure(saved: Report) -> None:
    page = Page(document("html", saved))
    tags = [tag for tag, _ in page.elements]
    assert page.elements[0] == ("html", {"lang": "en"})
    assert [tags.count(tag) for tag in ("header", "main", "footer", "h1")] == [1, 1, 1, 1]
    assert tags.count("details") == len(saved.steps) == tags.count("summary")
    headings = {attributes["id"] for tag, attributes in page.elements if tag == "h2" and "id" in attributes}
    assert {attributes["aria-labelledby"] for tag, attributes in page.elements if tag == "section"} == headings
    assert tags.count("title") == 1 + tags.count("svg")  # each picture has a name


def test_the_break_is_marked_in_the_picture() -> None:
    names = (
        "path-broken-drop.nobody",
        "nameserver-unreachable-dropped.nobody",
        "router-down.nobody",
        "no-listener.nobody",
    )
    broken = [replay(from_json((SAVED[0].parent / f"{name}.json").read_bytes()), "en") for name in names]
    broken = [report for report in broken if report.verdict.ways]
    broken = [report for report in broken if report.verdict.ways[0].broken is not None]
    assert broken
    for report in broken:
        text = document("html", report)
        assert 'class="cross"' in text
        assert "broken here" in text
    assert 'class="cross"' not in document(
        "html", from_json((SAVED[0].parent / "healthy-plain.nobody.json").read_bytes())
    )


@pytest.mark.parametrize("poison", HOSTILE)
def test_junit_has_a_case_for_each_step_and_fits_the_schema(saved: Report, poison: str) -> None:
    xmlschema = pytest.importorskip("xmlschema")
    text = document("junit", hostile(saved, poison))
    xmlschema.XMLSchema(ROOT / "tests/data/junit.xsd").validate(text)
    suite = ET.fromstring(text)[0]
    assert len(suite.findall("testcase")) == len(saved.steps) == int(suite.get("tests", ""))
    failures = [case for case in suite.findall("testcase") if case.find("failure") is not None]
    assert bool(failures) == any(s.status == "failed" for s in saved.steps) or saved.verdict.outcome == "fault"
    assert len(failures) == int(suite.get("failures", ""))


@pytest.mark.parametrize("poison", HOSTILE)
def test_nothing_in_a_ticket_is_markup(saved: Report, poison: str) -> None:
    text = document("markdown", hostile(saved, poison))
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    inside = {child.type for token in tokens for child in token.children or ()}
    assert inside <= {"text", "text_special", "code_inline"}
    assert not {token.type for token in tokens if token.type.startswith(("html", "fence", "code", "blockquote", "hr"))}
    headings = [token for token in tokens if token.type == "heading_open"]
    assert len(headings) == sum(line.startswith(("# ", "## ")) for line in text.splitlines())
    assert not re.search(r"https?://|\bwww\.", text)  # which GitHub makes links of
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    for line in text.splitlines():
        if line.startswith("|"):
            assert len(re.findall(r"(?<!\\)\|", line)) in (3, 4)


def test_json_is_the_report_itself(saved: Report) -> None:
    assert from_json(document("json", saved)) == saved


def test_every_fault_has_an_owner_that_is_described() -> None:
    known = catalogue()
    owners = known.judgement.owners
    assert set(owners) <= {*get_args(Scope), "public-path", *known.cause_names}
    assert set(get_args(Scope)) <= set(owners)
    assert set(owners.values()) == set(get_args(Owner))
    for language in get_args(Language):
        wording = known.wording(language)
        for owner in get_args(Owner):
            for key in (f"ui.owner-{owner}", f"ui.owner-needs-{owner}", f"ui.owner-disprove-{owner}"):
                assert wording[key]
    assert owner_of(fault().verdict, owners) == "server"


def test_a_file_is_looked_at_before_the_work_begins(tmp_path: Path) -> None:
    files = [str(tmp_path / f"report{suffix}") for suffix in FORMS]
    assert [form for _, form in forms_of(files, "--output")] == list(FORMS.values())
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "folder.md").mkdir()
    for name in ("report.pdf", "report", "none/report.md", "folder.md"):
        with pytest.raises(Refusal):
            forms_of([str(tmp_path / name)], "--output")


def test_a_file_is_written_whole_with_the_mode_that_it_has(tmp_path: Path) -> None:
    file = tmp_path / "report.md"
    file.write_text("old")
    file.chmod(0o600)
    (tmp_path / "link.md").symlink_to(file)
    replace(str(tmp_path / "link.md"), b"new")
    assert file.read_bytes() == b"new"
    assert file.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "link.md").is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.md", "report.md"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_told_after_the_others_are_written(tmp_path: Path) -> None:
    (tmp_path / "full.md").symlink_to("/dev/full")
    good = tmp_path / "good.md"
    failed = written([(str(tmp_path / "full.md"), b"x"), (str(good), b"x")])
    assert [file for file, _ in failed] == [str(tmp_path / "full.md")]
    assert good.read_bytes() == b"x"
