"""The packet filter's rules, held to what nft(8) was told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from linklab import NOBODY, LinkLab

from probes.base import NotPermitted

CHAIN = "add table inet t; add chain inet t c { type filter hook output priority 0; }; "


@pytest.fixture(scope="module")
def lab() -> Iterator[LinkLab]:
    with LinkLab() as lab:
        yield lab


@pytest.mark.lab
@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ("", (0, 0, 0, 0)),
        (CHAIN + "add rule inet t c tcp dport 80 counter accept", (1, 0, 0, 0)),
        (CHAIN + "add rule inet t c tcp dport 80 drop", (1, 1, 0, 0)),
        (CHAIN + "add rule inet t c tcp dport 80 reject with tcp reset", (1, 1, 0, 0)),
        (CHAIN + "add rule inet t c meta skuid 33 drop", (1, 1, 1, 0)),
        (CHAIN + "add chain inet t d; add rule inet t d drop; add rule inet t c meta skgid 5 jump d", (2, 1, 1, 0)),
        (CHAIN + "add chain inet t lonely; add rule inet t lonely drop", (1, 0, 0, 0)),
        (CHAIN + "add rule inet t c tcp dport vmap { 80 : drop, 81 : accept }", (1, 1, 0, 0)),
        ("add table ip t; add chain ip t i { type filter hook input priority 0; policy drop; }", (0, 1, 0, 0)),
        ("add table ip t; add chain ip t f { type filter hook forward priority 0; policy drop; }", (0, 0, 0, 0)),
        (
            "add table ip t; add chain ip t n { type nat hook postrouting priority 100; }; add rule ip t n masquerade",
            (1, 0, 0, 0),
        ),
    ],
)
def test_what_the_rules_can_do(lab: LinkLab, rules: str, expected: tuple[int, int, int, int]) -> None:
    lab.sh("client", "nft flush ruleset" + (f" && nft '{rules}'" if rules else ""))
    found = lab.observe("filter-rules")
    assert (found.rules, found.stopping, found.by_user, found.by_group) == expected
    assert found.complete


@pytest.mark.lab
def test_others_are_not_told(lab: LinkLab) -> None:
    assert isinstance(lab.observe("filter-rules", uid=NOBODY), NotPermitted)
