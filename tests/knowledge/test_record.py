"""Records: what a class of them takes, and that none can be changed."""

from __future__ import annotations

import pytest

from troubleshoot.knowledge.catalogue import catalogue
from troubleshoot.knowledge.model import CodeEntry, CodeText, SourcedNote, Words
from troubleshoot.knowledge.record import Record


def test_a_record_takes_its_fields_and_no_others() -> None:
    assert Words(en="a").ko == ""
    with pytest.raises(TypeError, match="Words: de: unknown"):
        Words(en="a", de="b")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="Words: en: unknown or missing"):
        Words(ko="b")  # type: ignore[call-arg]


def test_a_record_cannot_be_changed() -> None:
    words = Words(en="a")
    with pytest.raises(AttributeError):
        words.en = "b"  # type: ignore[misc]
    assert words.replaced(ko="b") == Words(en="a", ko="b")
    assert words == Words(en="a", ko="") != words.replaced(ko="b")
    assert hash(words) == hash(Words(en="a", ko=""))
    assert repr(words) == "Words(en='a', ko='')"
    assert words != CodeText()


def test_what_stands_within_a_record_is_a_record() -> None:
    entry = catalogue().code("WSAECONNREFUSED")
    assert isinstance(entry, CodeEntry)
    assert isinstance(entry.title, Words)
    assert isinstance(entry.notes, tuple)
    assert all(isinstance(note, SourcedNote) for note in entry.notes)
    assert all(isinstance(name, str) for name in entry.functions)


def test_every_class_of_records_is_known_by_its_name() -> None:
    assert Record.known["CodeEntry"] is CodeEntry
    assert len(Record.known) == len({record.__name__ for record in Record.known.values()})


def test_one_catalogue_serves_a_process() -> None:
    assert catalogue() is catalogue()
