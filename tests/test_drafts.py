"""A broken file of the catalogue is one failure; what has no Korean yet is told, and said in English."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests import loading
from tests.drafts import untranslated
from troubleshoot.knowledge.catalogue import Catalogue, CatalogueError

#: Set for a release (``tests/run --release``): then nothing may lack.
RELEASE = os.environ.get("WSADIAG_RELEASE") == "1"


def loads(file: str, folder: Path) -> bool:
    try:
        loading.load(file, folder)
    except CatalogueError:
        return False
    return True


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("codes/10061-WSAECONNREFUSED.toml", "number = 10061", "number = 10061\ncolour = 1"),
        ("codes/10061-WSAECONNREFUSED.toml", 'step = "hosts-file"', 'step = "host-file"'),
        ("causes/no-listener.toml", '"remote-host"', '"remote"'),
        ("steps.toml", '"resolve-name"', '"resolve-nam"'),
        ("steps.toml", "[traceroute]", "[traceroute"),
        ("reproduce.toml", 'errno = "EINVAL"', "errno = 1"),
        ("reproduced-wine.toml", "measured_on", "measured_in"),
        ("wording.en.toml", "\n[ui]\n", "\n[ui\n"),
    ],
)
def test_one_broken_file_fails_once(tmp_path: Path, file: str, old: str, new: str) -> None:
    folder = tmp_path / "catalogue"
    shutil.copytree(loading.FOLDER, folder)
    text = (folder / file).read_text(encoding="utf-8")
    assert old in text
    (folder / file).write_text(text.replace(old, new, 1), encoding="utf-8")
    assert [one for one in loading.files() if not loads(one, folder)] == [file]


def test_everything_is_translated() -> None:
    """A draft may be in English alone until a release."""
    lacking = list(untranslated(loading.FOLDER))
    if lacking and not RELEASE:
        pytest.skip(f"{len(lacking)} without Korean, which a release needs: {'; '.join(lacking)}")
    assert lacking == []


@pytest.mark.parametrize(
    ("file", "old", "lacking"),
    [
        ("steps.toml", ', ko = "경로 추적"', "steps.toml: traceroute.title"),
        ("wording.ko.toml", 'checklist = "점검 목록"\n', "wording.ko.toml: ui.checklist"),
    ],
)
def test_what_lacks_is_named_and_said_in_english(tmp_path: Path, file: str, old: str, lacking: str) -> None:
    folder = tmp_path / "catalogue"
    shutil.copytree(loading.FOLDER, folder)
    text = (folder / file).read_text(encoding="utf-8")
    assert text.count(old) == 1
    (folder / file).write_text(text.replace(old, ""), encoding="utf-8")
    assert set(untranslated(folder)) - set(untranslated(loading.FOLDER)) == {lacking}
    known = Catalogue(folder)
    if file == "steps.toml":
        assert known.steps["traceroute"].title.in_("ko") == known.steps["traceroute"].title.en
    else:
        assert known.wording("ko")["ui.checklist"] == known.wording("en")["ui.checklist"]
        assert known.wording("ko")["ui.meaning"] != known.wording("en")["ui.meaning"]


def test_a_code_and_a_cause_in_english_alone_are_shown_in_english(tmp_path: Path) -> None:
    folder = tmp_path / "catalogue"
    shutil.copytree(loading.FOLDER, folder)
    path = folder / "causes" / "no-listener.toml"
    path.write_text(path.read_text(encoding="utf-8").partition("[ko]")[0], encoding="utf-8")
    entry = Catalogue(folder).cause("no-listener")
    assert entry.text("ko") == entry.en
    told = set(untranslated(folder)) - set(untranslated(loading.FOLDER))
    assert {line.partition(":")[0] for line in told} == {"no-listener.toml"}


def test_a_list_that_grew_in_english_is_shown_whole_in_english(tmp_path: Path) -> None:
    folder = tmp_path / "catalogue"
    shutil.copytree(loading.FOLDER, folder)
    path = folder / "causes" / "no-listener.toml"
    english, ko, korean = path.read_text(encoding="utf-8").partition("\n[ko]\n")
    assert "\ndefault = [\n" in english
    path.write_text(
        english.replace("\ndefault = [\n", '\ndefault = [\n  "One more.",\n', 1) + ko + korean, encoding="utf-8"
    )
    entry = Catalogue(folder).cause("no-listener")
    assert entry.text("ko").actions["default"] == entry.en.actions["default"]
    assert entry.text("ko").title == entry.ko.title != ""
    assert "no-listener.toml: actions.default" in untranslated(folder)
