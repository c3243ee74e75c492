"""What a diagnosis was asked, in the form that plan and judge work on."""

from __future__ import annotations

import msgspec

from troubleshoot.intake.target import Target
from troubleshoot.knowledge.catalogue import Kind


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """The code, the target and the options, with what the catalogue says of them.

    ``steps`` is the whole checklist, ``reference_steps`` those of it that the reference itself asks for.
    ``service_port`` is the registered port of the service name in the target, ``question_hex`` a datagram that the
    service on a UDP port would answer. ``privileged`` tells whether raw
    packets can be sent, ``pid`` which process failed. ``speaks_first`` and ``tls`` tell how the service that is
    registered on the target's TCP port behaves (:class:`troubleshoot.knowledge.catalogue.ServiceEntry`); ``say_hex``
    is what a client of it says, longer than one packet.
    """

    code: str
    number: int
    kind: Kind
    target: Target
    steps: tuple[str, ...]
    reference_steps: tuple[str, ...]
    family: int | None = None
    pid: int | None = None
    local_host: str | None = None
    router: str | None = None
    remote_neighbour: str | None = None
    service_port: int | None = None
    question_hex: str = ""
    privileged: bool = False
    speaks_first: bool = False
    tls: bool = False
    say_hex: str = ""
