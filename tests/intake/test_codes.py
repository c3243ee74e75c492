"""Every form in which CODE may be written, and every way to get it wrong."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from troubleshoot.intake.codes import SYSTEMS, meant, nearest, parse_code
from troubleshoot.knowledge.catalogue import LANGUAGES, Catalogue
from troubleshoot.knowledge.kinds import System
from troubleshoot.knowledge.text import Refusal, places, say

CATALOGUE = Catalogue()
NAMES = sorted(CATALOGUE.numbers)


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("10061", "WSAECONNREFUSED"),
        ("+10061", "WSAECONNREFUSED"),
        (" 10061 ", "WSAECONNREFUSED"),
        ("WSAECONNREFUSED", "WSAECONNREFUSED"),
        ("wsaeconnrefused", "WSAECONNREFUSED"),
        ("ECONNREFUSED", "WSAECONNREFUSED"),
        ("econnrefused", "WSAECONNREFUSED"),
        ("'ECONNREFUSED'", "WSAECONNREFUSED"),
        ("0x274D", "WSAECONNREFUSED"),
        ("0X274d", "WSAECONNREFUSED"),
        ("0x0000274D", "WSAECONNREFUSED"),
        ("0x8007274D", "WSAECONNREFUSED"),
        ("-2147014835", "WSAECONNREFUSED"),
        ("\u22122147014835", "WSAECONNREFUSED"),
        ("\u20132147014835", "WSAECONNREFUSED"),
        ("2147952461", "WSAECONNREFUSED"),
        ("\uff11\uff10\uff10\uff16\uff11", "WSAECONNREFUSED"),
        ("11001", "WSAHOST_NOT_FOUND"),
        ("EAI_NONAME", "WSAHOST_NOT_FOUND"),
        ("eai_noname", "WSAHOST_NOT_FOUND"),
        ("HOST_NOT_FOUND", "WSAHOST_NOT_FOUND"),
        ("EAGAIN", "WSAEWOULDBLOCK"),
        ("[WinError 10061] it said no", "WSAECONNREFUSED"),
        ("WinError 10061", "WSAECONNREFUSED"),
        ("Socket error #10061: refused", "WSAECONNREFUSED"),
        ("Error: connect ECONNREFUSED 127.0.0.1:5432", "WSAECONNREFUSED"),
        ("WSAECONNREFUSED (10061)", "WSAECONNREFUSED"),
        ("10061 (0x274D)", "WSAECONNREFUSED"),
        ("hr=0x8007274D", "WSAECONNREFUSED"),
        ("[Errno 11001] getaddrinfo failed", "WSAHOST_NOT_FOUND"),
        ("0x80070006", "WSA_INVALID_HANDLE"),
        ("WSA_INVALID_HANDLE", "WSA_INVALID_HANDLE"),
        ("995", "WSA_OPERATION_ABORTED"),
        ("EPERM", "WSAEACCES"),
        ("ENOTFOUND", "WSAHOST_NOT_FOUND"),
        ("Error: getaddrinfo ENOTFOUND db.example", "WSAHOST_NOT_FOUND"),
        ("EAI_NODATA", "WSANO_DATA"),
        ("UNKNOWN", "WSASYSCALLFAILURE"),
        ("12002", "WSAETIMEDOUT"),
        ("0x80072EE2", "WSAETIMEDOUT"),
        ("12007", "WSAHOST_NOT_FOUND"),
        ("-2147012889", "WSAHOST_NOT_FOUND"),
        ("12029", "WSAECONNREFUSED"),
        ("hr = 0x80072EFD", "WSAECONNREFUSED"),
        ("12152", "WSAECONNRESET"),
        ("0x80072F78", "WSAECONNRESET"),
        ("0x80072F76", "WSAECONNRESET"),
        ("1231", "WSAENETUNREACH"),
        ("0x800704CF", "WSAENETUNREACH"),
        ("ETIMEOUT", "WSATRY_AGAIN"),
    ],
)
def test_every_form_is_understood(word: str, name: str) -> None:
    assert parse_code(word, CATALOGUE) == name


@pytest.mark.parametrize("word", ["12002", "0x80072EE7", "ENOTFOUND", "EPERM", "eai_noname", "EPIPE"])
def test_another_systems_word_is_said_to_stand_for_the_code(word: str) -> None:
    assert meant(word, parse_code(word, CATALOGUE), CATALOGUE)


@pytest.mark.parametrize("word", ["10061", "0x274D", "-2147014835", "ECONNREFUSED", "WSAECONNREFUSED"])
def test_a_code_in_its_own_words_needs_no_remark(word: str) -> None:
    assert not meant(word, parse_code(word, CATALOGUE), CATALOGUE)


@pytest.mark.parametrize("name", NAMES)
def test_every_code_is_found_by_its_name_number_and_hresult(name: str) -> None:
    entry = CATALOGUE.code(name)
    assert parse_code(name.swapcase(), CATALOGUE) == name
    same_number = CATALOGUE.names_of(entry.number)
    wrapped = int(entry.hresult, 16)
    for word in (entry.hresult, str(wrapped), str(wrapped - (1 << 32))):
        assert parse_code(word, CATALOGUE) == same_number[0]
    if entry.number >= 200:
        assert parse_code(str(entry.number), CATALOGUE) == same_number[0]
        assert parse_code(entry.hex, CATALOGUE) == same_number[0]


@pytest.mark.parametrize("posix", sorted(CATALOGUE.posix))
def test_every_posix_name_leads_to_its_twin(posix: str) -> None:
    twin = CATALOGUE.posix[posix].winsock
    assert parse_code(posix.lower(), CATALOGUE) in {twin, f"WSA{posix}"}


SMALL = [
    (posix, system, number)
    for posix, on in CATALOGUE.posix.items()
    for system in SYSTEMS
    if (number := getattr(on, system)) is not None and abs(number) < 200
]


@pytest.mark.parametrize(("posix", "system", "number"), SMALL)
def test_every_posix_number_leads_to_its_twin_or_names_its_rivals(posix: str, system: System, number: int) -> None:
    rivals = {on.winsock for on in CATALOGUE.posix.values() if getattr(on, system) == number}
    if len(rivals) == 1:
        assert parse_code(str(number), CATALOGUE, system) == CATALOGUE.posix[posix].winsock
    else:
        with pytest.raises(Refusal, match=posix):
            parse_code(str(number), CATALOGUE, system)


def test_a_bare_posix_number_is_refused_with_its_meanings() -> None:
    with pytest.raises(Refusal) as caught:
        parse_code("111", CATALOGUE)
    assert "Linux: ECONNREFUSED" in str(caught.value)
    assert "--errno" in str(caught.value)
    with pytest.raises(Refusal, match="macOS: ECONNREFUSED"):
        parse_code("61", CATALOGUE)
    with pytest.raises(Refusal, match="Linux: EAI_NONAME"):
        parse_code("-2", CATALOGUE)


@pytest.mark.parametrize(("word", "name"), [("13", "WSAEACCES"), ("-13", "WSAEACCES"), ("22", "WSAEINVAL")])
def test_a_number_that_is_the_same_everywhere_needs_no_system(word: str, name: str) -> None:
    assert parse_code(word, CATALOGUE) == name


@pytest.mark.parametrize(("word", "told"), [("53", "Windows: ERROR_BAD_NETPATH"), ("11", "no such error elsewhere")])
def test_what_differs_between_systems_is_told(word: str, told: str) -> None:
    with pytest.raises(Refusal, match=told):
        parse_code(word, CATALOGUE)


def test_a_text_tells_whose_its_number_is() -> None:
    assert parse_code("[Errno 111] Connection refused", CATALOGUE) == "WSAECONNREFUSED"


def test_whose_number_it_is_decides() -> None:
    assert parse_code("111", CATALOGUE, "linux") == "WSAECONNREFUSED"
    assert parse_code("-111", CATALOGUE, "linux") == "WSAECONNREFUSED"
    assert parse_code("61", CATALOGUE, "macos") == "WSAECONNREFUSED"
    assert parse_code("107", CATALOGUE, "windows") == "WSAECONNREFUSED"
    assert parse_code("107", CATALOGUE, "linux") == "WSAENOTCONN"
    assert parse_code("-2", CATALOGUE, "linux") == "WSAHOST_NOT_FOUND"
    assert parse_code("10061", CATALOGUE, "linux") == "WSAECONNREFUSED"
    assert parse_code("87", CATALOGUE, "windows") == "WSA_INVALID_PARAMETER"
    with pytest.raises(Refusal, match="no error of macOS"):
        parse_code("111", CATALOGUE, "macos")


@pytest.mark.parametrize("number", [6, 8, 87])
def test_small_winsock_constants_say_both_meanings(number: int) -> None:
    with pytest.raises(Refusal, match="Winsock: WSA_"):
        parse_code(str(number), CATALOGUE)


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("ECONREFUSED", "ECONNREFUSED"),
        ("WSAECONNREFUSD", "WSAECONNREFUSED"),
        ("CONNREFUSED", "CONNREFUSED"),
        ("10161", "10061 WSAECONNREFUSED"),
        ("EAI_NONAM", "EAI_NONAME"),
    ],
)
def test_an_unknown_code_offers_the_nearest(word: str, near: str) -> None:
    assert any(near in offer for offer in nearest(word, CATALOGUE))
    with pytest.raises(Refusal, match="nearest"):
        parse_code(word, CATALOGUE)


@pytest.mark.parametrize(
    "word", ["", "  ", "''", "banana!!", "0x", "0xZZ", "1e5", "9" * 5000, "x" * 5000, "10061 10060"]
)
def test_nonsense_is_refused(word: str) -> None:
    with pytest.raises(Refusal):
        parse_code(word, CATALOGUE)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60), st.sampled_from([None, *SYSTEMS]))
@example("\ud800", None)
@example("-0x80000000000", None)
@example("²", None)
@example("0b1", None)
def test_any_text_gives_a_code_or_a_refusal(word: str, system: System | None) -> None:
    try:
        assert parse_code(word, CATALOGUE, system) in CATALOGUE.numbers
    except Refusal as error:
        refusal = error
    else:
        return
    for language in LANGUAGES:
        wording = CATALOGUE.wording(language)
        assert refusal.key in wording
        assert places(wording[refusal.key]) <= dict(refusal.values).keys()
        assert say(refusal, wording)


@settings(max_examples=200, deadline=None)
@given(st.integers(-(1 << 33), 1 << 33))
def test_any_number_gives_a_code_or_a_refusal(number: int) -> None:
    try:
        name = parse_code(str(number), CATALOGUE)
    except Refusal:
        return
    numbers = {CATALOGUE.numbers[name], *(on.windows for on in CATALOGUE.posix.values() if on.winsock == name)}
    assert number & 0xFFFF in numbers or abs(number) < 200
