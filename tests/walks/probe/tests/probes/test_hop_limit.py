"""The probe of the hops that packets start with: held to a socket of this machine, and to recorded trees."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from probes.base import Context, NotApplicable
from probes.hop_limit import HopLimitRequest, HopLimitResult, observe


def look(root: Path = Path("/")) -> HopLimitResult:
    return asyncio.run(observe(HopLimitRequest(), Context(root=root), lambda _partial: None))


def test_a_socket_starts_with_what_is_read() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as fresh:
        assert look().ipv4 == fresh.getsockopt(socket.IPPROTO_IP, socket.IP_TTL)


def test_a_family_that_is_not_there(tmp_path: Path) -> None:
    setting = tmp_path / "proc/sys/net/ipv4/ip_default_ttl"
    setting.parent.mkdir(parents=True)
    setting.write_text("2\n", encoding="utf-8")
    assert look(tmp_path) == HopLimitResult(2, None)


def test_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(NotApplicable):
        look(tmp_path)
