"""Build wsadiag as one file: ``python docker/build_zipapp.py [wsadiag.pyz]``, for this Python and this system alone.

As for the image, nothing comes in whose hash is not in ``requirements.lock`` and ``requirements-build.lock``, the back
end that builds our own wheel included. Compiled modules cannot be imported from an archive: beside each lies a module
of the same name that has the system load it from memory, so that nothing is unpacked and nothing stays behind.
"""

from __future__ import annotations

import compileall
import importlib.machinery
import py_compile
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
import zipapp
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_MAIN = """
import sys

if sys.version_info[:2] != {version} or sys.platform != {platform!r}:
    sys.stderr.write("wsadiag: this file is for Python {written} on {platform}\\n")
    sys.exit(71)
from troubleshoot.cli.start import main

sys.exit(main())
"""
_LOADER = """
def _load():
    import importlib.machinery
    import importlib.util
    import os
    import sys

    data = __loader__.get_data(os.path.join(os.path.dirname(__file__), {file!r}))
    memory = os.memfd_create({file!r})
    with os.fdopen(memory, "wb") as written:
        written.write(data)
        written.flush()
        loader = importlib.machinery.ExtensionFileLoader(__name__, f"/proc/self/fd/{{memory}}")
        module = importlib.util.module_from_spec(importlib.util.spec_from_loader(__name__, loader))
        sys.modules[__name__] = module
        loader.exec_module(module)


_load()
"""


def main() -> int:
    """Build it and say where it lies."""
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "wsadiag.pyz").resolve()
    with tempfile.TemporaryDirectory(prefix="zipapp-") as name:
        folder = Path(name)
        _install(folder)
        app = folder / "app"
        for spare in (*app.rglob("__pycache__"), app / "bin", app / "share"):
            shutil.rmtree(spare, ignore_errors=True)
        for file in list(app.rglob("*.so")):
            module = file.name.partition(".")[0]
            file.with_name(f"{module}.py").write_text(_LOADER.format(file=file.name), encoding="ascii")
        values = {"version": sys.version_info[:2], "platform": sys.platform}
        written = f"{sys.version_info[0]}.{sys.version_info[1]}"
        (app / "__main__.py").write_text(_MAIN.format(**values, written=written), encoding="ascii")
        # Compiled code beside its source, which is not asked: an archive's times say nothing.
        unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
        compileall.compile_dir(app, quiet=1, legacy=True, invalidation_mode=unchecked, stripdir=str(app))
        zipapp.create_archive(app, target, interpreter="/usr/bin/env python3", compressed=True)
    suffix = importlib.machinery.EXTENSION_SUFFIXES[0]
    sys.stdout.write(f"{target}: {target.stat().st_size >> 10} KiB, for {suffix}, {sysconfig.get_platform()}\n")
    return 0


def _install(folder: Path) -> None:
    """Put everything below ``app``: the locked packages, and our own wheel made with the locked back end."""
    venv.create(folder / "venv", with_pip=True)
    pip = (folder / "venv/bin/python", "-m", "pip", "--quiet", "--disable-pip-version-check")
    wheels, locked = folder / "wheels", "--require-hashes"

    def run(*words: str | Path) -> None:
        subprocess.run([*pip, *words], check=True, cwd=ROOT, stdin=subprocess.DEVNULL)

    run("install", locked, "--requirement", "requirements-build.lock")
    run("wheel", locked, "--wheel-dir", wheels, "--requirement", "requirements.lock")
    run("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", wheels, ".")
    run("install", "--no-index", "--no-compile", "--target", folder / "app", *wheels.glob("*.whl"))


if __name__ == "__main__":
    sys.exit(main())
