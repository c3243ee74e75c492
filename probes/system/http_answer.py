"""The head of an HTTP answer, read by h11 (RFC 9112), which is imported by whoever meets one."""

from __future__ import annotations

from typing import Final

#: Words of a header are kept so far.
_KEPT: Final = 120


def read(data: bytes) -> tuple[int, str, str | None, str | None, str | None] | None:
    """Return status, reason, and what the headers Server, Date and Via say; ``None`` for what is no head of an answer.

    The whole head must be there.
    """
    if not data.startswith(b"HTTP/") or b"\r\n\r\n" not in data:
        return None
    import h11  # noqa: PLC0415

    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="GET", target="/", headers=[("Host", "localhost"), ("Connection", "close")]))
    client.send(h11.EndOfMessage())
    try:
        client.receive_data(data)
        answer = client.next_event()
    except h11.RemoteProtocolError:
        return None
    if not isinstance(answer, (h11.Response, h11.InformationalResponse)):
        return None
    words = {name: _text(value) for name, value in reversed(list(answer.headers))}
    reason = _text(answer.reason)
    return answer.status_code, reason, words.get(b"server"), words.get(b"date"), words.get(b"via")


def _text(value: bytes) -> str:
    return "".join(chr(byte) if 32 <= byte < 127 else "." for byte in bytes(value)[:_KEPT])
