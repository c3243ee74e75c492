"""What stands in each text of a probe's result, by its place: how it is replaced, or that it is a word of ours."""

from __future__ import annotations

from typing import Final, Literal

Kind = Literal["keep", "host", "name", "word", "device", "mac", "path", "command", "text", "hex", "tokens"]


def _of(kind: Kind, fields: str) -> dict[str, Kind]:
    return dict.fromkeys(fields.split(), kind)


#: By the name of the field, or by its place (``probe.field.field``) where the same name means something else there.
FIELDS: Final[dict[str, Kind]] = {
    **_of("host", "address addresses mapped near sender gateway local_address remote_address broadcast source server"),
    **_of("host", "servers icmp_sender passed_router refusers host asked told"),
    **_of("name", "aliases search candidates search_matched other_name server_name awaited"),
    **_of("name", "ascii_name resolve.name resolve.answers.name resolve.beyond.name hosts-file.entries.names"),
    **_of("word", "user label buffers.processes.name descriptors.name descriptors.ephemeral_processes.name"),
    **_of("word", "descriptors.busiest.name sockets.entries.owners.name"),
    **_of("device", "interface device watched interfaces.interfaces.name"),
    **_of("mac", "mac macs router_mac reply_mac"),
    **_of("path", "path"),
    **_of("command", "command"),
    **_of("hex", "first_hex"),
    **_of("tokens", "matched unreadable blocked_by own_errors ignored forbidden restricted"),
    **_of(
        "text", "first_text subject issuer verify_error error names chain last_issuer reason software via value shown"
    ),
    **_of("text", "extended_error announced crashed description status"),
    **_of("keep", "kind family type protocol errno answer failure transport how call key values kernel machine python"),
    **_of("keep", "held feature hidepid libraries.name version tools.name outcome engine socket_states state"),
    **_of("keep", "ephemeral_states tries fresh_last row method asked given highest id library library_version"),
    **_of(
        "keep", "eai record_type rcode unfit options nsswitch_hosts program variable refusal schemes alert not_after"
    ),
    **_of("keep", "not_before cipher weak rung date states dialogue final answer_in counters.name resolved_name"),
    **_of("keep", "address-family.modules.name capabilities.libraries.name capabilities.tools.name"),
    **_of("keep", "services-file.entries.name services-file.entries.aliases statistics.counters.name"),
    **_of("keep", "network-subsystem.winsock.starts.asked network-subsystem.winsock.starts.given"),
    **_of("text", "network-subsystem.winsock.providers.name network-subsystem.winsock.starts.status"),
    **_of("keep", "descriptors.held.protocol sockets.entries.owners.state"),
    "proxy-way.asked": "host",
    "ftp-data.ways.word": "keep",
    "mtu-hop.told": "tokens",
    "network-subsystem.winsock.providers.path": "path",
    "descriptors.held": "keep",
    "service.http.reason": "text",
}


def kind_of(place: str) -> Kind | None:
    """Return how the text at a place (``probe.field.field``) is replaced; ``None`` where nobody has said."""
    return FIELDS.get(place) or FIELDS.get(place.rpartition(".")[2])
