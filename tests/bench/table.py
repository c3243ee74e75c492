"""What the benchmarks share: medians of ratios, tables, and the page that keeps them."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path

PAGE = Path(__file__).with_name("README.md")


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the lower quartile, the median and the upper quartile."""
    if len(values) < 2:
        return (values[0],) * 3
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table whose columns line up when it is read as plain text."""
    lines = [list(head), *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    lines.insert(1, ["-" * width for width in widths])
    return "".join("| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |\n" for line in lines)


def machine() -> str:
    """Return what a reader needs to know about where this was measured."""
    system = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    kernel = ".".join(platform.release().split(".")[:2])
    return f"{system}, kernel {kernel}, Python {platform.python_version()}, {os.cpu_count()} cores"


def write(section: str, text: str) -> None:
    """Replace what stands between the marks of ``section`` in README.md."""
    page = PAGE.read_text(encoding="utf-8")
    start, end = f"<!-- {section} -->\n", f"<!-- /{section} -->\n"
    before, _, rest = page.partition(start)
    _, mark, after = rest.partition(end)
    if not mark:
        raise SystemExit(f"{PAGE} lacks the marks {start.strip()} … {end.strip()}")
    PAGE.write_text(f"{before}{start}\n{text}\n{end}{after}", encoding="utf-8")
