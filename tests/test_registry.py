"""The whole registry: what the catalogue names, the code does, and what the code names, the catalogue says.

Codes, steps, causes, sentences and probes stand in data files and in code. Each test here holds one of them to the
other, so that nothing is named on one side only. Where the code builds a name at run time, its source is read (ast).
"""

from __future__ import annotations

import ast
import enum
import functools
import importlib
import inspect
import re
import string
import subprocess
import sys
import tomllib
import types
import typing
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.base import Observation, Status, load, note, sends_nothing
from probes.failure import IcmpError
from probes.resolve import Answer, ServerAnswer
from probes.table import TABLE, about
from troubleshoot.facts import Reach, Reading, describe
from troubleshoot.judge.model import RULES
from troubleshoot.knowledge.catalogue import LANGUAGES, Catalogue
from troubleshoot.knowledge.kinds import About
from troubleshoot.knowledge.text import fill, places
from troubleshoot.steps import STEPS

ROOT = Path(__file__).parents[1]
SCENARIOS = Path(__file__).parent / "scenarios"
CATALOGUE = Catalogue()
WORDING = {language: CATALOGUE.wording(language) for language in LANGUAGES}
# What a probe does is said in English by its module, in Korean by a table of its own (test_catalogue_rest).
KEYS = sorted(key for key in WORDING["en"].keys() | WORDING["ko"].keys() if not key.startswith("probe."))
TABLES = ("doctor", "fact", "reason", "verdict", "remark", "ui", "usage")
KEY = re.compile(rf"({'|'.join(TABLES)})\.[a-z0-9][a-z0-9-]*")

# Causes whose rule cannot exist yet, each with the reason.
WITHOUT_RULE = {}

# Causes that no lab can make real, each with the reason and what is tested in its place.
WITHOUT_SCENARIO = {
    "no-way-back": "never more than possible: the scenario of its name expects it among the alternatives",
}


# -- reading the source ----------------------------------------------------------------------------------------

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Source(msgspec.Struct, frozen=True):
    """A module's syntax tree, with the function around each node."""

    path: Path
    tree: ast.Module
    around: dict[ast.AST, Function]

    def where(self, node: ast.AST) -> str:
        return f"{self.path.relative_to(ROOT)}:{getattr(node, 'lineno', '?')}"

    def calls(self, *names: str) -> Iterator[ast.Call]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call) and called(node) in names:
                yield node


@functools.cache
def sources(*folders: str) -> tuple[Source, ...]:
    found = []
    for path in sorted(p for folder in folders for p in (ROOT / folder).rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        around: dict[ast.AST, Function] = {}
        for outer in ast.walk(tree):  # breadth first, so that an inner function overwrites an outer one
            if isinstance(outer, Function):
                around.update(dict.fromkeys((n for n in ast.walk(outer) if n is not outer), outer))
        found.append(Source(path, tree, around))
    return tuple(found)


def called(node: ast.Call) -> str:
    """Return the last part of what is called: ``note`` for ``base.note(…)``."""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def assigned(source: Source, node: ast.Name) -> Iterator[ast.expr]:
    """Every expression that the function around ``node`` gives to that name."""
    function = source.around.get(node)
    for statement in ast.walk(function) if function is not None else ():
        targets: list[ast.expr]
        if isinstance(statement, ast.AnnAssign) and statement.value is not None:
            targets, value = [statement.target], statement.value
        elif isinstance(statement, ast.Assign):
            targets, value = statement.targets, statement.value
        else:
            continue
        for target in targets:
            if isinstance(target, ast.Name) and target.id == node.id:
                yield value
            elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
                for one, its in zip(target.elts, value.elts, strict=True):
                    if isinstance(one, ast.Name) and one.id == node.id:
                        yield its


def room_of(path: Path) -> tuple[str, ...]:
    """Return the folder and the one below it that a module stands in."""
    return path.relative_to(ROOT).parts[:-1][:2]


def given_to(source: Source, node: ast.Name) -> Iterator[tuple[Source, ast.expr]]:
    """Every expression that a call in the same room passes for the parameter ``node``, with the call's module."""
    function = source.around.get(node)
    if function is None:
        return
    parameters = [a.arg for a in (*function.args.posonlyargs, *function.args.args)]
    names = [*parameters, *(a.arg for a in function.args.kwonlyargs)]
    if node.id not in names:
        return
    private = function.name.startswith("_")
    beside = [s for s in sources("troubleshoot", "probes") if room_of(s.path) == room_of(source.path)]
    for other in [source] if private else beside:
        for call in other.calls(function.name):
            yield from ((other, k.value) for k in call.keywords if k.arg == node.id)
            if node.id in parameters and parameters.index(node.id) < len(call.args):
                yield other, call.args[parameters.index(node.id)]


def strings(source: Source, node: ast.expr) -> set[str]:
    """Return what an expression can come to, as far as the source shows; an f-string as a pattern ``…*…``."""
    if isinstance(node, ast.Constant):
        return {node.value} if isinstance(node.value, str) else set()
    if isinstance(node, ast.IfExp):
        return strings(source, node.body) | strings(source, node.orelse)
    if isinstance(node, ast.JoinedStr):
        return {"".join(str(p.value) if isinstance(p, ast.Constant) else "*" for p in node.values)}
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Dict):
        return {text for value in node.value.values for text in strings(source, value)}
    if isinstance(node, ast.Call) and called(node) == "first_step":
        return {text for step in node.args for text in strings(source, step)}
    if isinstance(node, ast.Name):
        found = [*((source, value) for value in assigned(source, node)), *given_to(source, node)]
        return {text for where, value in found for text in strings(where, value)}
    return set()


