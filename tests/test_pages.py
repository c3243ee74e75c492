"""The pages of docs/ that are made are what they are made from. ``python tests/pages.py`` writes them anew."""

from __future__ import annotations

import pytest

from tests.pages import PAGES, ROOT
from troubleshoot.cli.words import COMMANDS, DEFAULT
from troubleshoot.knowledge.catalogue import Catalogue


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_what_it_is_made_from(name: str) -> None:
    assert PAGES[name](Catalogue()) == (ROOT / "docs" / name).read_text(encoding="utf-8")


def test_every_command_code_and_cause_is_there() -> None:
    catalogue = Catalogue()
    text = {name: made(catalogue) for name, made in PAGES.items()}
    assert all(f"\n## wsadiag {name}\n" in text["commands.md"] for name in COMMANDS if name != DEFAULT)
    assert all(f"| {name} |" in text["codes.md"] for name in catalogue.numbers)
    assert all(f"- `{name}` (" in text["causes.md"] for name in catalogue.cause_names)
