"""Keep what the network says from steering the terminal that shows it.

Names, banners and file lines are hostile until shown otherwise: escape sequences repaint a screen, bidirectional
controls reorder it (Unicode TR 36, section 2), invisible letters hide in it. Every string that did not come from
the catalogue passes through :func:`safe` on its way to a person.
"""

from __future__ import annotations

from troubleshoot.knowledge.letters import visible


def safe(text: str) -> str:
    r"""Return ``text`` with everything that is not plain, visible writing as ``\x1b``, ``\u202e``, ``\U000e0001``.

    What those are says :func:`troubleshoot.knowledge.letters.visible`.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if visible(c) else _escape(ord(c)) for c in text)


def _escape(point: int) -> str:
    if point < 0x100:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"
