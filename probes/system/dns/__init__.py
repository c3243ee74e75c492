"""What name servers are asked and what they say, and the configuration that names them, as records.

Records alone: who only reads a resolution does not load what it takes to ask.
"""

from __future__ import annotations

import enum

import msgspec


class Answer(enum.StrEnum):
    """What one question to one name server came to.

    ``ADDRESSES`` is only said of A and AAAA questions; a question for anything else that is answered with
    NOERROR counts as ``NO_DATA``, whether records came with it or not.
    """

    ADDRESSES = "addresses"
    NO_DATA = "no-data"
    NXDOMAIN = "nxdomain"
    SERVFAIL = "servfail"
    REFUSED = "refused"
    FORMERR = "formerr"
    NOTIMP = "notimp"
    OTHER_RCODE = "other-rcode"
    NO_ANSWER = "no-answer"
    PORT_CLOSED = "port-closed"
    UNREACHABLE = "unreachable"
    MALFORMED = "malformed"


class Unfit(enum.StrEnum):
    """Why what came is no answer to the question: it has another number, asks or answers something else, or is broken.

    A resolver passes over all of them (RFC 5452, section 9.1), whoever sent them.
    """

    NUMBER = "wrong-id"
    QUESTION = "wrong-question"
    NO_RESPONSE = "no-response"
    UNREADABLE = "unreadable"


#: The answers that no message of the server stands behind.
SILENT = frozenset({Answer.NO_ANSWER, Answer.PORT_CLOSED, Answer.UNREACHABLE})


#: The control name that every server is asked for: the root.
CONTROL_NAME = "."
#: A name that nobody can have (RFC 6761, section 6.4): who gives an address for it gives one for whatever is asked.
ABSENT_NAME = "no-such-host.invalid"
#: A name that the public name service has had since its beginning (RFC 8109, section 3.2).
KNOWN_NAME = "a.root-servers.net"


class ServerAnswer(msgspec.Struct, frozen=True):
    """One question (``name``, ``record_type``) to one name server and what came back.

    ``transport`` is ``udp``, or ``tcp`` after truncation (then ``truncated`` is set, and there is no separate
    record of the UDP answer) or after UDP silence (then a ``udp`` record of the same question says
    ``no-answer``). ``ttl_s`` is the least TTL of the answer's addresses. ``rtt_ms`` runs from the transmission
    that was answered. ``extended_error`` is RFC 8914 as ``code text``.

    ``icmp_sender`` names who sent the ICMP error behind ``port-closed`` and ``unreachable`` (an address of this
    machine where its own stack did), ``errno`` the symbolic error of the socket call. ``connected`` tells of
    TCP whether the connection was made at all.

    ``other_name`` marks the control questions that only check that the server works. The root's name servers
    (``.`` NS) are asked of every server: any rcode proves that the server works, and NOERROR (said as
    ``no-data``) that it reaches its upstream or knows the root. Where a server stays silent to everything it
    is asked for its own version (``version.bind``, TXT of class CHAOS): forwarders that merely wait for a dead
    upstream answer or refuse that themselves. A server that has addresses for the name is also asked for one that
    nobody can have, and where it has addresses even for that, for one that everybody knows.

    ``unfit`` tells why the first of the messages behind ``malformed`` is no answer.

    ``edns`` tells whether the answered question carried EDNS; the second transmission never does, for there are
    firewalls that drop it and glibc does not use it. ``transmissions`` counts datagrams sent for the question.
    """

    server: str
    port: int
    name: str
    record_type: str
    transport: str
    answer: Answer
    rcode: str | None = None
    extended_error: str | None = None
    addresses: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    ttl_s: int | None = None
    rtt_ms: float | None = None
    authoritative: bool = False
    other_name: bool = False
    icmp_sender: str | None = None
    errno: str | None = None
    connected: bool | None = None
    truncated: bool = False
    edns: bool = True
    recursion_available: bool = False
    transmissions: int = 1
    unfit: Unfit | None = None


class ResolverConfiguration(msgspec.Struct, frozen=True):
    """``/etc/resolv.conf`` and the ``hosts`` line of ``/etc/nsswitch.conf`` as they stand.

    ``servers`` are those the system would use (at most three, resolv.conf(5)); ``configured`` is ``False``
    where no usable ``nameserver`` line exists and the system falls back on 127.0.0.1, ``readable`` tells
    whether the file itself could be read. ``forbidden`` are those of the resolver's files that are there and that
    this user may not read, ``restricted`` those that not every user may. ``ignored`` holds nameserver lines beyond the
    third and those that are no address. ``LOCALDOMAIN`` and ``RES_OPTIONS`` of the environment are taken into account.
    """

    readable: bool
    configured: bool
    servers: tuple[str, ...]
    ignored: tuple[str, ...]
    search: tuple[str, ...]
    ndots: int
    options: tuple[str, ...]
    nsswitch_hosts: tuple[str, ...]
    forbidden: tuple[str, ...] = ()
    restricted: tuple[str, ...] = ()
