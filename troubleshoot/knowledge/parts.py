"""The catalogue in one file: a line that says where each part stands, then the parts, each one JSON by itself.

Whoever needs one entry decodes that entry and no other. JSON is read by the standard library, which costs less than
any other library's import, and gives whoever tampers with a file no more than wrong words.

The first line is ``{"format": …, "version": …, "check": …, "parts": {name: [start, length]}}``: the version of this
layout, that of the package, the CRC-32 of all that follows the line, and byte positions counted from its end.
"""

from __future__ import annotations

import binascii
import json

from troubleshoot import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_FORMAT = 1


class Parts:
    """The parts in ``data``; raises ``ValueError`` where it is damaged or was written by another version."""

    def __init__(self, data: bytes) -> None:
        start = data.index(b"\n") + 1
        head = json.loads(data[:start])
        self._body = data[start:]
        if not isinstance(head, dict) or (head.get("format"), head.get("version")) != (_FORMAT, __version__):
            raise ValueError("written by another version")
        if head.get("check") != binascii.crc32(self._body):
            raise ValueError("damaged")
        self._parts: dict[str, tuple[int, int]] = head["parts"]

    def part(self, name: str) -> Any:
        """Return one part as plain data; raises ``KeyError`` where there is none."""
        start, length = self._parts[name]
        return json.loads(self._body[start : start + length])


def written(parts: Mapping[str, Any]) -> bytes:
    """Return the file that holds ``parts``."""
    places = {}
    texts = []
    start = 0
    for name, part in parts.items():
        text = json.dumps(part, ensure_ascii=False, separators=(",", ":")).encode()
        places[name] = (start, len(text))
        texts.append(text)
        start += len(text)
    body = b"".join(texts)
    head = {"format": _FORMAT, "version": __version__, "check": binascii.crc32(body), "parts": places}
    return json.dumps(head, separators=(",", ":")).encode() + b"\n" + body
