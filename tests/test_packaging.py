"""What is shipped: the wheel, the sdist and the editable install, built for real and used from a fresh environment."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import os
import re
import socket
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from troubleshoot.knowledge.files import Folder
from troubleshoot.knowledge.parts import Parts

ROOT = Path(__file__).parent.parent
#: A package of PyPI whose import name is the name of our data folder.
STRANGER = "catalogue"


def run(*command: str | Path, cwd: Path, check: bool = True, wait_s: float = 100) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=clean | {"LC_ALL": "C.UTF-8", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=wait_s,
        check=False,
    )
    if check:
        assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def reachable(host: str, port: int = 443) -> bool:
    """Whether pip has somewhere to ask; a proxy or a local index in the environment counts."""
    if any(os.environ.get(name) for name in ("https_proxy", "HTTPS_PROXY", "PIP_INDEX_URL")):
        return True
    try:
        with socket.create_connection((host, port), timeout=5):
            return True
    except OSError:
        return False


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder with sdist and wheel; the wheel is built from the sdist, as pip does it."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT, cwd=out)
    return out


def wheel_of(dist: Path) -> Path:
    (wheel,) = dist.glob("*.whl")
    return wheel


def tracked(*folders: str) -> set[str]:
    """Return the files that belong to the project under ``folders``, as far as the disk tells."""
    return {
        path.relative_to(ROOT).as_posix()
        for folder in folders
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.suffix in (".py", ".toml", ".csv", ".typed") and "__pycache__" not in path.parts
    }


# -- what is in them -------------------------------------------------------------------------------------------


def test_wheel_ships_two_packages_and_no_catalogue_of_its_own(dist: Path) -> None:
    with zipfile.ZipFile(wheel_of(dist)) as wheel:
        names = set(wheel.namelist())
    tops = {name.partition("/")[0] for name in names}
    (metadata,) = (top for top in tops if top.endswith(".dist-info"))
    data = metadata.replace(".dist-info", ".data")
    assert tops == {"troubleshoot", "probes", metadata, data}
    assert [name for name in names if name.startswith(f"{data}/")] == [f"{data}/data/share/man/man1/wsadiag.1"]
    assert f"{metadata}/licenses/LICENSE" in names


def test_wheel_holds_every_module_and_the_whole_catalogue(dist: Path) -> None:
    with zipfile.ZipFile(wheel_of(dist)) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name and ".data/" not in name}
        compiled = Parts(wheel.read("troubleshoot/_catalogue"))
    assert names == {"troubleshoot/_catalogue", *tracked("troubleshoot", "probes")}
    files = Folder(str(ROOT / "catalogue"))
    parts = list(files.names())
    assert len(parts) > 100
    for part in parts:
        assert compiled.part(part) == json.loads(json.dumps(files.part(part))), part


def test_wheel_runs_from_where_it_lies(dist: Path) -> None:
    """A zip on the path of modules: nothing but the loader can read what is in it."""
    code = "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); runpy.run_module('troubleshoot', alter_sys=True)"
    done = run(sys.executable, "-I", "-c", code, wheel_of(dist), "explain", "10061", cwd=dist)
    assert "WSAECONNREFUSED" in done.stdout
    listed = run(sys.executable, "-I", "-c", code, wheel_of(dist), "probe", cwd=dist).stdout
    assert "traceroute " in listed
    assert "  \n" not in listed


def test_sdist_holds_code_data_and_tests(dist: Path) -> None:
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    papers = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "LICENSE", "docs/decisions/README.md")
    others = ("report.schema.json", "pyproject.toml", "tests/run", ".ci/run", ".github/workflows/ci.yml")
    for name in (*papers, *others):
        assert name in names
    assert {"requirements.lock", "requirements-build.lock"} <= names
    assert tracked("troubleshoot", "probes", "catalogue", "tests") <= names
    assert not [name for name in names if name.endswith(".pyc") or name.startswith((".venv", ".git/"))]


# -- what comes in with them -----------------------------------------------------------------------------------


def locked(file: str) -> dict[str, tuple[Version, list[str]]]:
    """Return name, version and hashes of each line of a lock file; a line of another form fails."""
    found = {}
    for line in re.sub(r" *\\\n *", " ", (ROOT / file).read_text(encoding="utf-8")).splitlines():
        if line.startswith("#"):
            continue
        words = re.fullmatch(r"([a-z0-9-]+)==(\S+)(?: ; [^-]+?)?((?: --hash=sha256:[0-9a-f]{64})+)", line)
        assert words, line
        found[words[1]] = (Version(words[2]), words[3].split())
    return found


@pytest.mark.parametrize("file", ["requirements.lock", "requirements-build.lock"])
def test_locks_fit_pyproject_and_name_no_index(file: str) -> None:
    """Each requirement is there in a version that is allowed; ``locked`` fails for whatever has no hash."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    building = file == "requirements-build.lock"
    wanted = project["build-system"]["requires"] if building else project["project"]["dependencies"]
    found = locked(file)
    for requirement in map(Requirement, wanted):
        assert found[requirement.name][0] in requirement.specifier, requirement
    assert "://" not in (ROOT / file).read_text(encoding="utf-8")


