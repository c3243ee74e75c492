"""Read the TARGET of the command line: host, port or service name, transport, address literals, URLs."""

from __future__ import annotations

from dataclasses import dataclass

from probes.base import Note


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """``host`` is what is to be resolved or a literal address without brackets (with its ``%zone``).

    ``host`` is ``None`` for ``:8080`` (every local address). ``port`` is ``None`` where none was given or where
    ``service`` is a name that the services file must resolve. ``remarks`` tell what was concluded from the
    form, e.g. the port from a URL's scheme.
    """

    input: str
    host: str | None
    port: int | None
    transport: str = "tcp"
    service: str | None = None
    remarks: tuple[Note, ...] = ()

    @property
    def literal(self) -> bool:
        """Whether ``host`` is an address rather than a name."""
        raise NotImplementedError
