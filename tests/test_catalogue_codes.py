"""The described codes of the catalogue, held against tables that were made without it.

``data/winsock-codes.csv`` holds the constants of the Windows headers as a compiled program printed them.
"""

import csv
import re
from pathlib import Path

import pytest

from troubleshoot.knowledge.catalogue import LANGUAGES, Catalogue, CatalogueError, CodeEntry

HEADERS = {
    row["name"]: row
    for row in csv.DictReader(
        (Path(__file__).parent / "data" / "winsock-codes.csv").read_text(encoding="utf-8").splitlines()
    )
}

KINDS = {
    "network": """WSAECONNABORTED WSAECONNREFUSED WSAECONNRESET WSAEDISCON WSAEHOSTDOWN WSAEHOSTUNREACH WSAENETDOWN
        WSAENETRESET WSAENETUNREACH WSAETIMEDOUT""",
    "name-service": "WSAHOST_NOT_FOUND WSANO_DATA WSANO_RECOVERY WSATRY_AGAIN",
    "local-resource": """WSAEACCES WSAEADDRINUSE WSAEADDRNOTAVAIL WSAEAFNOSUPPORT WSAEMFILE WSAEMSGSIZE WSAENOBUFS
        WSAEPFNOSUPPORT WSAEPROCLIM WSAEPROTONOSUPPORT WSAESOCKTNOSUPPORT WSANOTINITIALISED WSASYSNOTREADY
        WSAVERNOTSUPPORTED""",
    "no-network-meaning": """WSABASEERR WSAEDQUOT WSAELOOP WSAENAMETOOLONG WSAENOTEMPTY WSAEREMOTE WSAESTALE
        WSAETOOMANYREFS WSAEUSERS""",
    "api-misuse": """WSAEALREADY WSAEBADF WSAEDESTADDRREQ WSAEFAULT WSAEINPROGRESS WSAEINTR WSAEINVAL WSAEISCONN
        WSAENOPROTOOPT WSAENOTCONN WSAENOTSOCK WSAEOPNOTSUPP WSAEPROTOTYPE WSAESHUTDOWN WSAEWOULDBLOCK""",
}
KIND_OF = {name: kind for kind, names in KINDS.items() for name in names.split()}
DESCRIBED = sorted(KIND_OF)

# Twins that are not simply the name without its WSA.
POSIX = {
    "WSAHOST_NOT_FOUND": "EAI_NONAME",
    "WSATRY_AGAIN": "EAI_AGAIN",
    "WSANO_RECOVERY": "EAI_FAIL",
    "WSANO_DATA": "EAI_NODATA",
} | dict.fromkeys(("WSABASEERR", "WSAEDISCON", "WSASYSNOTREADY", "WSAVERNOTSUPPORTED", "WSANOTINITIALISED"))

ABORTED = "ping-remote ping-local-host ping-router ping-remote-subnet traceroute"
UNREACHABLE = "ping-remote address-valid router-configured traceroute"
NOT_FOUND = "check-dns hosts-file resolve-other-name"


def taken(steps: str, origin: str) -> str:
    return " ".join(f"{step}<{origin}" for step in steps.split())


