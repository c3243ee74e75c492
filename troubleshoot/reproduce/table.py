"""Every claim of the catalogue and the function that carries it out: one explicit table."""

from __future__ import annotations

import enum
from collections.abc import Callable

import msgspec

from troubleshoot.reproduce import addresses, connections, misuse, names, resources
from troubleshoot.reproduce.stage import Stage


class Needs(enum.Enum):
    """What a reproduction cannot do without.

    ``LOOPBACK`` runs in a network namespace of its own where one can be had, and else on free ports of the machine's
    loopback; ``LINUX`` is the same, with calls that no other system has; ``NETWORK`` needs the namespace, ``MOUNTS``
    also file systems of its own.
    """

    LOOPBACK = "loopback"
    LINUX = "linux"
    NETWORK = "network"
    MOUNTS = "mounts"


class Reproducer(msgspec.Struct, frozen=True):
    """One function that makes an error happen: the last call that it makes is the one the claim is about."""

    run: Callable[[Stage], None]
    needs: Needs = Needs.LOOPBACK


#: (code, claim) of ``catalogue/reproduce.toml`` → how it is carried out.
TABLE: dict[tuple[str, str], Reproducer] = {
    ("WSAEINTR", "recv-interrupted"): Reproducer(misuse.recv_interrupted, Needs.LINUX),
    ("WSAEBADF", "send-on-a-closed-socket"): Reproducer(misuse.send_on_a_closed_socket),
    ("WSAEBADF", "close-twice"): Reproducer(misuse.close_twice),
    ("WSAEBADF", "read-a-file-open-for-writing"): Reproducer(misuse.read_a_file_open_for_writing, Needs.LINUX),
    ("WSAEACCES", "broadcast-without-permission"): Reproducer(addresses.broadcast_without_permission, Needs.NETWORK),
    ("WSAEACCES", "bind-a-low-port"): Reproducer(addresses.bind_a_low_port, Needs.LINUX),
    ("WSAEACCES", "connect-by-a-prohibit-route"): Reproducer(addresses.connect_by_a_prohibit_route, Needs.NETWORK),
    ("WSAEACCES", "raw-socket-without-privilege"): Reproducer(addresses.raw_socket_without_privilege, Needs.LINUX),
    ("WSAEFAULT", "connect-with-a-bad-pointer"): Reproducer(misuse.connect_with_a_bad_pointer),
    ("WSAEFAULT", "recv-with-a-bad-pointer"): Reproducer(misuse.recv_with_a_bad_pointer),
    ("WSAEFAULT", "bind-with-a-short-address"): Reproducer(misuse.bind_with_a_short_address),
    ("WSAEFAULT", "gethostname-with-a-short-buffer"): Reproducer(misuse.gethostname_with_a_short_buffer),
    ("WSAEINVAL", "accept-without-listen"): Reproducer(misuse.accept_without_listen),
    ("WSAEINVAL", "bind-twice"): Reproducer(misuse.bind_twice),
    ("WSAEINVAL", "listen-without-bind"): Reproducer(misuse.listen_without_bind),
    ("WSAEINVAL", "getsockopt-with-a-negative-length"): Reproducer(misuse.getsockopt_with_a_negative_length),
    ("WSAEINVAL", "shutdown-with-an-unknown-direction"): Reproducer(misuse.shutdown_with_an_unknown_direction),
    ("WSAEINVAL", "connect-by-a-blackhole-route"): Reproducer(addresses.connect_by_a_blackhole_route, Needs.NETWORK),
    ("WSAEINVAL", "sendto-port-0"): Reproducer(addresses.sendto_port_0),
    ("WSAEMFILE", "socket-without-free-descriptors"): Reproducer(
        resources.socket_without_free_descriptors, Needs.LINUX
    ),
    ("WSAEMFILE", "accept-without-free-descriptors"): Reproducer(
        resources.accept_without_free_descriptors, Needs.LINUX
    ),
    ("WSAEWOULDBLOCK", "recv-without-waiting"): Reproducer(misuse.recv_without_waiting),
    ("WSAEWOULDBLOCK", "accept-without-waiting"): Reproducer(misuse.accept_without_waiting),
    ("WSAEWOULDBLOCK", "send-into-full-buffers"): Reproducer(misuse.send_into_full_buffers),
    ("WSAEWOULDBLOCK", "connect-without-waiting"): Reproducer(connections.connect_without_waiting),
    ("WSAEINPROGRESS", "connect-without-waiting"): Reproducer(connections.connect_without_waiting),
    ("WSAEALREADY", "connect-while-connecting"): Reproducer(connections.connect_while_connecting, Needs.LINUX),
    ("WSAENOTSOCK", "recv-on-a-file"): Reproducer(misuse.recv_on_a_file),
    ("WSAENOTSOCK", "connect-on-a-pipe"): Reproducer(misuse.connect_on_a_pipe, Needs.LINUX),
    ("WSAENOTSOCK", "send-on-a-closed-socket"): Reproducer(misuse.send_on_a_closed_socket),
    ("WSAEDESTADDRREQ", "send-without-destination"): Reproducer(misuse.send_without_destination),
    ("WSAEDESTADDRREQ", "sendto-without-destination"): Reproducer(misuse.sendto_without_destination),
    ("WSAEDESTADDRREQ", "sendto-the-unspecified-address"): Reproducer(
        addresses.sendto_the_unspecified_address, Needs.NETWORK
    ),
    ("WSAEMSGSIZE", "sendto-a-datagram-too-large"): Reproducer(addresses.sendto_a_datagram_too_large),
    ("WSAEMSGSIZE", "recv-into-a-small-buffer"): Reproducer(addresses.recv_into_a_small_buffer),
    ("WSAEPROTOTYPE", "connect-to-a-socket-of-another-type"): Reproducer(
        misuse.connect_to_a_socket_of_another_type, Needs.MOUNTS
    ),
    ("WSAEPROTOTYPE", "socket-of-the-wrong-protocol"): Reproducer(misuse.socket_of_the_wrong_protocol),
    ("WSAENOPROTOOPT", "setsockopt-of-an-unknown-option"): Reproducer(misuse.setsockopt_of_an_unknown_option),
    ("WSAENOPROTOOPT", "getsockopt-of-an-unknown-option"): Reproducer(misuse.getsockopt_of_an_unknown_option),
    ("WSAENOPROTOOPT", "setsockopt-of-a-read-only-option"): Reproducer(misuse.setsockopt_of_a_read_only_option),
    ("WSAENOPROTOOPT", "setsockopt-of-tcp-on-udp"): Reproducer(misuse.setsockopt_of_tcp_on_udp),
    ("WSAENOPROTOOPT", "broadcast-option-on-tcp"): Reproducer(misuse.broadcast_option_on_tcp),
    ("WSAENOPROTOOPT", "keepalive-option-on-udp"): Reproducer(misuse.keepalive_option_on_udp),
    ("WSAENOPROTOOPT", "recv-after-protocol-unreachable"): Reproducer(
        addresses.recv_after_protocol_unreachable, Needs.NETWORK
    ),
    ("WSAENOPROTOOPT", "recv-after-parameter-problem"): Reproducer(
        addresses.recv_after_parameter_problem, Needs.NETWORK
    ),
    ("WSAEPROTONOSUPPORT", "socket-of-an-unknown-protocol"): Reproducer(misuse.socket_of_an_unknown_protocol),
    ("WSAESOCKTNOSUPPORT", "socket-of-an-unsupported-type"): Reproducer(misuse.socket_of_an_unsupported_type),
    ("WSAEOPNOTSUPP", "accept-on-udp"): Reproducer(misuse.accept_on_udp),
    ("WSAEOPNOTSUPP", "listen-on-udp"): Reproducer(misuse.listen_on_udp),
    ("WSAEOPNOTSUPP", "urgent-data-on-udp"): Reproducer(misuse.urgent_data_on_udp),
    ("WSAEPFNOSUPPORT", "socket-of-an-unknown-family"): Reproducer(misuse.socket_of_an_unknown_family),
    ("WSAEAFNOSUPPORT", "socket-of-an-unknown-family"): Reproducer(misuse.socket_of_an_unknown_family),
    ("WSAEAFNOSUPPORT", "connect-to-another-family"): Reproducer(misuse.connect_to_another_family),
    ("WSAEADDRINUSE", "bind-to-a-held-port"): Reproducer(addresses.bind_to_a_held_port),
    ("WSAEADDRINUSE", "bind-while-a-connection-lingers"): Reproducer(addresses.bind_while_a_connection_lingers),
    ("WSAEADDRINUSE", "listen-on-a-shared-port"): Reproducer(addresses.listen_on_a_shared_port),
    ("WSAEADDRINUSE", "connect-the-same-pair-again"): Reproducer(addresses.connect_the_same_pair_again),
    ("WSAEADDRINUSE", "connect-without-free-ports"): Reproducer(addresses.connect_without_free_ports, Needs.NETWORK),
    ("WSAEADDRNOTAVAIL", "bind-to-a-foreign-address"): Reproducer(addresses.bind_to_a_foreign_address),
    ("WSAEADDRNOTAVAIL", "connect-without-free-ports"): Reproducer(addresses.connect_without_free_ports, Needs.NETWORK),
    ("WSAEADDRNOTAVAIL", "connect-to-port-0"): Reproducer(addresses.connect_to_port_0),
    ("WSAEADDRNOTAVAIL", "sendto-port-0"): Reproducer(addresses.sendto_port_0),
    ("WSAENETDOWN", "recv-on-a-dead-interface"): Reproducer(addresses.packet_socket_on_a_dead_interface, Needs.NETWORK),
    ("WSAENETUNREACH", "connect-without-a-route"): Reproducer(addresses.connect_without_a_route, Needs.NETWORK),
    ("WSAENETUNREACH", "sendto-without-a-route"): Reproducer(addresses.sendto_without_a_route, Needs.NETWORK),
    ("WSAENETUNREACH", "recv-after-network-unreachable"): Reproducer(
        addresses.recv_after_network_unreachable, Needs.NETWORK
    ),
    ("WSAENETRESET", "recv-after-unanswered-keepalives"): Reproducer(
        connections.recv_after_unanswered_keepalives, Needs.LINUX
    ),
    ("WSAENETRESET", "keepalive-option-after-a-reset"): Reproducer(connections.keepalive_option_after_a_reset),
    ("WSAECONNABORTED", "recv-after-a-local-abort"): Reproducer(connections.recv_after_a_local_abort, Needs.NETWORK),
    ("WSAECONNABORTED", "recv-after-unanswered-data"): Reproducer(connections.recv_after_unanswered_data, Needs.LINUX),
    ("WSAECONNABORTED", "accept-a-connection-reset-meanwhile"): Reproducer(
        connections.accept_a_connection_reset_meanwhile
    ),
    ("WSAECONNRESET", "recv-after-a-reset"): Reproducer(connections.recv_after_a_reset),
    ("WSAECONNRESET", "send-after-a-reset"): Reproducer(connections.send_after_a_reset),
    ("WSAECONNRESET", "send-twice-after-a-reset"): Reproducer(connections.send_twice_after_a_reset),
    ("WSAECONNRESET", "recv-after-port-unreachable"): Reproducer(addresses.recv_after_port_unreachable),
    ("WSAENOBUFS", "join-too-many-groups"): Reproducer(resources.join_too_many_groups, Needs.LINUX),
    ("WSAENOBUFS", "recv-after-an-overrun"): Reproducer(resources.recv_after_an_overrun, Needs.NETWORK),
    ("WSAENOBUFS", "connect-without-free-ports"): Reproducer(addresses.connect_without_free_ports, Needs.NETWORK),
    ("WSAEISCONN", "connect-when-connected"): Reproducer(misuse.connect_when_connected),
    ("WSAEISCONN", "connect-a-listener"): Reproducer(misuse.connect_a_listener),
    ("WSAEISCONN", "sendto-on-a-connected-stream"): Reproducer(misuse.sendto_on_a_connected_stream, Needs.LINUX),
    ("WSAEISCONN", "listen-when-connected"): Reproducer(misuse.listen_when_connected),
    ("WSAENOTCONN", "recv-when-not-connected"): Reproducer(misuse.recv_when_not_connected),
    ("WSAENOTCONN", "getpeername-when-not-connected"): Reproducer(misuse.getpeername_when_not_connected),
    ("WSAENOTCONN", "shutdown-when-not-connected"): Reproducer(misuse.shutdown_when_not_connected),
    ("WSAENOTCONN", "send-when-not-connected"): Reproducer(misuse.send_when_not_connected),
    ("WSAENOTCONN", "send-without-destination"): Reproducer(misuse.send_without_destination),
    ("WSAESHUTDOWN", "send-after-shutdown"): Reproducer(misuse.send_after_shutdown),
    ("WSAESHUTDOWN", "recv-after-shutdown"): Reproducer(misuse.recv_after_shutdown),
    ("WSAETOOMANYREFS", "pass-too-many-descriptors"): Reproducer(resources.pass_too_many_descriptors, Needs.LINUX),
    ("WSAETIMEDOUT", "connect-without-an-answer"): Reproducer(connections.connect_without_an_answer, Needs.LINUX),
    ("WSAETIMEDOUT", "recv-with-a-time-limit"): Reproducer(connections.recv_with_a_time_limit),
    ("WSAECONNREFUSED", "connect-where-nobody-listens"): Reproducer(connections.connect_where_nobody_listens),
    ("WSAECONNREFUSED", "recv-after-port-unreachable"): Reproducer(addresses.recv_after_port_unreachable),
    ("WSAECONNREFUSED", "send-after-port-unreachable"): Reproducer(addresses.send_after_port_unreachable),
    ("WSAELOOP", "connect-through-a-loop-of-links"): Reproducer(
        resources.connect_through_a_loop_of_links, Needs.MOUNTS
    ),
    ("WSAENAMETOOLONG", "open-a-name-too-long"): Reproducer(resources.open_a_name_too_long, Needs.LINUX),
    ("WSAENAMETOOLONG", "gethostname-with-a-short-buffer"): Reproducer(misuse.gethostname_with_a_short_buffer),
    ("WSAEHOSTDOWN", "recv-after-host-unknown"): Reproducer(addresses.recv_after_host_unknown, Needs.NETWORK),
    ("WSAEHOSTUNREACH", "connect-by-an-unreachable-route"): Reproducer(
        addresses.connect_by_an_unreachable_route, Needs.NETWORK
    ),
    ("WSAEHOSTUNREACH", "recv-after-host-unreachable"): Reproducer(
        addresses.recv_after_host_unreachable, Needs.NETWORK
    ),
    ("WSAEHOSTUNREACH", "recv-after-administratively-prohibited"): Reproducer(
        addresses.recv_after_administratively_prohibited, Needs.NETWORK
    ),
    ("WSAENOTEMPTY", "remove-a-folder-with-a-file"): Reproducer(resources.remove_a_folder_with_a_file, Needs.MOUNTS),
    ("WSAEDQUOT", "keep-a-key-beyond-the-quota"): Reproducer(resources.keep_a_key_beyond_the_quota, Needs.LINUX),
    ("WSAESTALE", "open-a-stale-handle"): Reproducer(resources.open_a_stale_handle, Needs.MOUNTS),
    ("WSAEDISCON", "recv-after-the-peer-closed"): Reproducer(connections.recv_after_the_peer_closed),
    ("WSAHOST_NOT_FOUND", "getaddrinfo-of-a-name-that-does-not-exist"): Reproducer(
        names.getaddrinfo_of_a_name_that_does_not_exist, Needs.MOUNTS
    ),
    ("WSAHOST_NOT_FOUND", "gethostbyname-of-a-name-that-does-not-exist"): Reproducer(
        names.gethostbyname_of_a_name_that_does_not_exist, Needs.MOUNTS
    ),
    ("WSATRY_AGAIN", "getaddrinfo-with-a-failing-server"): Reproducer(
        names.getaddrinfo_with_a_failing_server, Needs.MOUNTS
    ),
    ("WSATRY_AGAIN", "getaddrinfo-with-a-silent-server"): Reproducer(
        names.getaddrinfo_with_a_silent_server, Needs.MOUNTS
    ),
    ("WSANO_RECOVERY", "gethostbyname-with-a-malformed-question"): Reproducer(
        names.gethostbyname_with_a_malformed_question, Needs.MOUNTS
    ),
    ("WSANO_RECOVERY", "getaddrinfo-with-a-malformed-question"): Reproducer(
        names.getaddrinfo_with_a_malformed_question, Needs.MOUNTS
    ),
    ("WSANO_RECOVERY", "getaddrinfo-with-a-refusing-server"): Reproducer(
        names.getaddrinfo_with_a_refusing_server, Needs.MOUNTS
    ),
    ("WSANO_DATA", "getaddrinfo-of-a-name-without-an-address"): Reproducer(
        names.getaddrinfo_of_a_name_without_an_address, Needs.MOUNTS
    ),
    ("WSANO_DATA", "gethostbyname-of-a-name-without-an-address"): Reproducer(
        names.gethostbyname_of_a_name_without_an_address, Needs.MOUNTS
    ),
}
