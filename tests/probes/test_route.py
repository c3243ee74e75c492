"""The route probe against the kernel's own tables, as root and as nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from linklab import NOBODY, LinkLab

from probes import route
from probes.base import Context, NotApplicable, ProbeTarget
from probes.failure import Failure
from probes.route import RouteKind


def look(address: str) -> route.RouteResult:
    return asyncio.run(route.observe(route.RouteRequest(address), Context(), lambda _: None))


def test_loopback_is_local_and_sends_nothing() -> None:
    for address, family in (("127.0.0.1", 4), ("::1", 6), ("::ffff:127.0.0.1", 4)):
        found = look(address)
        assert (found.kind, found.interface, found.family) == (RouteKind.LOCAL, "lo", family)
        assert not found.on_link


def test_what_is_no_address_is_not_applicable() -> None:
    with pytest.raises(NotApplicable) as caught:
        look("example.com")
    assert caught.value.reason.key == "reason.not-an-address"
    with pytest.raises(NotApplicable) as caught:
        look("fe80::1%nowhere0")
    assert caught.value.reason.key == "reason.no-such-interface"
    with pytest.raises(NotApplicable):
        route.PROBE.request_for(ProbeTarget(host="example.com"))


@pytest.fixture(scope="module")
def lab() -> Iterator[LinkLab]:
    with LinkLab() as lab:
        for kind in ("unreachable", "prohibit", "blackhole"):
            number = {"unreachable": 1, "prohibit": 2, "blackhole": 3}[kind]
            lab.sh("client", f"ip route add {kind} 10.78.{number}.0/24; ip -6 route add {kind} fd78:{number}::/64")
        lab.sh("client", "ip route add 10.79.0.0/16 via 10.77.1.200 metric 7 mtu 1300")
        lab.sh("client", "ip route add default via 10.77.1.200 metric 50")
        lab.sh("client", "ip rule add to 10.80.0.0/16 lookup 80; ip route add default via 10.77.1.200 table 80")
        lab.sh("client", "ip rule add to 10.81.0.0/16 prohibit")
        yield lab


@pytest.mark.lab
@pytest.mark.parametrize("uid", [0, NOBODY])
def test_each_refusal_has_its_kind(lab: LinkLab, uid: int) -> None:
    expected = {
        "unreachable": (1, Failure.HOST_UNREACHABLE, "EHOSTUNREACH"),
        "prohibit": (2, Failure.ACCESS_DENIED, "EACCES"),
        "blackhole": (3, Failure.INVALID, "EINVAL"),
    }
    targets = [address for number in (1, 2, 3) for address in (f"10.78.{number}.9", f"fd78:{number}::9")]
    found = lab.run(f"result = [observe('route', address=address) for address in {targets!r}]", uid=uid)
    for result in found:
        number, failure, name = expected[result.kind.value]
        assert (result.failure, result.errno) == (failure, name)
        assert result.matched == (f"10.78.{number}.0/24" if result.family == 4 else f"fd78:{number}::/64")
    assert [result.kind.value for result in found] == [kind for kind in expected for _ in range(2)]


@pytest.mark.lab
def test_on_link_gateway_and_policy(lab: LinkLab) -> None:
    code = """
    targets = ["10.77.1.99", "10.77.2.2", "10.79.1.1", "10.80.1.1", "10.81.1.1", "10.77.1.2", "10.77.1.255",
               "fd77:1::99", "fd77:2::2", "fd77:1::2"]
    result = [observe("route", address=address) for address in targets]
    """
    near, far, metric, policy, forbidden, own, broadcast, near6, far6, own6 = lab.run(code, uid=NOBODY)
    assert (near.on_link, near.gateway, near.matched) == (True, None, "10.77.1.0/24")
    assert (near.interface, near.source) == ("e0", "10.77.1.2")
    assert (far.on_link, far.gateway, far.matched, far.gateway_on_link) == (False, "10.77.1.1", "0.0.0.0/0", True)
    assert (metric.gateway, metric.matched, metric.mtu) == ("10.77.1.200", "10.79.0.0/16", 1300)
    assert (policy.gateway, policy.matched) == ("10.77.1.200", "0.0.0.0/0")
    assert (forbidden.kind, forbidden.errno, forbidden.matched) == (RouteKind.PROHIBIT, "EACCES", None)
    assert own.kind is own6.kind is RouteKind.LOCAL
    assert broadcast.kind is RouteKind.BROADCAST
    assert (near6.on_link, near6.matched) == (True, "fd77:1::/64")
    assert (far6.gateway, far6.matched, far6.gateway_on_link) == ("fd77:1::1", "::/0", True)
    # lowest metric first; table 80 only where a rule leads there
    assert [(route.gateway, route.metric) for route in far.defaults] == [("10.77.1.1", 0), ("10.77.1.200", 50)]
    assert len(policy.defaults) == 3
    assert [route.gateway for route in far6.defaults] == ["fd77:1::1"]


@pytest.mark.lab
@pytest.mark.parametrize("uid", [0, NOBODY])
def test_without_a_default_route(uid: int) -> None:
    with LinkLab() as lab:
        lab.sh("client", "ip route del default; ip -6 route del default")
        four = lab.observe("route", address="10.77.2.2", uid=uid)
        six = lab.observe("route", address="fd77:2::2", uid=uid)
    for found in (four, six):
        assert (found.kind, found.failure, found.errno) == (
            RouteKind.NONE,
            Failure.NETWORK_UNREACHABLE,
            "ENETUNREACH",
        )
        assert found.defaults == ()
        assert found.interface is None


@pytest.mark.lab
def test_router_outside_the_mask_and_host_route_to_it() -> None:
    with LinkLab() as lab:
        lab.sh("client", "ip addr flush dev e0 scope global; ip addr add 10.77.1.130/25 dev e0")
        lab.sh("client", "ip route add default via 10.77.1.1 dev e0 onlink")
        outside = lab.observe("route", address="10.77.2.2")
        router = lab.observe("route", address="10.77.1.1")
        lab.sh("client", "ip route add 10.77.1.1 dev e0 scope link")
        inside = lab.observe("route", address="10.77.2.2")
    assert outside.gateway_on_link is False
    assert outside.defaults[0].onlink
    # the router is its own next hop: a packet to it goes straight to the link, though no prefix holds it
    assert (router.on_link, router.gateway_on_link, router.matched) == (True, False, "0.0.0.0/0")
    assert inside.gateway_on_link is True


@pytest.mark.lab
def test_interface_without_carrier() -> None:
    with LinkLab() as lab:
        lab.sh("router", "ip link set pc down")
        found = lab.observe("route", address="10.77.2.2")
    assert found.kind is RouteKind.UNICAST
    assert found.defaults[0].linkdown


@pytest.mark.lab
def test_several_next_hops_and_one_of_the_other_family() -> None:
    with LinkLab() as lab:
        lab.sh("client", "ip route replace default nexthop via 10.77.1.1 nexthop via 10.77.1.200")
        lab.sh("client", "ip route add 10.79.0.0/16 via inet6 fd77:1::1 dev e0")
        several, other = lab.run("result = [observe('route', address=to) for to in ('10.99.0.1', '10.79.0.1')]")
    assert several.gateway in ("10.77.1.1", "10.77.1.200")
    assert several.matched == "0.0.0.0/0"
    assert {hop.gateway for hop in several.defaults} == {"10.77.1.1", "10.77.1.200"}
    assert (other.gateway, other.gateway_on_link, other.matched) == ("fd77:1::1", True, "10.79.0.0/16")


@pytest.mark.lab
def test_a_path_mtu_that_was_learnt() -> None:
    with LinkLab() as lab:
        lab.sh("router", "ip link set e1 mtu 1400")
        code = """
        import socket, time
        for family, to in ((socket.AF_INET, "10.77.2.2"), (socket.AF_INET6, "fd77:2::2")):
            with socket.socket(family, socket.SOCK_DGRAM) as caller:
                caller.sendto(bytes(1440), (to, 9))
        time.sleep(0.2)
        result = [observe("route", address=to).mtu for to in ("10.77.2.2", "fd77:2::2")]
        """
        assert lab.run(code, uid=NOBODY) == [1400, 1400]


@pytest.mark.lab
def test_interface_down_or_without_address() -> None:
    code = "result = [observe('route', address=to) for to in ('10.77.2.2', '10.77.1.200', 'fd77:2::2')]"
    nothing = (RouteKind.NONE, "ENETUNREACH", ())
    with LinkLab() as lab:
        lab.sh("client", "ip addr flush dev e0")
        bare = lab.run(code, uid=NOBODY)
        lab.sh("client", "ip link set e0 down")
        down = lab.run(code, uid=NOBODY)
    assert [(found.kind, found.errno, found.defaults) for found in down] == [nothing] * 3
    assert [(found.kind, found.errno, found.defaults) for found in bare[:2]] == [nothing] * 2
    # an IPv6 default route outlives the address; the kernel then falls back on a source that fits no link
    assert (bare[2].kind, bare[2].source, bare[2].gateway_on_link) == (RouteKind.UNICAST, "::1", False)