# The steps that the reference itself asks for; ``step<CODE`` is one that it takes from another code's list.
REFERENCE_STEPS = {
    "WSAECONNABORTED": ABORTED,
    "WSAECONNRESET": "statistics " + taken(ABORTED, "WSAECONNABORTED"),
    "WSAENETRESET": taken(ABORTED, "WSAECONNABORTED"),
    "WSAECONNREFUSED": "address-valid resolve-name hosts-file services-file statistics listeners",
    "WSAETIMEDOUT": """address-valid resolve-name hosts-file ping-remote router-configured ping-router
        ping-beyond-router traceroute subnet-mask""",
    "WSAENETUNREACH": UNREACHABLE,
    "WSAEHOSTUNREACH": taken(UNREACHABLE, "WSAENETUNREACH"),
    "WSAENETDOWN": "network-subsystem interface",
    "WSAHOST_NOT_FOUND": NOT_FOUND,
    "WSATRY_AGAIN": taken(NOT_FOUND, "WSAHOST_NOT_FOUND"),
    "WSANO_RECOVERY": taken(NOT_FOUND, "WSAHOST_NOT_FOUND"),
    "WSANO_DATA": taken(NOT_FOUND, "WSAHOST_NOT_FOUND"),
    # by way of WSATRY_AGAIN, which has its steps from WSAHOST_NOT_FOUND in turn
    "WSAEDESTADDRREQ": "address-valid " + taken(NOT_FOUND, "WSAHOST_NOT_FOUND"),
    "WSAEADDRINUSE": "port-owner api-usage",
    "WSAEADDRNOTAVAIL": "address-valid api-usage",
    "WSAEACCES": "api-usage",
    "WSAEMFILE": "open-sockets",
    "WSAENOBUFS": "buffers open-sockets",
    "WSAEMSGSIZE": "api-usage",
    "WSAEAFNOSUPPORT": "address-family",
    "WSAEPFNOSUPPORT": "address-family",
    "WSAEPROTONOSUPPORT": "address-family",
    "WSAESOCKTNOSUPPORT": "address-family",
    "WSASYSNOTREADY": "network-subsystem",
    "WSAVERNOTSUPPORTED": "network-subsystem",
    "WSAEPROCLIM": "network-subsystem",
    "WSANOTINITIALISED": "network-subsystem<WSASYSNOTREADY api-usage",
}
# the other misuses, but for two that the reference describes without advice
REFERENCE_STEPS |= dict.fromkeys(
    set(KINDS["api-misuse"].split()) - {"WSAEALREADY", "WSAEBADF", "WSAEDESTADDRREQ"}, "api-usage"
)

LOOKUPS = """WSAAsyncGetHostByAddr WSAAsyncGetHostByName WSAAsyncGetProtoByName WSAAsyncGetProtoByNumber
    WSAAsyncGetServByName WSAAsyncGetServByPort"""
FUNCTIONS = {
    "WSABASEERR": "",
    "WSAEACCES": "send sendto",
    "WSAEADDRINUSE": "bind connect listen FD_CONNECT",
    "WSAEADDRNOTAVAIL": "connect sendto FD_CONNECT",
    "WSAEALREADY": "WSACancelAsyncRequest",
    "WSAECONNABORTED": "recv recvfrom sendto FD_CLOSE",
    "WSAECONNREFUSED": "connect FD_CONNECT",
    "WSAECONNRESET": "recv recvfrom send sendto FD_CLOSE",
    "WSAEDISCON": "",
    "WSAEHOSTDOWN": "",
    "WSAEHOSTUNREACH": "",
    "WSAEINTR": """accept closesocket connect gethostbyname gethostbyaddr getprotobyname getprotobynumber getservbyname
        getservbyport recv recvfrom select send sendto""",
    "WSAEINVAL": """accept bind getsockname ioctlsocket listen recv recvfrom select send setsockopt shutdown WSAStartup
        WSAAsyncSelect WSACancelAsyncRequest WSACancelBlockingCall FD_CONNECT""",
    "WSAEMFILE": "accept listen socket connect",
    "WSAENETUNREACH": "connect sendto FD_CONNECT",
    "WSAENOTSOCK": """accept bind closesocket connect getpeername getsockname getsockopt ioctlsocket listen recv
        recvfrom select send sendto setsockopt shutdown FD_CONNECT""",
    "WSAEPFNOSUPPORT": "",
    "WSAESHUTDOWN": "recv recvfrom send sendto",
    "WSAETIMEDOUT": "connect FD_CONNECT",
    "WSAEWOULDBLOCK": f"accept closesocket connect recv recvfrom send sendto {LOOKUPS}",
    "WSAHOST_NOT_FOUND": f"gethostbyaddr gethostbyname {LOOKUPS}",
    "WSASYSNOTREADY": "WSAStartup",
}
ALSO_RAISED_BY = {
    "WSAECONNREFUSED": "send sendto FD_READ",
    "WSAECONNRESET": "shutdown closesocket",
    "WSAEADDRNOTAVAIL": "bind",
    "WSAEBADF": "",
    "WSAENETUNREACH": "recv recvfrom send FD_READ FD_WRITE",
    "WSAETIMEDOUT": "FD_OOB FD_READ FD_WRITE",
    "WSAEPROCLIM": "WSAStartup",
}
SEE_ALSO = {
    "WSAECONNABORTED": "WSAECONNRESET WSAENETRESET WSAETIMEDOUT",
    "WSAECONNREFUSED": "",
    "WSAEHOSTUNREACH": "WSAENETUNREACH",
    "WSAEPROTOTYPE": "WSAEAFNOSUPPORT WSAEPFNOSUPPORT",
    "WSATRY_AGAIN": "WSANO_DATA WSANO_RECOVERY WSATRY_AGAIN",  # its own name: a slip of the reference
}
HANGUL = re.compile("[가-힣]")


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue()


