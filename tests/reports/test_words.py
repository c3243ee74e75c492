"""The tables of words, the reader of plain lines and the parser say the same."""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st

from troubleshoot.cli import app, plain
from troubleshoot.cli.help import page
from troubleshoot.cli.output import clock_time
from troubleshoot.cli.session import Session
from troubleshoot.cli.words import ARGUMENTS, COMMANDS, DEFAULT, OPTIONS, TOP, is_negative
from troubleshoot.errors import UserError
from troubleshoot.knowledge.catalogue import LANGUAGES, catalogue
from troubleshoot.render.style import Style

PARSER: Any = typer.main.get_command(app.app)


def test_the_parser_has_the_commands_of_the_table() -> None:
    assert list(PARSER.commands) == list(COMMANDS)


@pytest.mark.parametrize("command", [*COMMANDS, None])
def test_the_parser_takes_what_the_table_says(command: str | None) -> None:
    """Where it differs, the help page would tell of options that are not there, or keep some back."""
    parser = PARSER if command is None else PARSER.commands[command]
    params = {param.name: param for param in parser.get_params(typer.Context(parser, **PARSER.context_settings))}
    arguments = () if command is None else COMMANDS[command].arguments
    options = (*TOP, "help") if command is None else COMMANDS[command].options
    assert set(params) == {*arguments, *options}
    for name in arguments:
        assert params[name].metavar == ARGUMENTS[name].metavar
        assert params[name].required == ARGUMENTS[name].required
        assert (params[name].nargs == -1) == ARGUMENTS[name].many
    for name in options:
        assert set(params[name].opts) == set(OPTIONS[name].names)
        assert not params[name].secondary_opts
        assert params[name].is_flag == (not OPTIONS[name].metavar)
        if OPTIONS[name].metavar:
            assert params[name].metavar == OPTIONS[name].metavar
            assert (params[name].default or None) == OPTIONS[name].default
            assert params[name].multiple == OPTIONS[name].many


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_word_is_explained(language: Any) -> None:
    wording = catalogue().wording(language)
    for command, shape in COMMANDS.items():
        assert wording["usage.help" if command == DEFAULT else f"usage.command-{command}"]
        for name in (*shape.arguments, *shape.options, *TOP):
            key = f"usage.help-{name.replace('_', '-')}"
            assert wording.get(f"{key}-{command}") or wording[key]


@pytest.fixture(name="heard", scope="module")
def heard_by_the_parser() -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """Note what the parser would carry out, in the place of carrying it out."""
    heard: list[tuple[str, dict[str, Any]]] = []

    def note(command: str, _: Session, values: dict[str, Any]) -> int:
        heard.append((command, values))
        return 0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app, "carry_out", note)
        yield heard


WORDS = st.sampled_from(
    [
        *("10061", "-2147014835", "-5", "host:1", "", "-", "WSAECONNREFUSED", "[::1]:80", "x y", "ko", "linux"),
        *COMMANDS,
        *(word for option in OPTIONS.values() for word in option.names),
        *("--lang=ko", "--timeout=3", "--json=1", "-4x", "-vq", "--jso", "--pid=-1", "--errno=", "-x", "--", "--=x"),
    ]
)


@given(st.lists(WORDS, min_size=1, max_size=7))
@settings(max_examples=1500, deadline=None)
def test_a_plain_line_means_what_the_parser_says_it_means(
    heard: list[tuple[str, dict[str, Any]]], words: list[str]
) -> None:
    read = plain.read(words)
    if read is None:
        return
    command, values = read
    heard.clear()
    if not values.pop("help"):
        app.run(words, Session("en"))
        assert heard == [(command, values)]
        return
    with contextlib.redirect_stdout(io.StringIO()) as shown:
        app.run(words, Session("en"))
    assert shown.getvalue() == f"{page(command, Session('en').wording, Style())}\n"
    assert not heard


@pytest.mark.parametrize("words", [["10061"], ["codes"], ["10061", "h", "--lang", "ko", "-v"], ["probe", "-4"]])
def test_what_is_usual_is_read_without_the_parser(words: list[str]) -> None:
    assert plain.read(words) is not None


def test_numbers_are_told_from_options() -> None:
    words = ("-4", "-6", "-46", "-0x8007274D", "-2147014835", "-x", "-", "", "4", "-4x", "-4y")
    assert [word for word in words if is_negative(word)] == ["-46", "-0x8007274D", "-2147014835", "-4x"]


def test_a_complaint_of_the_parser_is_the_users_trouble() -> None:
    with pytest.raises(UserError, match="No such option"):
        app.run(["10061", "host", "--no-such"], Session("en"))


@pytest.mark.parametrize(
    ("zone", "shown"),
    [
        ("UTC", ""),
        ("Asia/Seoul", "2026-03-01 08:30:05 +09:00"),
        ("America/New_York", "2026-02-28 18:30:05 -05:00"),
        ("Asia/Kolkata", "2026-03-01 05:00:05 +05:30"),
    ],
)
def test_a_moment_is_told_by_the_clock_of_whoever_reads_it(
    zone: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert clock_time("2026-02-28T23:30:05.123Z") == shown
        assert clock_time("no moment") == ""
    finally:
        monkeypatch.undo()
        time.tzset()
