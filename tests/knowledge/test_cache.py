"""The compiled catalogue of a checkout: what is kept, when it is read, and whom it is not taken from."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from troubleshoot.errors import CatalogueError
from troubleshoot.knowledge import cache
from troubleshoot.knowledge.catalogue import Catalogue
from troubleshoot.knowledge.files import Folder
from troubleshoot.knowledge.parts import Parts, written

ROOT = Path(__file__).parents[2]
REFUSED = "codes/10061-WSAECONNREFUSED.toml"
PART = "codes/WSAECONNREFUSED"


@pytest.fixture(name="folder")
def copy_of_the_catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copy the catalogue beside an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    shutil.copytree(ROOT / "catalogue", tmp_path / "catalogue")
    return tmp_path / "catalogue"


def kept(folder: Path) -> Path:
    (found,) = (folder.parent / "cache" / "wsadiag").iterdir()
    return found


def title(folder: Path) -> str:
    found: str = cache.of_folder(str(folder)).part(PART)["title"]["en"]
    return found


def plant(folder: Path) -> Path:
    """Write a compiled catalogue that fits the files in all but one word, and return it."""
    cache.of_folder(str(folder))
    file = kept(folder)
    parts = Parts(file.read_bytes())
    names = ["stamp", *Folder(str(folder)).names()]
    entry = parts.part(PART)
    entry["title"]["en"] = "planted"
    file.write_bytes(written({name: parts.part(name) for name in names} | {PART: entry}))
    return file


def test_every_part_is_what_the_files_say(folder: Path) -> None:
    files = Folder(str(folder))
    cache.of_folder(str(folder))
    found = cache.of_folder(str(folder))
    assert isinstance(found, Parts)
    for name in files.names():
        assert found.part(name) == json.loads(json.dumps(files.part(name))), name
    with pytest.raises(KeyError):
        found.part("codes/WSAENOSUCH")


def test_both_ways_to_read_give_the_same_catalogue(folder: Path) -> None:
    one, other = Catalogue(folder), Catalogue()
    assert one.codes() == other.codes()
    assert one.causes == other.causes
    assert (one.steps, one.posix, one.services, one.judgement) == (
        *(other.steps, other.posix, other.services, other.judgement),
    )
    assert [one.claims(name) for name in one.claimed] == [other.claims(name) for name in other.claimed]


def test_what_is_kept_is_private(folder: Path) -> None:
    old = os.umask(0)
    try:
        cache.of_folder(str(folder))
    finally:
        os.umask(old)
    assert stat.S_IMODE(kept(folder).stat().st_mode) == 0o600
    assert stat.S_IMODE(kept(folder).parent.stat().st_mode) == 0o700


def test_a_cache_that_fits_is_read(folder: Path) -> None:
    plant(folder)
    assert title(folder) == "planted"


def change_a_word(folder: Path) -> None:
    path = folder / REFUSED
    status = path.stat()
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("Connection refused", "Connection refuses", 1), encoding="utf-8")
    assert path.stat().st_size == status.st_size
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))


def restore_an_older_time(folder: Path) -> None:
    os.utime(folder / REFUSED, ns=(0, 0))


def add_a_file(folder: Path) -> None:
    (folder / "new.toml").write_text("", encoding="utf-8")


def remove_a_file(folder: Path) -> None:
    (folder / "causes" / "no-listener.toml").unlink()


@pytest.mark.parametrize("change", [change_a_word, restore_an_older_time, add_a_file, remove_a_file])
def test_a_change_of_any_file_is_noticed(folder: Path, change: Callable[[Path], None]) -> None:
    plant(folder)
    change(folder)
    found = cache.of_folder(str(folder))
    assert found.part(PART)["title"]["en"].startswith("Connection refuse")
    assert ("no-listener" in found.part("causes")) == (change is not remove_a_file)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: b"\n",
        lambda data: b"[" * 10_000 + b"\n",
        lambda data: b"[]\n",
        lambda data: b'{"format": 1}\n',
        lambda data: data[:-1],
        lambda data: data.replace(b"planted", b"plantes"),
        lambda data: data.replace(b'"format":1', b'"format":0'),
        lambda data: data.replace(b'"version":"', b'"version":"9'),
        lambda data: b"\xff" + data,
    ],
)
def test_what_is_damaged_or_of_another_version_is_made_anew(folder: Path, damage: Callable[[bytes], bytes]) -> None:
    file = plant(folder)
    before = file.read_bytes()
    file.write_bytes(damage(before))
    assert file.read_bytes() != before
    assert title(folder) == "Connection refused"
    assert Parts(kept(folder).read_bytes()).part(PART)["title"]["en"] == "Connection refused"


def give_away(path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    os.chown(path, 65534, 65534)


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_what_others_can_write_is_not_read(folder: Path, mode: int) -> None:
    plant(folder).chmod(mode)
    assert title(folder) == "Connection refused"


def test_what_others_own_is_not_read(folder: Path) -> None:
    give_away(plant(folder))
    assert title(folder) == "Connection refused"


def test_a_folder_of_others_is_not_read_and_not_written(folder: Path) -> None:
    file = plant(folder)
    before = file.read_bytes()
    file.parent.chmod(0o770)
    assert title(folder) == "Connection refused"
    file.parent.chmod(0o700)
    give_away(file.parent)
    assert title(folder) == "Connection refused"
    assert file.read_bytes() == before


def test_nothing_is_made_in_the_home_of_another_user(folder: Path) -> None:
    give_away(folder.parent / "cache")
    assert title(folder) == "Connection refused"
    assert list((folder.parent / "cache").iterdir()) == []


def test_a_link_is_neither_read_nor_written_through(folder: Path, tmp_path: Path) -> None:
    file = plant(folder)
    elsewhere = tmp_path / "elsewhere"
    file.rename(elsewhere)
    before = elsewhere.read_bytes()
    file.symlink_to(elsewhere)
    assert title(folder) == "Connection refused"
    assert elsewhere.read_bytes() == before
    assert not kept(folder).is_symlink()


@pytest.mark.timeout(20)
def test_a_pipe_is_not_waited_for(folder: Path) -> None:
    file = plant(folder)
    file.unlink()
    os.mkfifo(file, 0o600)
    assert title(folder) == "Connection refused"


@pytest.mark.parametrize("place", ["/proc/none", "/dev/null", "/nonexistent/none"])
def test_where_nothing_can_be_kept_nothing_is_said(
    folder: Path, place: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", place)
    assert title(folder) == "Connection refused"
    assert capfd.readouterr() == ("", "")


def test_a_relative_place_is_ignored_and_the_home_taken(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "home").mkdir()
    cache.of_folder(str(folder))
    assert len(list((tmp_path / "home/.cache/wsadiag").iterdir())) == 1
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_catalogue_with_a_broken_file_is_not_kept_and_the_rest_is_read(folder: Path) -> None:
    (folder / "causes" / "no-listener.toml").write_text("id = 1", encoding="utf-8")
    found = cache.of_folder(str(folder))
    assert found.part(PART)["title"]["en"] == "Connection refused"
    with pytest.raises(CatalogueError, match=r"^no-listener\.toml: id: "):
        found.part("causes/no-listener")
    assert list((folder.parent / "cache" / "wsadiag").iterdir()) == []


def test_checkouts_do_not_share_what_is_kept(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "other")
    cache.of_folder(str(folder))
    cache.of_folder(str(tmp_path / "other"))
    assert len(list((tmp_path / "cache" / "wsadiag").iterdir())) == 2


def test_many_at_once_leave_one_whole_file(folder: Path) -> None:
    code = "import sys; from troubleshoot.knowledge import cache; print(cache.of_folder(sys.argv[1]).part(sys.argv[2]))"
    command = [sys.executable, "-c", code, str(folder), "numbers"]
    running = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) for _ in range(4)]
    said = {one.communicate(timeout=60)[0] for one in running}
    assert [one.returncode for one in running] == [0] * 4
    assert said == {f"{Parts(kept(folder).read_bytes()).part('numbers')}\n".encode()}
