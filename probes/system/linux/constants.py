"""Socket constants of Linux that the standard library lacks (Python 3.11 to 3.13), each from its kernel header.

Values are those of the generic ABI, shared by x86, ARM, RISC-V, POWER and S/390; the ``SO_`` ones differ on
SPARC and PA-RISC.
"""

from __future__ import annotations

from typing import Final

# <linux/in.h>: options at level IPPROTO_IP
IP_MTU_DISCOVER: Final = 10
IP_RECVERR: Final = 11
IP_RECVTTL: Final = 12
IP_MTU: Final = 14
IP_MINTTL: Final = 21

# <linux/in6.h>: options at level IPPROTO_IPV6
IPV6_MTU_DISCOVER: Final = 23
IPV6_MTU: Final = 24
IPV6_RECVERR: Final = 25
IPV6_RECVHOPLIMIT: Final = 51
IPV6_HOPLIMIT: Final = 52
IPV6_AUTOFLOWLABEL: Final = 70
IPV6_MINHOPCOUNT: Final = 73

# <linux/in.h>: values of IP_MTU_DISCOVER and, with the same numbers, IPV6_MTU_DISCOVER
PMTUDISC_PROBE: Final = 3

# <linux/icmp.h>, <linux/icmpv6.h>: filters of raw sockets
SOL_RAW: Final = 255
ICMP_FILTER: Final = 1
SOL_ICMPV6: Final = 58
ICMPV6_FILTER: Final = 1

# <linux/socket.h>
MSG_ERRQUEUE: Final = 0x2000

# <asm-generic/socket.h>: options at level SOL_SOCKET, and the types of the control messages they bring
SO_TIMESTAMPNS: Final = 35
SO_ATTACH_FILTER: Final = 26
SO_MEMINFO: Final = 55

# <linux/errqueue.h>: ee_origin of struct sock_extended_err
SO_EE_ORIGIN_LOCAL: Final = 1
SO_EE_ORIGIN_ICMP: Final = 2
SO_EE_ORIGIN_ICMP6: Final = 3

# <linux/if_packet.h>: options at level SOL_PACKET
SOL_PACKET: Final = 263
PACKET_AUXDATA: Final = 8
PACKET_IGNORE_OUTGOING: Final = 23

# <linux/if_packet.h>: tp_status of struct tpacket_auxdata
TP_STATUS_CSUMNOTREADY: Final = 1 << 3
TP_STATUS_CSUM_VALID: Final = 1 << 7

# <linux/if_ether.h>
ETH_P_ALL: Final = 0x0003
ETH_P_IP: Final = 0x0800
ETH_P_ARP: Final = 0x0806
ETH_P_IPV6: Final = 0x86DD

# <linux/netlink.h>: families of netlink sockets
NETLINK_ROUTE: Final = 0
NETLINK_SOCK_DIAG: Final = 4
