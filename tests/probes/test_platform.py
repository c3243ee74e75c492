"""On another system the modules still import, and the probes say that the platform lacks what they need."""

from __future__ import annotations

import subprocess
import sys

from namespaces import ROOT

CODE = """
import asyncio, socket, sys
import icmplib, psutil  # they ask on which system they run, and this one is Linux for their sockets
for name in [name for name in dir(socket) if name.startswith(("AF_NETLINK", "AF_PACKET", "PACKET_", "NETLINK_"))]:
    delattr(socket, name)
sys.platform = "sunos5"
from probes.base import Context, NotApplicable, NotPermitted, load

async def look(name, **request):
    probe = load(name)
    return await probe.observe(probe.request(**request), Context(), lambda partial: None)

requests = {
    "interfaces": {}, "statistics": {}, "route": {"address": "127.0.0.1"}, "neighbours": {},
    "link": {"address": "127.0.0.1", "interface": "lo"}, "wire": {"address": "127.0.0.1", "port": 9},
    "capabilities": {},
}
for name, request in requests.items():
    try:
        asyncio.run(look(name, **request))
    except NotApplicable as error:
        assert error.reason.key == "reason.platform-lacks", error.reason
        assert dict(error.reason.values) == {"probe": name, "platform": "sunos5"}
    else:
        raise AssertionError(name)
found = asyncio.run(look("address", address="127.0.0.1"))
assert found.local and "127.0.0.1" in found.near, found
assert not asyncio.run(look("address", address="203.0.113.9")).local

def may_open(kind):
    try:
        socket.socket(socket.AF_INET, kind, socket.IPPROTO_ICMP).close()
    except PermissionError:
        return False
    return True

if may_open(socket.SOCK_DGRAM) or may_open(socket.SOCK_RAW):
    found = asyncio.run(look("ping", address="127.0.0.1", count=2, interval_s=0.01))
    assert (found.sent, found.received) == (2, 2), found
    assert found.method == ("icmp-datagram" if may_open(socket.SOCK_DGRAM) else "icmp-raw"), found
    assert {echo.reply_ttl for echo in found.echoes} == {None}, found  # what tells them from Linux's own
else:
    try:
        asyncio.run(look("ping", address="127.0.0.1"))
    except NotPermitted as error:
        assert error.reason.key == "reason.needs-raw-sockets", error.reason
    else:
        raise AssertionError("ping")
print("done")
"""


def test_elsewhere() -> None:
    command = [sys.executable, "-W", "error", "-c", CODE]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "done\n"
