"""Where the catalogue does not load, one test says which file it is, and the others are left out.

At the end of a run stands how many records observations were taken out of, and how often they were judged again.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import loading

#: What says which file it is.
_TELLS = Path(__file__).with_name("test_catalogue_loads.py")


def pytest_configure(config: pytest.Config) -> None:
    if loading.is_broken():
        config.args[:] = [str(_TELLS)]


def pytest_report_header() -> str | None:
    return f"the catalogue does not load: only {_TELLS.name} is run" if loading.is_broken() else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    ended = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    counted = [value for one in ended for name, value in one.user_properties if name == "knock-outs"]
    if counted:
        terminalreporter.write_line(f"knock-outs: {len(counted)} records, judged again {sum(map(int, counted))} times")
