"""Which characters a reader sees, and how the others are written: one rule for screens and for JSON.

Escape sequences repaint a screen, bidirectional controls reorder it (Unicode TR 36, section 2), invisible letters hide
in it.
"""

from __future__ import annotations

import re

# Letters and marks that leave no ink although Unicode does not count them as format characters: combining
# grapheme joiner, Hangul and Khmer fillers, blank Braille, variation selectors.
_NO_INK = frozenset(
    {
        *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0),
        *range(0x180B, 0x1810),
        *range(0xFE00, 0xFE10),
        *range(0xE0100, 0xE01F0),
    }
)
_NOT_PLAIN = re.compile(r"[^\n\x20-\x7e]")
#: As much of a word that somebody else chose is repeated in one sentence.
MOST_REPEATED = 200


def visible(character: str) -> bool:
    """Whether ``character`` is plain, visible writing.

    ``str.isprintable`` is false for control, format, surrogate, private and unassigned characters and for every
    separator but the space (categories C and Z). A line break is a control character too.
    """
    return character.isprintable() and ord(character) not in _NO_INK


def escape_json(document: str) -> str:
    r"""Return a JSON document with every invisible character as ``\u202e``: it means the same and steers nothing.

    Line breaks between its values stay. RFC 8259, section 7.
    """
    return document if document.isascii() and "\x7f" not in document else _NOT_PLAIN.sub(_escaped, document)


def _escaped(found: re.Match[str]) -> str:
    character = found[0]
    if visible(character):
        return character
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at] << 8 | units[at + 1]:04x}" for at in range(0, len(units), 2))


def cut(word: str) -> str:
    """Return ``word``, or its beginning where it is longer than a sentence should repeat."""
    return word if len(word) <= MOST_REPEATED else f"{word[:MOST_REPEATED]}…"