def test_all_52_described_codes_are_there_and_no_other_claims_to_be(catalogue: Catalogue) -> None:
    assert len(DESCRIBED) == 52
    assert [entry.name for entry in sorted(catalogue.codes(), key=lambda e: e.name) if entry.described] == DESCRIBED


@pytest.mark.parametrize("name", DESCRIBED)
def test_an_entry_agrees_with_the_windows_headers(catalogue: Catalogue, name: str) -> None:
    entry = catalogue.code(name)
    if name == "WSABASEERR":  # a summand of the others, not a code of its own
        assert (entry.number, entry.hex, entry.hresult) == (10000, "0x00002710", "0x80072710")
        return
    row = HEADERS[name]
    assert (entry.name, str(entry.number), entry.hex, entry.hresult) == (name, row["value"], row["hex"], row["hresult"])


@pytest.mark.parametrize("name", DESCRIBED)
def test_an_entry_says_what_kind_of_code_it_is_in_both_languages(catalogue: Catalogue, name: str) -> None:
    entry = catalogue.code(name)
    assert entry.kind == KIND_OF[name]
    assert entry.posix == POSIX.get(name, name.removeprefix("WSA"))
    assert entry.alias_of is None
    for words in (entry.title, entry.meaning):
        assert not words.ko or HANGUL.search(words.ko)
        assert not HANGUL.search(words.en)
    assert entry.meaning.en.endswith(".")
    assert entry.meaning.in_("ko").endswith(".")


@pytest.mark.parametrize("name", DESCRIBED)
def test_every_text_is_one_clean_line_and_every_note_has_a_source(catalogue: Catalogue, name: str) -> None:
    entry = catalogue.code(name)
    texts = [*(text.in_(language) for text in (entry.title, entry.meaning) for language in LANGUAGES)]
    texts += entry.developer_hints
    texts += [text for text in (entry.berkeley, entry.tcpip) if text is not None]
    for note in entry.notes:
        texts += [note.text, note.source]
    for text in texts:
        assert text
        assert text == " ".join(text.split())


@pytest.mark.parametrize("name", DESCRIBED)
def test_the_checklist_follows_the_reference_and_marks_the_rest(catalogue: Catalogue, name: str) -> None:
    steps = catalogue.checklist(name)
    reference = [step.id + (f"<{step.origin}" if step.origin else "") for step in steps if not step.added]
    assert reference == REFERENCE_STEPS.get(name, "").split()
    assert [step.added for step in steps] == sorted(step.added for step in steps), "ours come after the reference's"
    assert len({step.id for step in steps}) == len(steps)
    assert {step.id for step in steps} <= catalogue.steps.keys()


def test_no_table_here_names_an_unknown_code() -> None:
    for table in (REFERENCE_STEPS, FUNCTIONS, ALSO_RAISED_BY, SEE_ALSO, POSIX):
        assert table.keys() <= KIND_OF.keys()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_those_of_the_reference(catalogue: Catalogue, name: str) -> None:
    assert list(catalogue.code(name).functions) == FUNCTIONS[name].split()


@pytest.mark.parametrize("name", ALSO_RAISED_BY)
def test_additional_functions_are_those_of_the_reference(catalogue: Catalogue, name: str) -> None:
    assert list(catalogue.code(name).also_raised_by) == ALSO_RAISED_BY[name].split()


