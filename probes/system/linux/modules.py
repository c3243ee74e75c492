"""What stands between the kernel and a module that a socket would need.

Sources: modprobe.d(5), depmod(8), proc(5).
"""

from __future__ import annotations

import os

from probes.base import Context

#: Where modprobe reads its configuration.
_FOLDERS = ("/etc/modprobe.d", "/run/modprobe.d", "/usr/lib/modprobe.d", "/lib/modprobe.d")
_MAX_FILES = 200
#: ``install MODULE`` with one of these keeps the module from being loaded.
_NOTHING = ("/bin/true", "/bin/false", "/usr/bin/true", "/usr/bin/false", "true", "false")


def blocked_by(context: Context, module: str) -> str | None:
    """Return file and line of the setting that keeps ``module`` from being loaded on demand, ``None`` without one."""
    for folder in _FOLDERS:
        try:
            with os.scandir(context.root / folder.lstrip("/")) as entries:
                names = sorted(e.name for e in entries if e.name.endswith(".conf"))
        except OSError:
            continue
        for name in names[:_MAX_FILES]:
            try:
                lines = context.read_text(f"{folder}/{name}").splitlines()
            except OSError:
                continue
            for number, line in enumerate(lines, 1):
                if _blocks(line, module):
                    return f"{folder}/{name}:{number}"
    return None


def _blocks(line: str, module: str) -> bool:
    words = line.split()
    if len(words) < 2 or words[1].replace("-", "_") != module:
        return False
    return words[0] == "blacklist" or (words[0] == "install" and words[2:3] != [] and words[2] in _NOTHING)


def present(context: Context, module: str) -> bool | None:
    """Return whether the running kernel has ``module``, built in or as a file; ``None`` where no list tells."""
    if (context.root / "sys/module" / module).exists():
        return True
    listed = None
    for name in ("modules.builtin", "modules.dep"):
        try:
            release = context.read_text("/proc/sys/kernel/osrelease").strip()
            text = context.read_text(f"/lib/modules/{release}/{name}")
        except OSError:
            continue
        listed = False
        if any(line.partition(":")[0].partition(".ko")[0].endswith(f"/{module}") for line in text.splitlines()):
            return True
    return listed


def filtered(context: Context, process: int | str = "self") -> bool | None:
    """Return whether a seccomp filter limits the system calls of a process, ``None`` where that cannot be seen."""
    try:
        status = context.read_text(f"/proc/{process}/status")
    except OSError:
        return None
    for line in status.splitlines():
        if line.startswith("Seccomp:"):
            return line.split()[1:] == ["2"]
    return None
