"""Winsock itself: what WSAStartup offers, the catalogue of its providers, and the library that answers.

The library calls a program's provider, and a provider of Winsock's catalogue may stand on top of others (a *layered*
one, of a VPN, a filter or a security product): where one of them cannot be loaded, no program has sockets. Sources:
Microsoft: WSAStartup, WSCEnumProtocols, WSAPROTOCOL_INFOW, WSAPROTOCOLCHAIN, WSCGetProviderPath, VerQueryValueW.
"""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from probes.system.windows.layouts import Guid, ProtocolInfo

LIBRARY: Final = "ws2_32.dll"
#: The versions that programs ask for: Winsock 2's only one, and that of the 1.1 reference.
_ASKED: Final = ((2, 2), (1, 1))
_WSAENOBUFS: Final = 10055
#: More entries than any real catalogue has; the rest is left out.
_MAX_PROVIDERS: Final = 256
_MAX_PATH: Final = 1024
_FAMILIES: Final = {1: "AF_UNIX", 2: "AF_INET", 6: "AF_IPX", 17: "AF_NETBIOS", 23: "AF_INET6", 32: "AF_BTH"}
_TYPES: Final = {1: "SOCK_STREAM", 2: "SOCK_DGRAM", 3: "SOCK_RAW", 4: "SOCK_RDM", 5: "SOCK_SEQPACKET"}


class Start(msgspec.Struct, frozen=True):
    """One WSAStartup: the version asked for, the one ``given``, the ``highest`` on offer, all as ``2.2``.

    ``error`` is the Winsock number that it returned, ``None`` where it succeeded. ``description`` and ``status``
    are the library's own words.
    """

    asked: str
    given: str
    highest: str
    description: str
    status: str
    error: int | None = None


class Provider(msgspec.Struct, frozen=True):
    """One entry of the catalogue: ``entry`` is its number there, ``id`` the GUID of its provider.

    ``chain`` lists the entries that a layered chain goes through, from the top; ``kind`` is ``base``,
    ``layered`` (the layer by itself) or ``chain`` (programs get this one: a layer on top of a base). ``protocol``
    is IANA's number. ``path`` is the provider's own library, ``None`` where Windows does not tell it, and
    ``missing`` says that there is no such file.
    """

    entry: int
    name: str
    kind: str
    family: str
    type: str
    protocol: int
    version: int
    id: str
    chain: tuple[int, ...] = ()
    path: str | None = None
    missing: bool = False


class Winsock(msgspec.Struct, frozen=True):
    """``starts`` are what WSAStartup gave for 2.2 and for 1.1; ``providers`` is the catalogue of this kind of program.

    ``providers`` is ``None`` where it could not be read, and ``error`` the Winsock number that says why.
    ``library`` is the file of ``ws2_32.dll`` that this process has loaded, ``library_version`` that of the file,
    ``foreign`` whether it lies outside of the system's folder.
    """

    starts: tuple[Start, ...]
    providers: tuple[Provider, ...] | None
    error: int | None = None
    library: str | None = None
    library_version: str | None = None
    foreign: bool = False


def examine() -> Winsock | None:
    """Look at Winsock as this process sees it; ``None`` on any other system than Windows. Sends nothing."""
    if sys.platform != "win32":
        return None
    library = load(LIBRARY)
    providers, error = _providers(library)
    path = _loaded(LIBRARY)
    return Winsock(
        starts=tuple(_start(library, *version) for version in _ASKED),
        providers=providers,
        error=error,
        library=path,
        library_version=_version(path) if path else None,
        foreign=path is not None and not is_systems(path, system_folder()),
    )


def kernel() -> str | None:
    """Return ``Windows`` and its version, as ``Windows 10.0.19045``; ``None`` on any other system."""
    if sys.platform != "win32":
        return None
    found = sys.getwindowsversion()
    return f"Windows {found.major}.{found.minor}.{found.build}"


def counters() -> bool | None:
    """Tell whether the stack's counters can be read (GetTcpStatistics); ``None`` on any other system."""
    if sys.platform != "win32":
        return None
    import ctypes  # noqa: PLC0415

    try:
        return bool(load("iphlpapi.dll").GetTcpStatistics((ctypes.c_uint32 * 15)()) == 0)
    except (OSError, AttributeError):
        return False


def load(name: str, *, keep_error: bool = False) -> Any:
    """Return a library of Windows; raises ``OSError`` where there is none of that name.

    ``keep_error`` has ctypes keep the last error of each call for ``ctypes.get_last_error``.
    """
    import ctypes  # noqa: PLC0415 - some milliseconds, and only Windows needs it

    loader: Any = ctypes  # what it lacks on other systems
    return loader.WinDLL(name, use_last_error=keep_error)


def is_systems(path: str, folder: str) -> bool:
    """Tell whether ``path`` lies directly in the system's ``folder``; Windows takes either case of letters."""
    return path.replace("/", "\\").rpartition("\\")[0].casefold() == folder.rstrip("\\").casefold()


def version_text(word: int) -> str:
    """Return a version of Winsock as text: the major one stands in the low byte."""
    return f"{word & 0xFF}.{word >> 8 & 0xFF}"


