"""Draw the way to the target in one line: ``here ── 10.50.1.1 ── 10.50.12.2 ──✗ ftp.corp.example:21``.

The characters are those that the marks of a screen need as well, and ASCII where a stream has no others.
"""

from __future__ import annotations

from troubleshoot.render.layout import cells, cut
from troubleshoot.render.lexicon import Lexicon
from troubleshoot.render.safe import safe
from troubleshoot.render.style import Style
from troubleshoot.report import Way

#: The shortest that a name is cut to before the line itself is.
_LEAST_NAME = 12


def draw(way: Way, lexicon: Lexicon, style: Style, width: int) -> str:
    """Return the way as one line of at most ``width`` cells; what does not fit is folded in the middle."""
    nodes = [safe(node) for node in way.nodes]
    if way.kind == "name-server":
        nodes = [lexicon.ui("way-name-server", server=node) for node in nodes]
    for kept in range(len(nodes), 0, -1):
        line = _line(way, _folded(nodes, kept, lexicon), lexicon, style)
        if cells(line) <= width:
            return line
    long = max(nodes[-1:], key=cells, default="")
    for room in range(cells(long) - 1, _LEAST_NAME, -1):
        shorter = [(text if text != long else _middle(text, room, style), n) for text, n in _folded(nodes, 1, lexicon)]
        line = _line(way, shorter, lexicon, style)
        if cells(line) <= width:
            return line
    return cut(line if nodes else "", width, _dots(style))


def _folded(nodes: list[str], kept: int, lexicon: Lexicon) -> list[tuple[str, int]]:
    """Return nodes with their place; of too many the first and the last ones stay, and a count between them."""
    numbered = [(text, n) for n, text in enumerate(nodes)]
    if kept >= len(nodes):
        return numbered
    behind = (kept + 1) // 2
    front = kept - behind
    hidden = len(nodes) - kept
    return [*numbered[:front], (lexicon.ui("way-more", count=str(hidden)), front), *numbered[len(nodes) - behind :]]


def _line(way: Way, nodes: list[tuple[str, int]], lexicon: Lexicon, style: Style) -> str:
    bar, cross = ("──", "✗") if style.unicode else ("--", "X")
    line = lexicon.ui("way-here")
    for text, n in nodes:
        if n == way.broken:
            # A device that says no has the mark at its side; what vanishes does so on the way to the next one.
            line += f" {cross}{bar}" if way.end == "refuses" else f" {bar}{cross}"
        else:
            line += f" {bar}"
        line += f" {text}"
    if way.broken is None and way.end is not None:
        line += f" {cross} {safe(way.said) if way.said else lexicon.ui(f'way-{way.end}')}"
    return line


def _middle(text: str, room: int, style: Style) -> str:
    """Return a name cut in its middle: it is known by its beginning, and its port by its end."""
    dots = _dots(style)
    tail = min(len(text) // 2, max(4, (room - len(dots)) // 3))
    return cut(text, max(1, room - tail), dots) + text[-tail:] if cells(text) > room else text


def _dots(style: Style) -> str:
    return "…" if style.unicode else "..."
