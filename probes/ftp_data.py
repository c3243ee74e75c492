"""Ask an FTP server where its second connection would go, without a login, and try that way (RFC 959, RFC 2428)."""

from __future__ import annotations

import msgspec

from probes.base import endpoint_probe
from probes.failure import Failure
from probes.system.dial import syns_in
from probes.system.late import body_of


class FtpDataRequest(msgspec.Struct, frozen=True):
    """``wait_s`` is how long the greeting, each answer and the second connection are waited for, seconds."""

    address: str
    port: int
    wait_s: float = 2.0


class DataWay(msgspec.Struct, frozen=True):
    """A try at the second connection: to ``address`` and ``port``, and what came of it.

    ``word`` is the command whose answer gave them, PASV or EPSV.
    """

    address: str
    port: int
    connected: bool
    failure: Failure | None = None
    errno: str | None = None
    word: str = "PASV"


class FtpDataResult(msgspec.Struct, frozen=True):
    """``greeting`` and ``reply`` are the codes of the server's answers, to nothing and to the last of EPSV and PASV.

    ``reply`` 530 says that it tells only after a login, ``None`` that no answer came. ``announced`` is the address of
    a PASV reply (an EPSV reply has a port alone), ``port`` the one that was given first. ``ways`` are the tries, in the
    order of the words: at the announced address, and where that is another than the server's own, at this one as well.
    """

    address: str
    greeting: int | None = None
    reply: int | None = None
    announced: str | None = None
    port: int | None = None
    ways: tuple[DataWay, ...] = ()


PROBE = endpoint_probe(
    name="ftp-data",
    request=FtpDataRequest,
    result=FtpDataResult,
    observe=body_of(__name__),
    deadline_s=16.0,
    # the first connection, three words, two tries at a second one after PASV, one after EPSV
    most_packets=lambda request: 4 * syns_in(request.wait_s) + 3,
)