def provider(info: ProtocolInfo, path: str | None = None, *, missing: bool = False) -> Provider:
    """Return the record of one entry of the catalogue."""
    from probes.system.windows.layouts import MAX_PROTOCOL_CHAIN, text  # noqa: PLC0415

    length = int(info.chain.length)
    chain = tuple(int(entry) for entry in info.chain.entries[: max(0, min(length, MAX_PROTOCOL_CHAIN))])
    return Provider(
        entry=int(info.entry),
        name=_tame(text(bytes(info.name))),
        kind="layered" if length == 0 else "base" if length == 1 else "chain",
        family=_FAMILIES.get(info.family, str(info.family)),
        type=_TYPES.get(info.type, str(info.type)),
        protocol=int(info.protocol),
        version=int(info.version),
        id=_guid(info.provider),
        chain=chain if length > 1 else (),
        path=path,
        missing=missing,
    )


def _tame(text: str) -> str:
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)[:255]


def _guid(value: Guid) -> str:
    last = bytes(value.data4).hex()
    return f"{{{value.data1:08x}-{value.data2:04x}-{value.data3:04x}-{last[:4]}-{last[4:]}}}"


def _start(library: Any, major: int, minor: int) -> Start:
    import ctypes  # noqa: PLC0415

    from probes.system.windows.layouts import WsaData  # noqa: PLC0415

    data = WsaData()
    error = library.WSAStartup(minor << 8 | major, ctypes.byref(data))
    if not error:
        library.WSACleanup()  # Python holds a start of its own
    return Start(
        asked=f"{major}.{minor}",
        given=version_text(data.version),
        highest=version_text(data.high_version),
        description=_tame(data.description.decode("ascii", "replace")),
        status=_tame(data.system_status.decode("ascii", "replace")),
        error=error or None,
    )


def _providers(library: Any) -> tuple[tuple[Provider, ...] | None, int | None]:
    import ctypes  # noqa: PLC0415

    from probes.system.windows.layouts import ProtocolInfo  # noqa: PLC0415

    size, error = ctypes.c_uint32(0), ctypes.c_int32(0)
    # WSAEnumProtocolsW hides the layers by themselves; this one shows them.
    library.WSCEnumProtocols(None, None, ctypes.byref(size), ctypes.byref(error))
    if error.value not in (0, _WSAENOBUFS):
        return None, error.value
    table = (ProtocolInfo * max(1, size.value // ctypes.sizeof(ProtocolInfo)))()
    size.value = ctypes.sizeof(table)
    count = library.WSCEnumProtocols(None, ctypes.byref(table), ctypes.byref(size), ctypes.byref(error))
    if count < 0:
        return None, error.value
    paths: dict[str, str | None] = {}
    found = []
    for info in table[: min(count, _MAX_PROVIDERS)]:
        identifier = _guid(info.provider)
        if identifier not in paths:
            paths[identifier] = _path(library, info.provider)
        path = paths[identifier]
        found.append(provider(info, path, missing=path is not None and _is_missing(path)))
    return tuple(found), None


def _path(library: Any, identifier: Guid) -> str | None:
    import ctypes  # noqa: PLC0415
    import os  # noqa: PLC0415

    buffer = ctypes.create_unicode_buffer(_MAX_PATH)
    size, error = ctypes.c_int32(_MAX_PATH), ctypes.c_int32(0)
    # Sixty-four-bit programs are told of the sixty-four-bit providers.
    answer = library.WSCGetProviderPath(ctypes.byref(identifier), buffer, ctypes.byref(size), ctypes.byref(error))
    if answer != 0 or not buffer.value:
        return None  # wine: not implemented, and says 0
    return os.path.expandvars(buffer.value)


def _is_missing(path: str) -> bool:
    import os  # noqa: PLC0415

    return not os.path.exists(path)  # noqa: PTH110 - a name that Windows gave, taken as it is


def _loaded(name: str) -> str | None:
    import ctypes  # noqa: PLC0415

    kernel32 = load("kernel32.dll")
    kernel32.GetModuleHandleW.restype = ctypes.c_void_p
    kernel32.GetModuleHandleW.argtypes = [ctypes.c_wchar_p]
    kernel32.GetModuleFileNameW.argtypes = [ctypes.c_void_p, ctypes.c_wchar_p, ctypes.c_uint32]
    handle = kernel32.GetModuleHandleW(name)
    buffer = ctypes.create_unicode_buffer(_MAX_PATH)
    if not handle or not kernel32.GetModuleFileNameW(handle, buffer, _MAX_PATH):
        return None
    return _tame(buffer.value)


def system_folder() -> str:
    """Return the folder of the system's own programs and libraries, as Windows names it."""
    import ctypes  # noqa: PLC0415

    buffer = ctypes.create_unicode_buffer(_MAX_PATH)
    load("kernel32.dll").GetSystemDirectoryW(buffer, _MAX_PATH)
    return buffer.value


def _version(path: str) -> str | None:
    import ctypes  # noqa: PLC0415

    from probes.system.windows.layouts import FixedFileInfo  # noqa: PLC0415

    with contextlib.suppress(OSError, AttributeError):
        library = load("version.dll")
        size = library.GetFileVersionInfoSizeW(ctypes.c_wchar_p(path), None)
        data = ctypes.create_string_buffer(size or 1)
        if not size or not library.GetFileVersionInfoW(ctypes.c_wchar_p(path), 0, size, data):
            return None
        library.VerQueryValueW.argtypes = [ctypes.c_void_p, ctypes.c_wchar_p, ctypes.c_void_p, ctypes.c_void_p]
        where, length = ctypes.c_void_p(), ctypes.c_uint32()
        if not library.VerQueryValueW(data, "\\", ctypes.byref(where), ctypes.byref(length)) or not where.value:
            return None
        info = FixedFileInfo.from_address(where.value)
        high, low = int(info.file_version_high), int(info.file_version_low)
        return f"{high >> 16}.{high & 0xFFFF}.{low >> 16}.{low & 0xFFFF}"
    return None
