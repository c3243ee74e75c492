"""Queues and neighbour tables, held to what was made and sent in a network namespace."""

from __future__ import annotations

import shutil

import pytest

from probes.base import Context, load
from probes.queues import QueuesRequest, QueuesResult
from probes.system import loop
from tests.probes import children
from tests.probes.test_process import linux_only

_PRELUDE = """
import asyncio, socket, subprocess
from probes.base import Context, load
from probes.queues import QueuesRequest

def run(*words):
    subprocess.run(words, check=True)

run("ip", "link", "add", "e0", "type", "veth", "peer", "name", "e1")
run("ip", "address", "add", "10.77.0.1/24", "dev", "e0")
run("ip", "link", "set", "e0", "up")
run("ip", "link", "set", "e1", "up")
run("tc", "qdisc", "add", "dev", "e0", "root", "tbf", "rate", "8kbit", "burst", "20", "limit", "1000")

async def look():
    task = asyncio.create_task(load("queues").observe(QueuesRequest(0.5), Context(), lambda _: None))
    await asyncio.sleep(0.1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        for _ in range(3):
            opened.sendto(b"x" * 100, ("10.77.0.255", 9))
    return await task

found = asyncio.run(look())
result = [(q.interface, q.kind, q.lost, q.sent) for q in found.queues if q.interface == "e0"]
"""


@linux_only
def test_a_queue_that_lets_nothing_out_is_seen() -> None:
    children.need_namespace()
    if not shutil.which("tc"):
        pytest.skip("tc is not installed")
    ((name, kind, lost, sent),) = children.run(_PRELUDE, namespace=True)
    assert (name, kind, sent) == ("e0", "tbf", 0)
    assert lost >= 3


@linux_only
def test_the_whole_machine_can_be_looked_at() -> None:
    found = loop.run(load("queues").observe(QueuesRequest(0.05), Context(), lambda _: None))
    assert isinstance(found, QueuesResult)
    assert found.watched_s >= 0.05
    assert all(queue.lost >= 0 for queue in found.queues)
    assert all(table.entries >= 0 and table.limit for table in found.neighbours)