def names_of(source: Source, keywords: list[ast.keyword]) -> set[str] | None:
    """Return the names of a call's keywords, those of ``**`` included; ``None`` where they cannot be seen."""
    found: set[str] = set()
    for keyword in keywords:
        if keyword.arg is not None:
            found.add(keyword.arg)
            continue
        for value in assigned(source, keyword.value) if isinstance(keyword.value, ast.Name) else ():
            if isinstance(value, ast.Dict):
                found |= {str(k.value) for k in value.keys if isinstance(k, ast.Constant)}
                break
        else:
            return None
    return found


# -- codes, steps, causes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", sorted(CATALOGUE.numbers))
def test_a_code_has_a_title_a_meaning_and_a_checklist(code: str) -> None:
    entry = CATALOGUE.code(code)
    for words in (entry.title, entry.meaning):
        assert words.en.strip()
        assert words.in_("ko").strip()
    checklist = CATALOGUE.checklist(code)
    assert checklist
    assert {line.id for line in checklist} <= CATALOGUE.steps.keys()
    assert len({line.id for line in checklist}) == len(checklist)


def test_what_codes_are_about_is_asked_for() -> None:
    about = set(typing.get_args(About))
    assert {one for code in CATALOGUE.numbers for one in CATALOGUE.code(code).about} == about
    rooms = [s for room in ("facts", "asks", "judge", "steps", "run") for s in sources(f"troubleshoot/{room}")]
    literals = {n.value for s in rooms for n in ast.walk(s.tree) if isinstance(n, ast.Constant)}
    assert about <= literals, "a word that nothing asks for: take it out of the codes and of About"


def test_no_rule_or_step_knows_a_code_by_its_name() -> None:
    # What sets a code apart is data of the code: ``about``, and ``held`` for the sockets that fit it.
    named = {
        source.path.relative_to(ROOT / "troubleshoot").as_posix()
        for room in ("facts", "asks", "judge", "steps", "run")
        for source in sources(f"troubleshoot/{room}")
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Constant) and node.value in CATALOGUE.numbers
    }
    assert not named, "give the code a word in about = […] of its file, and ask for that"


def test_every_step_has_a_function_and_every_function_is_a_step() -> None:
    # That the catalogue's steps are those of the report's contract is test_catalogue_rest's business.
    assert STEPS.keys() == CATALOGUE.steps.keys()