def test_the_build_back_end_is_one_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (backend,) = [word for word in project["build-system"]["requires"] if word.startswith("hatchling")]
    assert str(Requirement(backend).specifier).startswith("==")
    assert backend in project["project"]["optional-dependencies"]["dev"]  # builds of the tests fetch nothing


def test_the_locked_versions_are_those_that_come(tmp_path: Path) -> None:
    """As the image does it: pip takes nothing whose hash differs."""
    if not reachable("pypi.org"):
        pytest.skip("PyPI cannot be reached")
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv", cwd=tmp_path)
    environment = Environment(tmp_path / "venv")
    environment.pip_install("--require-hashes", "--requirement", ROOT / "requirements.lock")
    environment.pip_install("--require-hashes", "--requirement", ROOT / "requirements-build.lock")
    run(sys.executable, "-m", "pip", "--python", environment.python, "check", cwd=tmp_path)
    lock = tmp_path / "other.lock"
    lock.write_text("icmplib==3.0.4 --hash=sha256:" + "0" * 64 + "\n", encoding="utf-8")
    words = ("install", "--force-reinstall", "--require-hashes", "--requirement", lock)
    refused = run(sys.executable, "-m", "pip", "--python", environment.python, *words, cwd=tmp_path, check=False)
    assert refused.returncode != 0
    assert "DO NOT MATCH" in refused.stderr


@pytest.mark.timeout(400)
def test_the_archive_is_the_whole_program(tmp_path: Path, closed_port: int) -> None:
    """Built from the locks, started where it lies: what is compiled, what is read, and what runs in a child."""
    if not reachable("pypi.org"):
        pytest.skip("PyPI cannot be reached")
    archive = tmp_path / "wsadiag.pyz"
    run(sys.executable, ROOT / "docker/build_zipapp.py", archive, cwd=tmp_path, wait_s=300)

    def wsadiag(*words: str, status: int = 0) -> str:
        done = run(sys.executable, "-I", archive, *words, cwd=tmp_path, check=False)
        assert (done.returncode, done.stderr) == (status, ""), words
        return done.stdout

    assert wsadiag("--version").startswith("wsadiag ")
    assert "WSAECONNREFUSED" in wsadiag("explain", "10061")
    report = json.loads(wsadiag("--json", "10061", f"localhost:{closed_port}", status=1))
    assert report["verdict"]["cause"] == "no-listener"
    assert not [record for record in report["probes"] if record["status"] == "broken"]
    (made,) = json.loads(wsadiag("reproduce", "10057", "--json"))["reproductions"][:1]
    assert made["matches"]
    assert "namespaces" in {item["id"] for item in json.loads(wsadiag("doctor", "--no-network", "--json"))["items"]}
    assert set(tmp_path.iterdir()) == {archive}


@pytest.mark.skipif(not os.environ.get("WSADIAG_RELEASE"), reason="it asks a service that few machines reach")
def test_nothing_locked_is_known_to_be_vulnerable() -> None:
    done = run(sys.executable, ROOT / "docker/audit.py", cwd=ROOT, check=False)
    if done.returncode == 3:
        pytest.skip(done.stdout.splitlines()[0])
    assert done.returncode == 0, done.stdout


