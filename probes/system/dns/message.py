"""Messages of the DNS: a question made, an answer read (RFC 1035, RFC 6891, RFC 8914), with dnspython."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from probes.system.blocking import aside
from probes.system.dns import Answer, ServerAnswer, Unfit
from probes.system.dns.names import printable

if TYPE_CHECKING:
    import dns.message

PORT = 53
_MAX_ADDRESSES = 256
_SMALL = 4096
_EDNS_PAYLOAD = 1232  # fits every path without fragments (RFC 9715, appendix A)
_TRUNCATED = 0x0200
#: The header of a message, bytes.
_HEADER = 12


class Question(msgspec.Struct, frozen=True):
    """``order`` places it among the questions to one server."""

    order: int
    name: str
    record_type: str
    record_class: str = "IN"
    other_name: bool = False


def load() -> None:
    """Import what questions and answers need of dnspython, record types included."""
    import dns.edns  # noqa: PLC0415 - about 40 ms, which only names need to pay
    import dns.flags  # noqa: PLC0415
    import dns.message  # noqa: PLC0415
    import dns.rcode  # noqa: PLC0415
    import dns.rdtypes.ANY.CNAME  # noqa: PLC0415
    import dns.rdtypes.ANY.NS  # noqa: PLC0415
    import dns.rdtypes.ANY.OPT  # noqa: PLC0415
    import dns.rdtypes.ANY.SOA  # noqa: PLC0415
    import dns.rdtypes.IN.A  # noqa: PLC0415
    import dns.rdtypes.IN.AAAA  # noqa: F401, PLC0415


class Sent(msgspec.Struct):
    """One transmission of a question; ids are random, so that an answer tells which one it belongs to."""

    question: Question
    query: dns.message.QueryMessage
    edns: bool
    at: float = 0.0

    @classmethod
    def of(cls, question: Question, edns: bool) -> Sent:
        """Make the message; the name was checked before."""
        import dns.message  # noqa: PLC0415 - loaded by load

        query = dns.message.make_query(
            question.name.rstrip(".") + ".",
            question.record_type,
            question.record_class,
            use_edns=0 if edns else False,  # None would take the payload for a wish
            payload=_EDNS_PAYLOAD,
        )
        return cls(question, query, edns)


def unanswered(server: str, question: Question, transport: str, answer: Answer) -> ServerAnswer:
    """Return the record of a question that brought no message, or none that could be read."""
    return ServerAnswer(
        server, PORT, question.name, question.record_type, transport, answer, other_name=question.other_name
    )


async def read_aside(data: bytes, sent: Sent, server: str, transport: str, now: float) -> ServerAnswer | None:
    """Read a message without holding up the loop: dnspython takes 0.15 s over 64 KiB of addresses."""
    if len(data) <= _SMALL:
        return read(data, sent, server, transport, now)
    return await aside(read, data, sent, server, transport, now)


def read(data: bytes, sent: Sent, server: str, transport: str, now: float) -> ServerAnswer | None:
    """Read a message whose id fits; ``None`` where it is no answer to what was sent."""
    import dns.exception  # noqa: PLC0415 - loaded by load
    import dns.flags  # noqa: PLC0415
    import dns.message  # noqa: PLC0415
    import dns.rcode  # noqa: PLC0415

    blank = replace(
        unanswered(server, sent.question, transport, Answer.MALFORMED), edns=sent.edns, rtt_ms=(now - sent.at) * 1000
    )
    flags = int.from_bytes(data[2:4], "big")
    if transport == "udp" and flags & _TRUNCATED and flags & dns.flags.QR:
        return replace(blank, truncated=True)  # it may end in the middle of a record: not worth reading
    try:
        message = dns.message.from_wire(data, ignore_trailing=True)
        if not sent.query.is_response(message):
            return None
        answer = replace(_content(blank, message), extended_error=_extended_error(message))
    except Exception:  # noqa: BLE001 - a parser of hostile data: whatever it trips over is the sender's doing
        return None
    code = message.rcode()
    return replace(
        answer,
        rcode=dns.rcode.to_text(code),
        authoritative=bool(message.flags & dns.flags.AA),
        recursion_available=bool(message.flags & dns.flags.RA),
    )


def unfit(data: bytes, sent: Sent) -> Unfit:
    """Say why a message is no answer to what was sent; called for those that :func:`read` does not take."""
    import dns.flags  # noqa: PLC0415 - loaded by load
    import dns.message  # noqa: PLC0415

    if len(data) < _HEADER:
        return Unfit.UNREADABLE
    if int.from_bytes(data[:2], "big") != sent.query.id:
        return Unfit.NUMBER
    if not int.from_bytes(data[2:4], "big") & dns.flags.QR:
        return Unfit.NO_RESPONSE
    try:
        question = dns.message.from_wire(data, ignore_trailing=True, question_only=True).question
    except Exception:  # noqa: BLE001 - a parser of hostile data: whatever it trips over is the sender's doing
        return Unfit.UNREADABLE
    return Unfit.UNREADABLE if question == sent.query.question else Unfit.QUESTION


def _content(blank: ServerAnswer, message: dns.message.Message) -> ServerAnswer:
    """Take addresses and aliases out of an answer by following its aliases; raises what dnspython raises."""
    import dns.message  # noqa: PLC0415 - loaded by load
    import dns.rcode  # noqa: PLC0415

    kinds = {
        dns.rcode.NOERROR: Answer.NO_DATA,
        dns.rcode.NXDOMAIN: Answer.NXDOMAIN,
        dns.rcode.SERVFAIL: Answer.SERVFAIL,
        dns.rcode.REFUSED: Answer.REFUSED,
        dns.rcode.FORMERR: Answer.FORMERR,
        dns.rcode.NOTIMP: Answer.NOTIMP,
    }
    answer = replace(blank, answer=kinds.get(message.rcode(), Answer.OTHER_RCODE))
    if blank.record_type not in ("A", "AAAA") or answer.answer not in (Answer.NO_DATA, Answer.NXDOMAIN):
        return answer
    if not isinstance(message, dns.message.QueryMessage):
        raise TypeError(type(message))
    chain = message.resolve_chaining()
    # dnspython escapes everything but printable ASCII
    aliases = tuple(printable(str(link[0].target).removesuffix(".")) for link in chain.cnames)
    answer = replace(answer, aliases=aliases)
    if answer.answer is Answer.NO_DATA and chain.answer is not None:
        addresses = tuple(dict.fromkeys(str(record.address) for record in chain.answer))[:_MAX_ADDRESSES]
        return replace(answer, answer=Answer.ADDRESSES, addresses=addresses, ttl_s=int(chain.answer.ttl))
    return answer


def _extended_error(message: dns.message.Message) -> str | None:
    """Return the first extended error (RFC 8914) as its number, its registered words and its own text."""
    import dns.edns  # noqa: PLC0415 - loaded by load

    for option in message.options:
        if isinstance(option, dns.edns.EDEOption):
            number = int(option.code)
            words = [str(number)]
            if number in set(dns.edns.EDECode):
                words.append(dns.edns.EDECode(number).name.replace("_", " ").lower())
            if option.text:
                words.append(f"({printable(option.text)})")
            return " ".join(words)
    return None