def test_every_step_stands_on_a_checklist() -> None:
    assert {line.id for code in CATALOGUE.numbers for line in CATALOGUE.checklist(code)} == CATALOGUE.steps.keys()


def test_every_cause_has_its_place_in_the_order() -> None:
    order = CATALOGUE.judgement.order
    assert len(set(order)) == len(order)
    assert set(order) == CATALOGUE.causes.keys()


@pytest.mark.parametrize("cause", sorted(CATALOGUE.causes))
def test_every_cause_has_a_rule(cause: str) -> None:
    assert (cause in RULES) != (cause in WITHOUT_RULE)


def test_every_rule_and_every_exception_is_about_a_cause() -> None:
    assert RULES.keys() | WITHOUT_RULE.keys() == CATALOGUE.causes.keys()


@functools.cache
def causes_with_a_scenario() -> frozenset[str]:
    """Return the causes that some scenario expects as its verdict."""
    files = sorted(SCENARIOS.rglob("*.toml"))
    return frozenset(tomllib.loads(f.read_text(encoding="utf-8"))["expect"].get("cause", "") for f in files)


@pytest.mark.parametrize("cause", sorted(RULES))
def test_every_cause_with_a_rule_has_a_scenario(cause: str) -> None:
    assert (cause in causes_with_a_scenario()) != (cause in WITHOUT_SCENARIO)


# -- what the rules say ----------------------------------------------------------------------------------------

JUDGE = sources("troubleshoot/judge")
FINDINGS = [(source, call) for source in JUDGE for call in source.calls("Finding")]
# What the report always gives to a cause's sentences (an action whose place has no value is left out of it).
ALWAYS = {"target", "code", "host", "port", "service"}
# Fields of a finding that fill places of the same name.
OWN = {"hop", "address"}


def finding(source: Source, call: ast.Call) -> dict[str, ast.expr]:
    """Return the keywords of a ``Finding(…)``."""
    unread = f"{source.where(call)}: give every field of Finding(…) by name; for fields said again, write a function"
    assert not call.args, unread
    assert all(keyword.arg is not None for keyword in call.keywords), unread
    return {str(keyword.arg): keyword.value for keyword in call.keywords}


def value_names(source: Source, node: ast.expr) -> list[set[str]]:
    """Return the names given to ``values(…)``, once for each way in which the expression can come about."""
    if isinstance(node, ast.Name):
        ways = [*((source, value) for value in assigned(source, node)), *given_to(source, node)]
        return [names for where, value in ways for names in value_names(where, value)]
    if isinstance(node, ast.IfExp):
        return [*value_names(source, node.body), *value_names(source, node.orelse)]
    unread = f"{source.where(node)}: write values(name=…, …), so that the names are held to the cause's sentences"
    assert isinstance(node, ast.Call), unread
    assert called(node) == "values", unread
    names = names_of(source, node.keywords)
    assert names is not None, unread
    return [names]


def identifier(case: object) -> str:
    return f"{case.path.stem}" if isinstance(case, Source) else f"{getattr(case, 'lineno', case)}"


@pytest.mark.parametrize(("source", "call"), FINDINGS, ids=identifier)
def test_a_finding_uses_what_the_catalogue_has(source: Source, call: ast.Call) -> None:
    given = finding(source, call)
    causes = strings(source, given["cause"])
    variants = strings(source, given["variant"]) if "variant" in given else {"default"}
    unread = f"{source.where(call)}: write cause and variant as literals, or hand literals to the function around"
    assert causes, unread
    assert causes <= CATALOGUE.causes.keys()
    assert variants, unread
    assert strings(source, given["step"]) <= CATALOGUE.steps.keys()
    value_sets = value_names(source, given["values"]) if "values" in given else [set()]
    assert value_sets
    known: set[str] = set()
    for cause in causes:
        entry = CATALOGUE.causes[cause]
        if len(entry.scopes) == 1:
            assert "scope" not in given, f"{cause} has one scope only: the catalogue tells it, leave it out"
        else:
            assert strings(source, given["scope"]) <= set(entry.scopes)
        for language in LANGUAGES:
            text = entry.text(language)
            assert variants <= text.summary.keys()
            lines = [*text.summary.values(), *(line for actions in text.actions.values() for line in actions)]
            known = known.union(*(placed(line) for line in lines))
            for names in value_sets:
                filled = names | ALWAYS | (OWN & given.keys())
                for variant in variants:
                    # Where the rule builds its values in more than one way, each goes with a variant of its own.
                    missing = places(text.summary[variant]) - filled
                    assert not missing or len(value_sets) > 1, f"{cause} {variant} gets no {missing}"
    assert set().union(*value_sets) <= known, "a value that no sentence of the cause has a place for"


