"""What the numbers of socket errors mean, on every system that reports are made on."""

from __future__ import annotations

import csv
import errno
from pathlib import Path

import pytest

from probes.failure import Failure, classify, errno_name, number_of
from probes.system.windows.errors import WIN32, WINSOCK

DATA = Path(__file__).parents[1] / "data/winsock-codes.csv"


class Win32Error(OSError):
    """An exception of Windows, which alone has the attribute."""

    def __init__(self, number: int, winerror: int | None) -> None:
        super().__init__(number, "")
        self.winerror = winerror


class Win32RefusedError(Win32Error, ConnectionRefusedError):
    pass


def test_winsock_numbers_have_the_names_of_its_headers() -> None:
    with DATA.open(encoding="utf-8") as file:
        of_headers = {int(row["value"]): row["name"] for row in csv.DictReader(file)}
    for number, name in WINSOCK.items():
        assert of_headers[number] == f"WSA{name}"
    errors = {number for number, name in of_headers.items() if name.startswith("WSAE") and 10000 < number <= 10071}
    assert errors == set(WINSOCK)


def test_no_number_of_this_system_is_winsocks() -> None:
    assert not set(WINSOCK) & {number for number, name in errno.errorcode.items() if not name.startswith("WSA")}


@pytest.mark.parametrize(
    ("number", "name", "failure"),
    [
        (10061, "ECONNREFUSED", Failure.REFUSED),
        (10013, "EACCES", Failure.ACCESS_DENIED),
        (10022, "EINVAL", Failure.INVALID),
        (10048, "EADDRINUSE", Failure.ADDRESS_IN_USE),
        (10035, "EWOULDBLOCK", Failure.OTHER),
        (errno.EACCES, "EACCES", Failure.ACCESS_DENIED),
        (errno.ECONNREFUSED, "ECONNREFUSED", Failure.REFUSED),
        (4711, "4711", Failure.OTHER),
    ],
)
def test_one_word_for_both_numbers(number: int, name: str, failure: Failure) -> None:
    assert errno_name(number) == name
    assert classify(number) is failure


@pytest.mark.parametrize(
    "error",
    [
        Win32RefusedError(10061, 10061),  # a plain call
        Win32Error(10061, None),  # an event loop that selects
        Win32RefusedError(errno.EINVAL, 1225),  # the proactor
        ConnectionRefusedError(errno.ECONNREFUSED, ""),  # any other system
    ],
)
def test_every_shape_of_a_refusal_is_one(error: OSError) -> None:
    assert classify(number_of(error)) is Failure.REFUSED
    assert errno_name(number_of(error)) == "ECONNREFUSED"


def test_other_errors_of_overlapped_calls() -> None:
    assert classify(number_of(Win32Error(errno.EINVAL, 1232))) is Failure.HOST_UNREACHABLE
    assert classify(number_of(Win32Error(errno.EINVAL, 1231))) is Failure.NETWORK_UNREACHABLE
    assert classify(number_of(Win32Error(errno.EINVAL, 64))) is Failure.RESET
    assert classify(number_of(Win32Error(errno.EACCES, 10013))) is Failure.ACCESS_DENIED
    assert number_of(Win32Error(errno.ENOENT, 2)) == errno.ENOENT
    assert not any(number in WINSOCK for number in WIN32)


def test_our_own_patience_has_no_number() -> None:
    assert number_of(TimeoutError()) == 0
