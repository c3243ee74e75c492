"""The words that a field of the catalogue chooses from."""

from __future__ import annotations

from typing import Literal

Kind = Literal["network", "name-service", "local-resource", "api-misuse", "no-network-meaning"]
Scope = Literal["this-machine", "name-service", "local-network", "path", "remote-host", "application"]
Transport = Literal["tcp", "udp"]
System = Literal["linux", "macos", "windows"]
Language = Literal["en", "ko"]
