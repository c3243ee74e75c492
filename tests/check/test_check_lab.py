"""A check behind a router: causes among the failures, told by a few diagnoses, while others want the processors."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0 or shutil.which("nft") is None, reason="network namespaces need root"),
]
_PLACE = Path(__file__).parents[1] / "bench/targets.py"


@pytest.mark.timeout(240)
def test_every_target_has_its_cause_and_few_are_diagnosed() -> None:
    found = importlib.util.spec_from_file_location("bench_targets", _PLACE)
    assert found is not None
    assert found.loader is not None
    bench = importlib.util.module_from_spec(found)
    sys.modules["bench_targets"] = bench
    found.loader.exec_module(bench)
    kinds = ("open", "closed", "dropped", "reset", "dead")
    aims = [aim for aim in bench.targets(120, causes=True) if aim[2] in kinds]
    with bench.Net() as net:
        words = net.command("s", sys.executable, "-c", bench._LISTENS, "20", ",".join(bench.HOSTS))
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as listener:
            assert listener.stdout is not None
            assert listener.stdout.readline() == "ready\n"
            try:
                with bench.busy(2):
                    report = json.loads(bench.wsadiag(net, aims).output)
            finally:
                listener.kill()
    good, wrong = bench.right(report, aims, readings=False)
    assert good >= 0.95 * len(aims), wrong
    # What could not be found out is said to be so: never a healthy target, nor somebody's firewall.
    guessed = {what for what in wrong if not re.search(r": None \(", what) or "(None, passed)" in what}
    assert guessed == set()
    assert "flaky" not in " ".join(wrong)
    assert len(report["groups"]) <= 12
    passed = [target for target in report["targets"] if target["status"] == "passed"]
    assert len(passed) == sum(kind == "open" for *_, kind in aims)