def forms_of(place: str) -> list[str]:
    """Return the forms of the command that stands in a place, of every system."""
    command = CATALOGUE.commands[place.removeprefix("run_").replace("_", "-")]
    return [*command.linux, *command.windows, *command.macos]


def placed(line: str) -> frozenset[str]:
    """Return the places of a sentence and those of the commands in it."""
    inside = (places(form) for place in places(line) if place.startswith("run_") for form in forms_of(place))
    return places(line).union(*inside)


@pytest.mark.parametrize("cause", sorted(CATALOGUE.causes))
def test_an_action_has_no_place_that_no_rule_fills(cause: str) -> None:
    given = set(ALWAYS)
    for source, call in FINDINGS:
        found = finding(source, call)
        if cause in strings(source, found["cause"]):
            given |= OWN & found.keys()
            given = given.union(*value_names(source, found["values"])) if "values" in found else given
    given |= {"router", "pid"}  # of commands: what a run knows by itself
    for text in (CATALOGUE.causes[cause].en, CATALOGUE.causes[cause].ko):
        for line in (line for lines in text.actions.values() for line in lines):
            named = {place for place in places(line) if place.startswith("run_")}
            assert places(line) - named <= given
            # A form that lacks a value is left out: one of some system has to be there.
            assert all(any(places(form) <= given for form in forms_of(place)) for place in named)


def test_every_finding_is_seen() -> None:
    assert {c for source, call in FINDINGS for c in strings(source, finding(source, call)["cause"])} == RULES.keys()
    variants = {
        (cause, variant)
        for source, call in FINDINGS
        for given in (finding(source, call),)
        for cause in strings(source, given["cause"])
        for variant in (strings(source, given["variant"]) if "variant" in given else {"default"})
    }
    written = {(c, v) for c, entry in CATALOGUE.causes.items() if c in RULES for v in entry.en.summary}
    # A default is what a report falls back on; every other variant must have a rule that chooses it.
    assert {(c, v) for c, v in written - variants if v != "default"} == set()


def test_evidence_names_steps_and_open_causes_are_causes() -> None:
    steps = causes = 0
    for source in JUDGE:
        for node in ast.walk(source.tree):
            if not isinstance(node, ast.Tuple) or len(node.elts) != 2 or not isinstance(node.elts[1], ast.Call):
                continue
            about, said = strings(source, node.elts[0]), node.elts[1]
            of = said.func.value if isinstance(said.func, ast.Attribute) else None
            if called(said) == "note" and any(k.startswith("verdict.") for k in strings(source, said.args[0])):
                assert about <= CATALOGUE.causes.keys(), source.where(node)
                causes += 1
            elif called(said) == "note" or (isinstance(of, ast.Name) and of.id == "describe"):
                assert about <= CATALOGUE.steps.keys(), source.where(node)
                steps += 1
    assert steps > 40
    assert causes


def test_every_threshold_is_known_and_used() -> None:
    asked = {
        text
        for source in sources("troubleshoot")
        for call in source.calls("threshold")
        for text in strings(source, call.args[0])
    }
    assert asked <= CATALOGUE.judgement.thresholds.keys()
    literals = {
        node.value
        for source in sources("troubleshoot")
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert CATALOGUE.judgement.thresholds.keys() <= literals


# -- packets ---------------------------------------------------------------------------------------------------


def with_what_it_imports(module: str, seen: set[Path]) -> set[Path]:
    """Add the source of a module of ``probes`` to ``seen``, and all that it imports there, base and package aside."""
    path = ROOT / module.replace(".", "/")
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    if path in seen or not path.is_file() or module in {"probes", "probes.base"}:
        return seen
    seen.add(path)
    with_what_it_imports(module.replace("probes.", "probes.bodies.", 1), seen)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("probes"):
            for name in (node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)):
                with_what_it_imports(name, seen)
    return seen


