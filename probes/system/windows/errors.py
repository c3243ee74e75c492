"""The numbers by which Windows reports what a socket call came to, in the names that POSIX has for them.

Winsock's own errors are POSIX's under a prefix, from 10000 on. Overlapped calls, which asyncio's proactor uses, end
in plain Win32 errors instead. Sources: winsock2.h, winerror.h (Windows SDK), Microsoft: Windows Sockets Error Codes.
"""

from __future__ import annotations

import errno
from typing import Final

_FROM_10035: Final = (
    "EWOULDBLOCK EINPROGRESS EALREADY ENOTSOCK EDESTADDRREQ EMSGSIZE EPROTOTYPE ENOPROTOOPT EPROTONOSUPPORT "
    "ESOCKTNOSUPPORT EOPNOTSUPP EPFNOSUPPORT EAFNOSUPPORT EADDRINUSE EADDRNOTAVAIL ENETDOWN ENETUNREACH ENETRESET "
    "ECONNABORTED ECONNRESET ENOBUFS EISCONN ENOTCONN ESHUTDOWN ETOOMANYREFS ETIMEDOUT ECONNREFUSED ELOOP "
    "ENAMETOOLONG EHOSTDOWN EHOSTUNREACH ENOTEMPTY EPROCLIM EUSERS EDQUOT ESTALE EREMOTE"
)
#: Winsock's number to the POSIX name. No errno of Linux or macOS is that large.
WINSOCK: Final[dict[int, str]] = {
    10004: "EINTR",
    10009: "EBADF",
    10013: "EACCES",
    10014: "EFAULT",
    10022: "EINVAL",
    10024: "EMFILE",
    **dict(enumerate(_FROM_10035.split(), 10035)),
}
#: Win32's number (``OSError.winerror`` of an overlapped call) to the ``errno`` that the same call gives elsewhere.
WIN32: Final[dict[int, int]] = {
    5: errno.EACCES,  # ERROR_ACCESS_DENIED
    8: errno.ENOBUFS,  # ERROR_NOT_ENOUGH_MEMORY
    64: errno.ECONNRESET,  # ERROR_NETNAME_DELETED
    87: errno.EINVAL,  # ERROR_INVALID_PARAMETER
    121: errno.ETIMEDOUT,  # ERROR_SEM_TIMEOUT
    1225: errno.ECONNREFUSED,  # ERROR_CONNECTION_REFUSED
    1231: errno.ENETUNREACH,  # ERROR_NETWORK_UNREACHABLE
    1232: errno.EHOSTUNREACH,  # ERROR_HOST_UNREACHABLE
    1234: errno.ECONNREFUSED,  # ERROR_PORT_UNREACHABLE
    1236: errno.ECONNABORTED,  # ERROR_CONNECTION_ABORTED
}
