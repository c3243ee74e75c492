"""Recorded trees of containers, and this machine."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from probes.base import Context
from probes.container import ContainerRequest, ContainerResult, observe


def look(root: Path, pid: int | None = None) -> ContainerResult:
    return asyncio.run(observe(ContainerRequest(pid), Context(root=root), lambda _: None))


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


@pytest.mark.parametrize(
    ("group", "engine"),
    [
        ("0::/system.slice/docker-0123456789abcdef.scope", "docker"),
        ("12:cpu:/docker/0123456789abcdef", "docker"),
        ("0::/user.slice/user-1000.slice/libpod-0123456789ab.scope", "podman"),
        ("0::/kubepods.slice/kubepods-besteffort.slice/cri-containerd-0123.scope", "kubernetes"),
        ("0::/lxc.payload.web", "lxc"),
        ("0::/system.slice/cri-containerd-0123.scope", "containerd"),
        ("0::/init.scope", None),
    ],
)
def test_the_control_group_names_the_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group: str, engine: str | None
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    found = look(tree(tmp_path, {"proc/self/cgroup": f"{group}\n"}))
    assert found == ContainerResult(engine, engine == "kubernetes")
    assert look(tree(tmp_path, {"proc/77/cgroup": f"{group}\n"}), 77) == found


@pytest.mark.parametrize(
    ("path", "text", "engine"),
    [
        (".dockerenv", "", "docker"),
        ("run/.containerenv", "", "podman"),
        ("run/systemd/container", "systemd-nspawn\n", "systemd-nspawn"),
    ],
)
def test_engines_leave_a_file_inside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, text: str, engine: str
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    assert look(tree(tmp_path, {path: text})).engine == engine
    assert look(tree(tmp_path, {f"proc/77/root/{path}": text}), 77).engine == engine


def test_the_cluster_names_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    assert look(tmp_path) == ContainerResult("kubernetes", True)


def test_a_file_left_over_in_an_image_makes_no_container() -> None:
    """In the namespaces that the system began with nothing is a container, whatever files there are."""
    first = {"pid": 0xEFFFFFFC, "cgroup": 0xEFFFFFFB, "uts": 0xEFFFFFFE}
    home = all(Path(f"/proc/self/ns/{kind}").stat().st_ino == number for kind, number in first.items())
    assert (look(Path("/")).engine is None) or not home or "KUBERNETES_SERVICE_HOST" in os.environ