def test_a_probe_that_sends_states_how_much() -> None:
    for name, module in TABLE.items():
        source = "".join(path.read_text(encoding="utf-8") for path in with_what_it_imports(module, set()))
        sends = re.search(r"context\.sending|\bDial\(|who_has\(", source) is not None
        assert sends == (load(name).most_packets is not sends_nothing), name


# -- sentences -------------------------------------------------------------------------------------------------

# Calls whose first argument is a sentence's key and whose keywords are its values.
SAYING = ("note", "NotPermitted", "NotApplicable", "CannotObserve", "Refusal", "skipped")


def matching(key: str) -> set[str]:
    """Return the keys that a literal or an f-string (``fact.dns-*``) stands for."""
    pattern = re.compile(re.escape(key).replace(r"\*", ".+"))
    return {k for k in KEYS if pattern.fullmatch(k)}


@functools.cache
def named() -> dict[str, str]:
    """Every key (or pattern of an f-string) in the source → where it stands."""
    found: dict[str, str] = {}
    for source in sources("troubleshoot", "probes"):
        inside = {id(p) for n in ast.walk(source.tree) if isinstance(n, ast.JoinedStr) for p in n.values}
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Constant) and id(node) not in inside:
                texts = {node.value} if isinstance(node.value, str) and KEY.fullmatch(node.value) else set()
            elif isinstance(node, ast.JoinedStr):
                texts = {t for t in strings(source, node) if t.startswith(tuple(f"{name}." for name in TABLES))}
            else:
                continue
            found.update(dict.fromkeys(texts, source.where(node)))
    return found


@pytest.mark.parametrize("key", KEYS)
def test_a_sentence_stands_in_both_languages_with_the_same_places(key: str) -> None:
    english, korean = (WORDING[language].get(key) for language in LANGUAGES)
    assert english
    assert korean
    assert places(english) == places(korean)
    for sentence in (english, korean):
        # a stray or nested brace, or a place in a spelling that is never filled
        assert {name for _, name, _, _ in string.Formatter().parse(sentence) if name is not None} == places(sentence)


def test_every_key_in_the_source_has_a_sentence() -> None:
    assert len(named()) > 150
    missing = {key: where for key, where in named().items() if not matching(key)}
    assert missing == {}


def test_every_sentence_of_the_judge_is_said_somewhere() -> None:
    said = {k for key in named() for k in matching(key)}
    assert {k for k in KEYS if not k.startswith(("ui.", "usage.", "check."))} - said == set()


def sayings() -> Iterator[tuple[Source, ast.Call, set[str]]]:
    """Every call that names a sentence: its keys, resolved as far as the source shows."""
    for source in sources("troubleshoot", "probes"):
        for call in source.calls(*SAYING):
            if call.args:
                keys = {k for text in strings(source, call.args[0]) for k in matching(text)}
                yield source, call, keys


def hands_on(source: Source, call: ast.Call) -> bool:
    """Whether the call only passes on what its own function was given: then that function's callers are looked at."""
    function = source.around.get(call)
    if function is None or function.args.kwarg is None:
        return False
    known = function.name in SAYING or any(
        isinstance(c, ast.ClassDef) and c.name in SAYING and function in c.body for c in ast.walk(source.tree)
    )
    passed = {k.value.id for k in call.keywords if k.arg is None and isinstance(k.value, ast.Name)}
    return known and function.args.kwarg.arg in passed


