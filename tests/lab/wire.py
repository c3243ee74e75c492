"""Wires with delay, jitter, loss and a rate, for kernels without netem: one process copies frames between veths.

Reads JSON on standard input's first line: ``[[left, right, delay_ms, jitter_ms, loss, rate_mbit, seed], …]`` with the
interface names in this process's network namespace; prints ``READY``; ends when standard input does, so that a wire
never outlives its lab. Linux only (packet(7)).
"""

from __future__ import annotations

import heapq
import json
import os
import random
import select
import socket
import sys
import time
from contextlib import suppress

ETH_P_ALL = 3
SOL_PACKET, PACKET_IGNORE_OUTGOING = 263, 23
QUEUE_S = 0.2  # a link with a rate holds this much before it drops


class Direction:
    """Frames from one interface to another."""

    def __init__(  # noqa: PLR0917 - the order is that of a wire's description
        self, out: socket.socket, delay_ms: float, jitter_ms: float, loss: float, rate_mbit: float, rng: random.Random
    ) -> None:
        self.out = out
        self.delay_s, self.jitter_s, self.loss = delay_ms / 1e3, jitter_ms / 1e3, loss
        self.bytes_per_s = rate_mbit * 1e6 / 8
        self.free_at = 0.0
        self.rng = rng

    def due(self, size: int, now: float) -> float | None:
        """When a frame of ``size`` bytes that comes in ``now`` leaves; ``None`` where it is lost."""
        if self.loss and self.rng.random() < self.loss:
            return None
        at = now + self.delay_s + (self.rng.uniform(0, self.jitter_s) if self.jitter_s else 0.0)
        if self.bytes_per_s:
            if self.free_at - now > QUEUE_S:
                return None
            self.free_at = max(self.free_at, now) + size / self.bytes_per_s
            at += self.free_at - now
        return at


def tap(interface: str) -> socket.socket:
    """A packet socket that reads what arrives on ``interface`` and writes to it."""
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    opened.bind((interface, ETH_P_ALL))
    opened.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    opened.setblocking(False)
    return opened


def main() -> None:
    directions: dict[socket.socket, Direction] = {}
    for left, right, delay_ms, jitter_ms, loss, rate_mbit, seed in json.loads(sys.stdin.readline()):
        rng = random.Random(seed)
        a, b = tap(left), tap(right)
        directions[a] = Direction(b, delay_ms, jitter_ms, loss, rate_mbit, rng)
        directions[b] = Direction(a, delay_ms, jitter_ms, loss, rate_mbit, rng)
    with suppress(OSError):  # a wire that waits for a busy machine's processor would be a jittery one
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    print("READY", flush=True)
    heap: list[tuple[float, int, socket.socket, bytes]] = []
    number = 0
    watched = [*directions, sys.stdin]
    while True:
        while heap and heap[0][0] <= time.monotonic():
            _, _, out, frame = heapq.heappop(heap)
            with suppress(OSError):  # the far end is down: that is how a cut cable looks
                out.send(frame)
        # select() takes microseconds; epoll would round a delay of 0.25 ms up to a whole one
        readable, _, _ = select.select(watched, [], [], max(0.0, heap[0][0] - time.monotonic()) if heap else None)
        for ready in readable:
            if not isinstance(ready, socket.socket):
                return
            now = time.monotonic()
            for _ in range(64):
                try:
                    frame = ready.recv(65535)
                except OSError:
                    break
                direction = directions[ready]
                at = direction.due(len(frame), now)
                if at is not None:
                    number += 1
                    heapq.heappush(heap, (at, number, direction.out, frame))


if __name__ == "__main__":
    main()