@pytest.mark.parametrize("name", SEE_ALSO)
def test_cross_references_are_those_of_the_reference(catalogue: Catalogue, name: str) -> None:
    assert list(catalogue.code(name).see_also) == SEE_ALSO[name].split()


@pytest.mark.parametrize("name", DESCRIBED)
def test_names_are_spelled_as_in_the_api(catalogue: Catalogue, name: str) -> None:
    entry = catalogue.code(name)
    api = re.compile(r"FD_(ACCEPT|CLOSE|CONNECT|OOB|READ|WRITE)|WSA[A-Z]\w*[a-z]|[a-z_]+")
    for names in (entry.functions, entry.also_raised_by, entry.see_also):
        assert len(set(names)) == len(names)
    for function in (*entry.functions, *entry.also_raised_by):
        assert api.fullmatch(function), function
        assert function not in HEADERS
    assert set(entry.see_also) <= KIND_OF.keys()


def test_the_longest_lists_are_complete(catalogue: Catalogue) -> None:
    assert {n: len(catalogue.code(n).functions) for n in ("WSAENETDOWN", "WSAEINPROGRESS", "WSANOTINITIALISED")} == {
        "WSAENETDOWN": 40,
        "WSAEINPROGRESS": 34,
        "WSANOTINITIALISED": 36,
    }


def test_only_codes_with_a_berkeley_counterpart_speak_of_berkeley(catalogue: Catalogue) -> None:
    without = {name for name in DESCRIBED if catalogue.code(name).berkeley is None}
    assert without == {
        "WSABASEERR",
        "WSAEDISCON",
        "WSAEPROCLIM",
        "WSANOTINITIALISED",
        "WSASYSNOTREADY",
        "WSAVERNOTSUPPORTED",
    }


def test_codes_with_a_tcp_ip_scenario_tell_it(catalogue: Catalogue) -> None:
    assert {name for name in DESCRIBED if catalogue.code(name).tcpip is not None} == {
        "WSAECONNABORTED",
        "WSAECONNREFUSED",
        "WSAEHOSTUNREACH",
        "WSAENETUNREACH",
        "WSAESHUTDOWN",
        "WSAHOST_NOT_FOUND",
    }


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("WSAEHOSTUNREACH", ("no function", "Microsoft: connect function")),
        ("WSAEADDRNOTAVAIL", ("bind()", "Microsoft: bind function")),
        ("WSAEPROCLIM", ("WSAStartup()", "Microsoft: WSAStartup function")),
        ("WSAEHOSTDOWN", ("WSAETIMEDOUT", "Microsoft: Windows Sockets Error Codes")),
        ("WSAETIMEDOUT", ("connect()", "Microsoft: send function")),
        ("WSAEACCES", ("SO_EXCLUSIVEADDRUSE", "Microsoft")),
        ("WSAEINVAL", ("binds by itself", "Microsoft: connect function")),
        ("WSAEDISCON", ("WSARecv", "Microsoft")),
    ],
)
def test_contradictions_are_told_with_both_sides(catalogue: Catalogue, name: str, words: tuple[str, str]) -> None:
    text, source = words
    assert any(text in note.text and source in note.source for note in catalogue.code(name).notes)


@pytest.mark.parametrize("name", DESCRIBED)
def test_an_unknown_key_in_a_file_is_refused_with_its_place(catalogue: Catalogue, name: str, tmp_path: Path) -> None:
    entry: CodeEntry = catalogue.code(name)
    file = f"{entry.number}-{name}.toml"
    original = (Path(__file__).parents[1] / "catalogue" / "codes" / file).read_text(encoding="utf-8")
    (tmp_path / "codes").mkdir()
    copy = tmp_path / "codes" / file
    copy.write_text(original, encoding="utf-8")
    assert Catalogue(tmp_path).code(name) == entry
    copy.write_text("colour = 'red'\n" + original, encoding="utf-8")
    with pytest.raises(CatalogueError, match=rf"{re.escape(file)}.*colour"):
        Catalogue(tmp_path).code(name)