def test_a_sentence_gets_the_values_that_it_has_places_for() -> None:
    wrong: dict[str, str] = {}
    seen = 0
    for source, call, keys in sayings():
        if hands_on(source, call):
            continue
        names = names_of(source, call.keywords)
        if names is None or not keys:
            wrong[source.where(call)] = "cannot be followed"
            continue
        seen += 1
        # A command fills its place from what the run knows; test_commands walks those.
        every = {key: places(WORDING["en"][key]) for key in keys}
        asked = {key: {name for name in names if not name.startswith("run_")} for key, names in every.items()}
        built = isinstance(call.args[0], ast.JoinedStr)  # the pattern may fit more keys than the code ever builds
        for key, wanted in asked.items() if not built else ():
            if not wanted <= names:
                wrong[source.where(call)] = f"{key} gets no {', '.join(sorted(wanted - names))}"
        if unused := names - set().union(*asked.values()):
            wrong[source.where(call)] = f"{', '.join(sorted(keys))} has no place for {', '.join(sorted(unused))}"
    assert seen > 150
    assert wrong == {}


@pytest.mark.parametrize("answer", Answer)
def test_every_answer_of_a_name_server_has_a_whole_sentence(answer: Answer) -> None:
    said = describe.server_answer(ServerAnswer("192.0.2.53", 53, "example.com", "A", "udp", answer))
    assert places(WORDING["en"][said.key]) <= dict(said.values).keys()


@pytest.mark.parametrize("reading", Reading)
@pytest.mark.parametrize(("port", "transport"), [(21, "tcp"), (53, "udp"), (None, "tcp")])
def test_every_reading_of_an_attempt_has_a_whole_sentence(reading: Reading, port: int | None, transport: str) -> None:
    refused = IcmpError(4, 3, 3, "192.0.2.1") if reading is Reading.ICMP else None
    said = describe.reach(Reach("192.0.2.10", reading, icmp=refused), port, transport)
    assert places(WORDING["en"][said.key]) <= dict(said.values).keys()


# Values as they mostly are: a fact stands behind a step's title on one line.
SAMPLES = tomllib.loads((ROOT / "tests" / "data" / "samples.toml").read_text(encoding="utf-8"))
SAMPLE_OF_OTHERS = 12 * "x"


