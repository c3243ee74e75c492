"""Privileges by ability: as root, as nobody, and as root without capabilities."""

from __future__ import annotations

import subprocess
import sys

import pytest
from linklab import NOBODY, LinkLab
from namespaces import ROOT

CODE = (
    "from probes.base import Context; from probes.system.linux.privileges import privileges as p; print(p(Context()))"
)
LOOK = """
from probes.system.linux.privileges import privileges
result = privileges(Context())
"""


@pytest.mark.lab
def test_root_nobody_and_a_sysctl() -> None:
    with LinkLab() as lab:
        root = lab.run(LOOK)
        nobody = lab.run(LOOK, uid=NOBODY)
        lab.sh("client", "echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start")
        low = lab.run(LOOK, uid=NOBODY)
    assert (root.send_raw, root.bind_low, root.net_admin) == (True, True, True)
    assert (nobody.send_raw, nobody.bind_low, nobody.net_admin) == (False, False, False)
    assert (low.send_raw, low.bind_low, low.net_admin) == (False, True, False)


@pytest.mark.lab
def test_root_without_capabilities_may_nothing() -> None:
    with LinkLab() as lab:
        command = ["ip", "netns", "exec", lab.name("client"), "setpriv", "--bounding-set", "-all", "--inh-caps", "-all"]
        command += ["--securebits", "+noroot", sys.executable, "-c", CODE]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=20, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "Privileges(send_raw=False, bind_low=False, net_admin=False)"
