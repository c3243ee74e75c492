"""Bytes of a pasted file as text: UTF-8, UTF-16 as PowerShell writes it, and the code pages of the languages read."""

from __future__ import annotations

import codecs

from troubleshoot.readers.labels import Labels

#: What the console of Windows writes: Korean, Japanese, German and English.
_PAGES = ("cp850", "cp949", "cp932", "cp1252")


def text_of(data: bytes, labels: Labels) -> str:
    """Return the text; where no mark and no UTF-8 tell the encoding, the page in which most labels are found."""
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    if data[:200].count(0) > len(data[:200]) // 4:
        return data.decode("utf-16-le" if data[1:2] == b"\0" else "utf-16-be", "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        pages = {page: data[:65536].decode(page, "replace") for page in _PAGES}
        best = max(_PAGES, key=lambda page: (labels.found(pages[page]), -pages[page].count("\ufffd")))
        return data.decode(best, "replace")
