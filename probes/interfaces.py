"""Read the state of every network interface: link, addresses, MTU and error counters."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from probes.base import Context, Probe, sends_nothing
from probes.system import need_linux, platform_name
from probes.system.linux import rtnetlink
from probes.system.records import Interface as Interface  # noqa: PLC0414 - offered here, too
from probes.system.records import InterfaceAddress as InterfaceAddress  # noqa: PLC0414 - offered here, too


class InterfacesRequest(msgspec.Struct, frozen=True):
    """Nothing to ask for: all interfaces are read."""


class InterfacesResult(msgspec.Struct, frozen=True):
    """All interfaces by index."""

    interfaces: tuple[Interface, ...]


async def observe(
    request: InterfacesRequest,
    context: Context,
    progress: Callable[[InterfacesResult], None],
) -> InterfacesResult:
    """Read all interfaces over rtnetlink(7), or as Windows lists them; nothing is sent and no privilege needed.

    Raises :class:`NotApplicable` on other systems.
    """
    del request, progress
    if platform_name() == "windows":
        from probes.system.windows import adapters, iphlpapi  # noqa: PLC0415 - Windows alone has it

        try:
            return InterfacesResult(adapters.interfaces())
        except (iphlpapi.Lacking, OSError):
            need_linux("interfaces")
    need_linux("interfaces")
    by_index = _addresses(context)
    links = rtnetlink.links(context)
    below = {link.below for link in links if link.below != link.index}
    interfaces = tuple(
        Interface(
            name=link.name,
            index=link.index,
            up=bool(link.flags & rtnetlink.IFF_UP),
            # a driver tells nothing about the cable of an interface that is switched off
            carrier=link.carrier if link.flags & rtnetlink.IFF_UP else None,
            loopback=bool(link.flags & rtnetlink.IFF_LOOPBACK),
            mtu=link.mtu,
            mac=link.mac.hex(":") if any(link.mac) else None,
            addresses=tuple(by_index.get(link.index, ())),
            rx_errors=link.rx_errors,
            tx_errors=link.tx_errors,
            rx_dropped=link.rx_dropped,
            tx_dropped=link.tx_dropped,
            serves=link.master is not None or link.index in below,
            ipv6_off=_ipv6_off(context, link.name),
            tunnel=_is_tunnel(link),
            reverse_path=_reverse_path(context, link.name),
            rx_packets=link.rx_packets,
            tx_packets=link.tx_packets,
        )
        for link in links
    )
    return InterfacesResult(interfaces)


def _addresses(context: Context) -> dict[int, list[InterfaceAddress]]:
    by_index: dict[int, list[InterfaceAddress]] = {}
    for found in rtnetlink.addresses(context):
        by_index.setdefault(found.index, []).append(
            InterfaceAddress(
                address=found.address,
                family=found.family,
                prefix=found.prefix,
                broadcast=found.broadcast,
                # an address whose duplicate was found stays unusable for good, just as a tentative one
                tentative=bool(found.flags & (rtnetlink.IFA_F_TENTATIVE | rtnetlink.IFA_F_DADFAILED)),
                deprecated=bool(found.flags & rtnetlink.IFA_F_DEPRECATED),
                duplicate=bool(found.flags & rtnetlink.IFA_F_DADFAILED),
            )
        )
    return by_index


def _ipv6_off(context: Context, name: str) -> bool:
    """Tell whether the interface's own switch keeps IPv6 from it.

    ``conf/all`` alone decides nothing: it is copied to the interfaces when it is written (ip-sysctl).
    """
    try:
        return context.read_text(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6").strip() == "1"
    except OSError:
        return False  # an interface without IPv6, a kernel without it, or no /proc


def _reverse_path(context: Context, name: str) -> int | None:
    """Return the higher of the interface's own setting and that of all, which is the one that holds."""
    try:
        return max(int(context.read_text(f"/proc/sys/net/ipv4/conf/{one}/rp_filter")) for one in ("all", name))
    except (OSError, ValueError):
        return None


def _is_tunnel(link: rtnetlink.Link) -> bool:
    far_end = bool(link.flags & (rtnetlink.IFF_NOARP | rtnetlink.IFF_POINTOPOINT))
    return far_end and link.hardware_type != rtnetlink.ARPHRD_ETHER


PROBE = Probe(
    name="interfaces",
    request=InterfacesRequest,
    result=InterfacesResult,
    observe=observe,
    request_for=lambda _target: InterfacesRequest(),
    deadline_s=2.0,
    most_packets=sends_nothing,
)
