"""The manual page is what the tables of words give.

After a change of them ``python -m troubleshoot.cli.man > docs/wsadiag.1`` writes it anew.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from troubleshoot.cli.man import page
from troubleshoot.cli.words import COMMANDS, DEFAULT, OPTIONS
from troubleshoot.knowledge.catalogue import Catalogue

FILE = Path(__file__).parents[1] / "docs/wsadiag.1"


def test_the_page_is_what_the_words_give() -> None:
    assert page(Catalogue().wording("en")) == FILE.read_text(encoding="utf-8")


def test_every_command_and_option_is_there() -> None:
    text = FILE.read_text(encoding="utf-8")
    for name, command in COMMANDS.items():
        assert name == DEFAULT or f".SS wsadiag {name}\n" in text
        for option in command.options:
            for word in OPTIONS[option].names:
                assert f"\\fB{word.replace('-', chr(92) + '-')}\\fR" in text


def test_a_formatter_of_manual_pages_has_no_complaint() -> None:
    if not shutil.which("groff"):
        pytest.skip("groff is not installed")
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", str(FILE)], capture_output=True, encoding="utf-8", timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "wsadiag" in done.stdout