def cells(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


#: Reasons that are a call's or a file's name and the system's own words.
BARE_REASONS = {"*", "capset: *", "mount *: *", "ip_local_port_range: *"}


def test_every_reason_of_a_reproducer_can_be_said_in_korean() -> None:
    said = set()
    for source in sources("troubleshoot"):
        if source.path.parent.name == "reproduce":
            said |= {t for call in source.calls("CannotRun") for t in strings(source, call.args[0])}
            said |= {t for call in source.calls("Trace") for t in strings(source, call.args[1])}
    with (ROOT / "catalogue" / "reproduce.toml").open("rb") as file:
        reasons = tomllib.load(file)["ko"]["reasons"]
    assert {re.sub(r"{\w+}", "*", english) for english in reasons} == said - BARE_REASONS
    for english, korean in reasons.items():
        assert places(english) == places(korean)
        assert re.search("[가-힣]", korean)


@pytest.mark.parametrize("key", [k for k in KEYS if k.startswith("fact.")])
def test_a_fact_is_one_short_line(key: str) -> None:
    for language in LANGUAGES:
        sentence = WORDING[language][key]
        shown = fill(sentence, dict.fromkeys(places(sentence), SAMPLE_OF_OTHERS) | SAMPLES)
        assert cells(shown) <= 72, shown
        assert not sentence.endswith(".")


def test_no_sample_is_left_over() -> None:
    assert SAMPLES.keys() <= set().union(*(places(WORDING["en"][key]) for key in KEYS if key.startswith("fact.")))


# Which of a pair of particles fits depends on the word before, and that word is known only when it is filled in.
PARTICLE = re.compile(r"\}(?:을|를|이|가|은|는|와|과|로|으로|라|이라)(?![가-힣(])")


@pytest.mark.parametrize("key", KEYS)
def test_a_korean_particle_fits_whatever_is_filled_in(key: str) -> None:
    assert PARTICLE.search(WORDING["ko"][key]) is None


@pytest.mark.parametrize("cause", sorted(CATALOGUE.causes))
def test_a_korean_particle_of_a_cause_fits_whatever_is_filled_in(cause: str) -> None:
    text = CATALOGUE.causes[cause].ko
    for line in (*text.summary.values(), *(line for lines in text.actions.values() for line in lines)):
        assert PARTICLE.search(line) is None, line


# -- probes ----------------------------------------------------------------------------------------------------


def is_record(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def records(kind: Any) -> set[type]:
    """Return the records that a type is made of, itself included."""
    if is_record(kind):
        hints = typing.get_type_hints(kind)
        return {typing.cast("type", kind)}.union(*(records(hint) for hint in hints.values()))
    return set().union(*(records(part) for part in typing.get_args(kind)))


def samples(kind: Any) -> st.SearchStrategy[Any]:
    """Build values of a result's type: finite numbers that JSON holds, and any text."""
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return st.one_of(*(samples(part) for part in parts))
    if origin is typing.Literal:
        return st.sampled_from(parts)
    if origin is tuple and parts[-1] is Ellipsis:
        return st.lists(samples(parts[0]), max_size=2).map(tuple)
    if origin is tuple:
        return st.tuples(*(samples(part) for part in parts))
    if is_record(kind):
        hints = typing.get_type_hints(kind)
        return st.builds(
            typing.cast("type", kind), **{f.name: samples(hints[f.name]) for f in msgspec.structs.fields(kind)}
        )
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return st.sampled_from(list(kind))
    plain: dict[Any, st.SearchStrategy[Any]] = {
        int: st.integers(-(2**53), 2**53),
        float: st.floats(allow_nan=False, allow_infinity=False),
        str: st.text(max_size=12),
        bool: st.booleans(),
        type(None): st.none(),
    }
    return plain[kind]


@pytest.mark.parametrize("name", TABLE)
def test_every_probe_has_tests_of_its_own(name: str) -> None:
    assert (ROOT / "tests" / "probes" / f"test_{name.replace('-', '_')}.py").is_file()


@pytest.mark.parametrize("name", TABLE)
def test_a_probe_is_what_the_table_says(name: str) -> None:
    probe = load(name)
    assert probe.name == name
    assert probe.deadline_s > 0
    observe = probe.observe
    if observe.__module__ == "probes.system.late":
        observe = importlib.import_module(TABLE[name].replace("probes.", "probes.bodies.", 1)).observe
    assert inspect.iscoroutinefunction(observe)
    assert list(inspect.signature(observe).parameters) == ["request", "context", "progress"]
    for kind in records(probe.request) | records(probe.result):
        assert kind.__struct_config__.frozen, kind  # type: ignore[attr-defined]
    hints = typing.get_type_hints(observe)
    assert hints["request"] is probe.request
    assert hints["return"] is probe.result


@pytest.mark.parametrize("name", TABLE)
def test_what_a_probe_does_is_told_without_importing_it(name: str) -> None:
    text = sys.modules[TABLE[load(name).name]].__doc__
    assert text is not None
    assert about(name) == text.splitlines()[0]


def test_a_list_of_the_probes_imports_none() -> None:
    code = "import sys; from probes.table import *; list(map(about, TABLE)); print(*sys.modules)"
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert set(done.stdout.split()) & {*TABLE.values(), "asyncio", "msgspec", "probes.base"} == set()


@pytest.mark.parametrize("name", TABLE)
def test_a_saved_result_reads_back_as_it_was(name: str) -> None:
    kind = load(name).result

    @settings(max_examples=20, deadline=None)
    @given(samples(kind))
    def read_back(result: object) -> None:
        assert msgspec.json.decode(msgspec.json.encode(result), type=kind) == result

    read_back()


def test_a_saved_observation_reads_back_as_it_was() -> None:
    sentence = note("reason.process-hidden", pid=4711)
    seen: Observation[Any] = Observation(
        probe="descriptors", subject="", status=Status.NOT_PERMITTED, started=1.5, duration_ms=2.25, reason=sentence
    )
    assert msgspec.json.decode(msgspec.json.encode(seen), type=Observation[Any]) == seen
