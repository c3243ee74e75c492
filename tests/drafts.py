"""What has no Korean yet: drafts may be in English alone until a release."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

from probes.base import TABLE
from troubleshoot.knowledge.catalogue import Catalogue
from troubleshoot.knowledge.model import CauseEntry, CodeEntry


def untranslated(folder: Path) -> Iterator[str]:
    """Yield ``file: key`` of every sentence that has no Korean, one for each line of a list."""
    known = Catalogue(folder)
    for code in known.codes():
        yield from (f"{code.number}-{code.name}.toml: {key}" for key in _of_code(code))
    for name, cause in known.causes.items():
        yield from (f"{name}.toml: {key}" for key in _of_cause(cause))
    for name, step in known.steps.items():
        yield from (f"steps.toml: {name}.{key}" for key in ("title", "purpose") if not getattr(step, key).ko)
    english, korean = (tomllib.loads((folder / f"wording.{x}.toml").read_text(encoding="utf-8")) for x in ("en", "ko"))
    for table, keys in english.items():
        yield from (f"wording.ko.toml: {table}.{key}" for key in keys if not korean.get(table, {}).get(key))
    yield from (f"wording.ko.toml: probe.{name}" for name in TABLE if name not in known.probes("ko"))
    for code_name in known.numbers:
        for claim, entry in {**known.claims(code_name), **known.windows_claims(code_name)}.items():
            note = getattr(entry, "note", "")
            if not entry.ko.state or (note and not entry.ko.note):
                yield f"reproduce.toml: {code_name}.{claim}"
    for code_name in known.reproduce.impossible.keys() - known.reproduce.ko.impossible.keys():
        yield f"reproduce.toml: impossible.{code_name}"


def _of_code(entry: CodeEntry) -> Iterator[str]:
    yield from (key for key in ("title", "meaning") if not getattr(entry, key).ko)
    yield from (key for key in ("berkeley", "tcpip") if getattr(entry, key) and not getattr(entry.ko, key))
    if len(entry.ko.developer_hints) < len(entry.developer_hints):
        yield "developer_hints"
    yield from (f"notes[{n}]" for n, note in enumerate(entry.notes) if note.ko is None or not note.ko.text)


def _of_cause(entry: CauseEntry) -> Iterator[str]:
    yield from (key for key in ("title", "explanation") if not getattr(entry.ko, key))
    yield from (f"summary.{variant}" for variant in entry.en.summary if not entry.ko.summary.get(variant))
    for variant, actions in entry.en.actions.items():
        if len(entry.ko.actions.get(variant, ())) < len(actions):
            yield f"actions.{variant}"
