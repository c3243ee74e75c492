"""Keep what the network says from steering the terminal that shows it.

Names, banners and file lines are hostile until shown otherwise: escape sequences repaint a screen, bidirectional
controls reorder it (Unicode TR 36, section 2), invisible letters hide in it. Every string that did not come from
the catalogue passes through :func:`safe` on its way to a person.
"""

from __future__ import annotations

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


def safe(text: str) -> str:
    r"""Return ``text`` with everything that is not plain, visible writing as ``\x1b``, ``\u202e``, ``\U000e0001``.

    ``str.isprintable`` is false for control, format, surrogate, private and unassigned characters and for every
    separator but the space (categories C and Z). A line break is a control character too.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c.isprintable() and ord(c) not in _NO_INK else _escape(ord(c)) for c in text)


def _escape(point: int) -> str:
    if point < 0x100:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"
