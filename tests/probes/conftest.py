"""Labs that several files of tests use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from linklab import LinkLab
from pathlab import PathLab


@pytest.fixture(scope="module")
def made() -> Iterator[PathLab]:
    """Give one path to all tests of a module; its hosts send ICMP errors without limit."""
    with PathLab() as lab:
        lab.lift_limits()
        yield lab


@pytest.fixture
def lab(made: PathLab) -> PathLab:
    """Give the module's path without any filter, and with nobody known to anybody."""
    made.calm()
    return made


@pytest.fixture
def fresh() -> Iterator[PathLab]:
    """Give a path of its own, with the kernel's limits of ICMP errors and nothing used of them."""
    with PathLab() as lab:
        yield lab


@pytest.fixture
def link() -> Iterator[LinkLab]:
    """Give a link whose hosts know one another; the server listens on port 8080."""
    with LinkLab() as lab:
        lab.listen("server", 8080)
        lab.settle()
        yield lab
