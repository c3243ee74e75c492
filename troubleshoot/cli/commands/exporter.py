"""``wsadiag exporter``: probes over HTTP for Prometheus, of the targets that are allowed and no others."""

from __future__ import annotations

import asyncio
import socket
import sys

from troubleshoot.cli.commands import confined, loaded
from troubleshoot.knowledge.text import Refusal, fill

TYPE_CHECKING = False
if TYPE_CHECKING:
    from troubleshoot.cli.session import Session
    from troubleshoot.exporter.app import Exporter

#: No request's head is longer than this, bytes, and an idle connection is closed after so many seconds.
_LONGEST = 16 << 10
_IDLE_S = 75
_BACKLOG = 128


def run(session: Session, *, listen: str, allow: list[str], timeout: str, at_once: str, most_targets: str) -> int:
    """Serve until a signal ends it."""
    if not allow:
        raise Refusal("usage.exporter-none")
    from troubleshoot.cli.commands.check import seconds, whole  # noqa: PLC0415

    most_s = seconds("--timeout", timeout, least=0.5)
    places, most = whole("--at-once", at_once, 256, least=1), whole("--most-targets", most_targets, 10_000)
    try:
        from troubleshoot.exporter.app import Exporter  # noqa: PLC0415 - an extra, and heavy
    except ImportError as error:
        raise Refusal("usage.exporter-extra", reason=str(error)) from None
    from troubleshoot.exporter.allowed import Allowed, parse_entry  # noqa: PLC0415

    allowed = Allowed(tuple(map(parse_entry, allow)), most)
    with _listening(listen) as listener:
        host, port = listener.getsockname()[:2]
        shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        sys.stdout.write(f"{fill(session.wording['usage.exporter-serves'], {'url': f'http://{shown}/'})}\n")
        sys.stdout.flush()
        loaded()
        confined(for_probes=True)
        app = Exporter(allowed, session.catalogue, session.wording, most_s=most_s, at_once=places)
        asyncio.run(_serve(app, listener, places))
    return 0


def _listening(place: str) -> socket.socket:
    host, colon, port = place.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65_535:
        raise Refusal("usage.option-number", option="--listen", value=place, fits="127.0.0.1:9561, [::]:9561")
    bare = host.strip("[]")
    family = socket.AF_INET6 if ":" in bare else socket.AF_INET
    try:
        return socket.create_server((bare or "127.0.0.1", int(port)), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise Refusal("usage.exporter-listen", place=place, reason=error.strerror or str(error)) from None


async def _serve(app: Exporter, listener: socket.socket, places: int) -> None:
    import uvicorn  # noqa: PLC0415

    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=_LONGEST,
        timeout_keep_alive=_IDLE_S,
        timeout_graceful_shutdown=1,
        limit_concurrency=places * 16,
    )
    await uvicorn.Server(config).serve(sockets=[listener])
