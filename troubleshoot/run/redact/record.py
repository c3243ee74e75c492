"""A probe's record under other names: its subject, its result, and what it says of why there is none."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from troubleshoot.run.redact.addresses import read
from troubleshoot.run.redact.fields import Kind, kind_of
from troubleshoot.run.redact.words import Words

#: Programs and accounts whose name is a part of the system.
_SYSTEM = frozenset({"root", "systemd", "init", "System", "svchost.exe", "SYSTEM", "nobody", "?", ""})
_SPOKEN = re.compile(rb"[A-Za-z][A-Za-z0-9_.@-]{2,}")
#: Probes whose subject is a host's name.
_NAMED = ("resolve", "hosts-file")


def record(data: Mapping[str, Any], words: Words) -> dict[str, Any]:
    """Return a record, as plain data, with everything replaced that tells of somebody."""
    probe = str(data.get("probe"))
    made = dict(data)
    made["subject"] = subject(probe, str(data.get("subject", "")), words)
    made["result"] = _walk(data.get("result"), probe, words)
    reason = data.get("reason")
    if isinstance(reason, Mapping):
        values = [[key, words.tokens(_known(str(value), words))] for key, value in reason.get("values", ())]
        made["reason"] = {**reason, "values": values}
    if isinstance(data.get("error"), str):
        made["error"] = words.text(data["error"])
    return made


def subject(probe: str, text: str, words: Words) -> str:
    """Return what stands for what a record is about."""
    if probe in _NAMED:
        return host(text, words)
    return " ".join(_piece(piece, words) for piece in text.split(" "))


def host(text: str, words: Words) -> str:
    """Return what stands for an address or a name."""
    return words.address(text) if read(text) is not None else words.name(text)


def _piece(piece: str, words: Words) -> str:
    if read(piece) is not None:
        return words.address(piece)
    inside = re.fullmatch(r"\[(.*)\](:\d+)?", piece)
    if inside is not None and read(inside[1]) is not None:
        return f"[{words.address(inside[1])}]{inside[2] or ''}"
    name, colon, port = piece.rpartition(":")
    if colon and port.isdigit():
        return f"{host(name, words)}:{port}"
    return _known(words.tokens(piece), words)


def _known(text: str, words: Words) -> str:
    """Return a text of ours with what is known to be a name in this report replaced."""
    return words.made.get(text.casefold(), text)


def _walk(value: Any, place: str, words: Words) -> Any:
    if isinstance(value, Mapping):
        if {"key", "values"} == value.keys():
            return {**value, "values": [[k, words.tokens(_known(str(v), words))] for k, v in value["values"]]}
        return {key: _walk(inner, f"{place}.{key}", words) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_walk(inner, place, words) for inner in value]
    return _MAKERS[kind_of(place) or "text"](value, words) if isinstance(value, str) and value else value


def _word(text: str, words: Words) -> str:
    return text if text in _SYSTEM else words.word(text)


def _hex(text: str, words: Words) -> str:
    """Return bytes in hexadecimal with their words replaced: as the text that they are, else each at its length."""
    try:
        said = bytes.fromhex(text)
    except ValueError:
        return ""
    plain = said.decode("utf-8", "replace")
    if all(letter.isprintable() or letter in "\r\n\t" for letter in plain):
        return words.text(plain).encode("utf-8", "replace").hex()
    return _SPOKEN.sub(lambda found: _filled(found[0], words), said).hex()


def _filled(word: bytes, words: Words) -> bytes:
    made = words.text(word.decode("ascii")).encode("ascii", "replace")
    return made if len(made) == len(word) else (made * (1 + len(word) // max(1, len(made))))[: len(word)]


_MAKERS: dict[Kind, Callable[[str, Words], str]] = {
    "keep": lambda text, _: text,
    "host": host,
    "name": host,
    "word": _word,
    "device": lambda text, words: words.device(text),
    "mac": lambda text, words: words.mac(text),
    "path": lambda text, words: words.path(text),
    "command": lambda text, words: words.command(text),
    "text": lambda text, words: words.text(text),
    "hex": _hex,
    "tokens": lambda text, words: words.tokens(text),
}
