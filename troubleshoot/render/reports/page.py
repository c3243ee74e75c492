"""What every HTML page of ours is: one file without scripts, with nothing that a browser would ask for elsewhere."""

from __future__ import annotations

import base64
import hashlib

from troubleshoot.render.escape import markup
from troubleshoot.render.lexicon import Lexicon
from troubleshoot.render.reports.page_style import SHEET

#: The only style that the page's policy lets a browser apply, by its hash; all else is forbidden.
_HASH = base64.b64encode(hashlib.sha256(SHEET.encode()).digest()).decode()
_POLICY = f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'"


def page(*, title: str, language: str, head: str, parts: list[str], foot: str) -> str:
    """Return the page; ``title`` is text, ``head``, ``parts`` and ``foot`` are markup, of which empty ones go."""
    around = [
        f'<!DOCTYPE html>\n<html lang="{"ko" if language == "ko" else "en"}">\n<head>\n<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">',
        f"<title>{markup(title)}</title>\n<style>{SHEET}</style>\n</head>\n<body>",
        f"{head}\n<main>",
        *parts,
        f"</main>\n<footer>{foot}</footer>",
        "</body>\n</html>",
    ]
    return "\n".join(part for part in around if part) + "\n"


def section(key: str, lexicon: Lexicon, inside: str) -> str:
    """Return a part of the page under the heading ``ui.KEY``; nothing where nothing is ``inside``."""
    if not inside:
        return ""
    return f'<section aria-labelledby="{key}">\n<h2 id="{key}">{markup(lexicon.ui(key))}</h2>\n{inside}\n</section>'


def listed(entries: tuple[str, ...] | list[str], kind: str = "ul") -> str:
    """Return texts as a list; nothing without any."""
    inside = "".join(f"<li>{markup(entry)}</li>" for entry in entries)
    return f"<{kind}>{inside}</{kind}>" if inside else ""


def rows(pairs: list[tuple[str, str]]) -> str:
    """Return labels and what stands behind them; nothing without any."""
    inside = "".join(f"<dt>{markup(label)}</dt><dd>{markup(value)}</dd>" for label, value in pairs)
    return f"<dl>{inside}</dl>" if inside else ""
