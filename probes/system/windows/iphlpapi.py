"""The calls of ``iphlpapi.dll``: which of them the system lacks, and the tables that they allocate.

A call may be missing in three ways, which are met in this order: the library does not export it (``AttributeError``
of ctypes); it is exported and answers that it is not supported (50), not implemented (120) or no function (1); it does
not know the parameters that it documents (87). Each is :class:`Lacking`, for which the next best call is asked:
nothing that a system lacks is taken for an answer. Sources: Microsoft: System Error Codes, GetIpForwardTable2,
FreeMibTable, GetAdaptersAddresses.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import Any, Final, TypeVar

from probes.system.windows.layouts import AdapterAddresses
from probes.system.windows.winsock import load

AF_UNSPEC: Final = 0
AF_INET: Final = 2
AF_INET6: Final = 23
#: The families of Winsock by the version of IP.
FAMILY: Final = {4: AF_INET, 6: AF_INET6}
ERROR_NOT_FOUND: Final = 1168
#: ERROR_INVALID_FUNCTION, ERROR_NOT_SUPPORTED, ERROR_CALL_NOT_IMPLEMENTED, ERROR_INVALID_PARAMETER.
_LACKING: Final = frozenset({1, 50, 120, 87})
_ERROR_BUFFER_OVERFLOW: Final = 111
#: Rows of a table that are looked at; the rest is left out.
_MOST: Final = 4096

Row = TypeVar("Row", bound=ctypes.Structure)


class Lacking(Exception):  # noqa: N818 - an outcome, not a failure
    """The system has no such call."""


def ask(name: str, *arguments: Any) -> int:
    """Call ``name`` and return its error number, 0 for none. Raises :class:`Lacking`."""
    try:
        call = getattr(load("iphlpapi.dll"), name)
    except (AttributeError, OSError):
        raise Lacking(name) from None
    number = int(call(*arguments)) & 0xFFFFFFFF
    if number in _LACKING:
        raise Lacking(name)
    return number


def table(name: str, row: type[Row], *arguments: Any) -> list[Row]:
    """Return the rows of a table that the call allocates. Raises :class:`Lacking`, ``OSError`` where it fails."""
    where = ctypes.c_void_p()
    number = ask(name, *arguments, ctypes.byref(where))
    if number == ERROR_NOT_FOUND:
        return []
    if number or not where.value:
        raise OSError(number, name)
    try:
        count = min(_MOST, ctypes.c_uint32.from_address(where.value).value)
        size = ctypes.sizeof(row)
        first = where.value + 8  # the rows hold numbers of eight bytes
        return [row.from_buffer_copy(ctypes.string_at(first + size * number, size)) for number in range(count)]
    finally:
        load("iphlpapi.dll").FreeMibTable(where)


def adapters(flags: int) -> Iterator[AdapterAddresses]:
    """Yield the network adapters; what they point to is there until the next one is asked for.

    ``flags`` are those of GetAdaptersAddresses. Raises :class:`Lacking`, ``OSError`` where it fails.
    """
    size = ctypes.c_uint32(16384)
    number = _ERROR_BUFFER_OVERFLOW
    for _ in range(3):  # adapters may come between two calls
        buffer = ctypes.create_string_buffer(size.value)
        number = ask("GetAdaptersAddresses", AF_UNSPEC, flags, None, buffer, ctypes.byref(size))
        if number != _ERROR_BUFFER_OVERFLOW:
            break
    if number:
        raise OSError(number, "GetAdaptersAddresses")
    where = ctypes.addressof(buffer)
    while where:
        adapter = AdapterAddresses.from_address(where)
        yield adapter
        where = adapter.next