# -- how they install ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Environment:
    """A virtual environment and the folder that stands in for the user's own."""

    path: Path

    @property
    def python(self) -> Path:
        return self.path / "bin" / "python"

    @property
    def packages(self) -> Path:
        return next(self.path.glob("lib/python*/site-packages"))

    def pip_install(self, *words: str | Path) -> None:
        run(sys.executable, "-m", "pip", "--python", self.python, "install", "--quiet", *words, cwd=self.path)

    def wsadiag(self, *words: str, status: int = 0) -> str:
        done = run(self.path / "bin" / "wsadiag", *words, cwd=self.path, check=False)
        assert (done.returncode, done.stderr) == (status, ""), f"{words}: {done.returncode}\n{done.stderr}"
        return done.stdout


def altered(packages: Path, distribution: str) -> list[str]:
    """Return the files of ``distribution`` that are gone or are not what its RECORD says (PEP 376)."""
    (record,) = packages.glob(f"{distribution}-*.dist-info/RECORD")
    wrong = []
    for name, digest, _ in csv.reader(record.read_text(encoding="utf-8").splitlines()):
        if digest:
            kind, _, expected = digest.partition("=")
            path = packages / name
            found = hashlib.new(kind, path.read_bytes()).digest() if path.is_file() else b""
            if base64.urlsafe_b64encode(found).rstrip(b"=").decode() != expected:
                wrong.append(name)
    return wrong


@pytest.fixture(scope="module")
def installed(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Return an environment with our wheel, its dependencies, and the package whose name we must not take."""
    if not reachable("pypi.org"):
        pytest.skip("PyPI cannot be reached: dependencies and the package `catalogue` come from there")
    path = tmp_path_factory.mktemp("wheel") / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", path, cwd=path.parent)
    environment = Environment(path)
    environment.pip_install(STRANGER, wheel_of(dist))
    return environment


@pytest.fixture
def closed_port() -> Iterator[int]:
    """Hold a TCP port without listening on it: whoever connects is refused, and nobody else can open it."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def check_program(environment: Environment, port: int) -> None:
    """Run the three kinds of errand: the light one, one that reads the catalogue, one that uses the network."""
    assert environment.wsadiag("--version").startswith("wsadiag ")
    assert "WSAECONNREFUSED" in environment.wsadiag("explain", "10061")
    report = json.loads(environment.wsadiag("--json", "10061", f"localhost:{port}", status=1))
    assert (report["verdict"]["outcome"], report["verdict"]["cause"]) == ("fault", "no-listener")


def test_wheel_lives_beside_the_stranger(installed: Environment, closed_port: int) -> None:
    check_program(installed, closed_port)
    assert altered(installed.packages, STRANGER) == []
    assert altered(installed.packages, "wsadiag") == []
    done = run(installed.python, "-c", "import catalogue; print(catalogue.__file__, catalogue.create)", cwd=ROOT.parent)
    assert str(installed.packages / "catalogue") in done.stdout


def test_uninstalling_leaves_the_stranger_whole(installed: Environment, tmp_path: Path) -> None:
    """Comes after the test above: what ours leaves behind is what it brought, and nothing of the other."""
    copy = tmp_path / "venv"
    run("cp", "-a", installed.path, copy, cwd=tmp_path)
    environment = Environment(copy)
    run(sys.executable, "-m", "pip", "--python", environment.python, "uninstall", "--yes", "wsadiag", cwd=tmp_path)
    assert altered(environment.packages, STRANGER) == []
    left = {path.name for path in environment.packages.iterdir()}
    assert not left & {"troubleshoot", "probes"}
    assert STRANGER in left


def test_editable_install_reads_the_catalogue_of_the_checkout(tmp_path: Path, closed_port: int) -> None:
    """Built without isolation and without fetching: the dependencies are this environment's."""
    path = tmp_path / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", path, cwd=tmp_path)
    environment = Environment(path)
    (environment.packages / "outer.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    environment.pip_install("--no-deps", "--no-index", "--no-build-isolation", "--ignore-installed", "--editable", ROOT)
    check_program(environment, closed_port)
    code = "from troubleshoot.knowledge.catalogue import Catalogue; import troubleshoot; print(troubleshoot.__file__)"
    assert run(environment.python, "-c", code, cwd=tmp_path).stdout.strip() == str(ROOT / "troubleshoot/__init__.py")
    assert {file.name for file in environment.packages.iterdir()}.isdisjoint({"troubleshoot", "catalogue"})
