"""The failing program's place, read from ``/proc`` and held to what was made."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from probes.base import CannotObserve, Context, load
from probes.process import ProcessRequest, ProcessResult
from probes.system import loop
from tests.probes import children

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")


def look(pid: int, context: Context | None = None) -> ProcessResult:
    found = loop.run(load("process").observe(ProcessRequest(pid), context or Context(), lambda _: None))
    assert isinstance(found, ProcessResult)
    return found


@contextmanager
def sleeper(*command: str, **environment: str) -> Iterator[int]:
    """A process that has done what ``command`` does, and stays."""
    words = [*command, "sh", "-c", "echo; exec sleep 100"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, env={**os.environ, **environment}) as started:
        assert started.stdout is not None
        started.stdout.readline()
        try:
            yield started.pid
        finally:
            started.kill()


@linux_only
def test_a_child_of_ours_stands_where_we_do() -> None:
    with sleeper() as pid:
        found = look(pid)
    assert (found.network, found.users, found.files) == (True, True, True)
    assert (found.user, found.filtered, found.label) == (os.geteuid(), False, None)


@linux_only
@pytest.mark.parametrize("apart", ["network", "files"])
def test_a_namespace_of_its_own_is_seen(apart: str) -> None:
    children.need_root()
    with sleeper("unshare", {"network": "--net", "files": "--mount"}[apart]) as pid:
        found = look(pid)
    assert {"network": found.network, "files": found.files} == {"network": True, "files": True} | {apart: False}


@linux_only
def test_who_is_gone_cannot_be_looked_at() -> None:
    with sleeper() as pid:
        pass
    with pytest.raises(CannotObserve) as caught:
        look(pid)
    assert caught.value.reason.key == "reason.no-such-process"
