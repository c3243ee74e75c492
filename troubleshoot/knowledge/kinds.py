"""The words that a field of the catalogue chooses from."""

from __future__ import annotations

from typing import Literal

Kind = Literal["network", "name-service", "local-resource", "api-misuse", "no-network-meaning"]
#: What a code is about, as far as checks and rules ask: ``bind-port`` a port of this machine is to be bound, and
#: ``bind-address`` an address; ``permission`` access is refused; ``outgoing-port`` no port is left to connect from;
#: ``descriptors`` and ``memory`` are used up; ``message-size`` a datagram is too long; ``established`` a connection
#: that had been made has ended, ``stall`` one may wait for long packets that were lost, ``now-and-then`` some
#: connections meet it where one of several ways is bad; ``family`` what socket() was asked for, ``subsystem`` the
#: protocol stack, ``startup`` and ``provider`` the start of Winsock, ``not-a-socket`` descriptors that are none.
#: ``connection`` the life of a connection, which may have ended or never begun; ``state`` something that goes on or was
#: cancelled, and no fault; ``bind`` bind() may bring it, to an address of this machine; ``wait`` that
#: something took longer than the program would wait for it.
About = Literal[
    "bind-port", "bind-address", "permission", "outgoing-port", "descriptors", "memory", "message-size", "established",
    "stall", "now-and-then", "family", "subsystem", "startup", "provider", "not-a-socket", "connection", "state",
    "bind", "wait", "service-name", "silence",
]  # fmt: skip
#: Sockets that a program holds: of TCP (``stream``), of another protocol (``no-stream``), of UDP.
Held = Literal["any", "stream", "no-stream", "udp"]
Scope = Literal["this-machine", "name-service", "local-network", "path", "remote-host", "application"]
#: Who is suggested to mend a fault; the labels ``ui.owner-…`` say what each needs.
Owner = Literal["application", "server", "network", "dns", "provider", "security"]
Transport = Literal["tcp", "udp"]
System = Literal["linux", "macos", "windows"]
Language = Literal["en", "ko"]
#: Who says a sentence: Windows in English or another language, every POSIX system (``posix``), one of them, libraries
#: on all systems (``any``). ``vague`` ones are said of other things, too, and count beside words of the network only.
Sayer = Literal["windows", "ko", "de", "fr", "es", "zh", "ja", "posix", "linux", "macos", "any", "vague"]
#: How surely a text means a code: it names the error (``said``); as a rule it means this one (``meant``); it fits
#: several, and none is taken for it alone (``open``). ``surely`` overrules what else is said in the text.
Sureness = Literal["surely", "said", "meant", "open"]
#: Who ended a connection that had come about: the caller, whom its certificate did not suit, or the service.
Ender = Literal["certificate", "service"]
