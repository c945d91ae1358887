"""Numbers with a fixed scenario or fault."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tenios_ext import (
    CallbackStatus,
    OutcomeUnknownError,
    RejectedError,
    StatusUnavailableError,
    TeniosError,
)
from tenios_simulator import MAGIC_NUMBERS, MagicNumber, Simulator

if TYPE_CHECKING:
    from collections.abc import Iterable

PREFIX = "+493023125"
FAILED_PARTIES = {"100": None, **dict.fromkeys(["101", "102", "103"], "agent")}
FAILED_PARTIES |= dict.fromkeys(["201", "202", "203"], "customer")
# The error of an init request, and whether the callback was started.
INIT_ERRORS: dict[str, tuple[type[TeniosError], bool]] = {
    "429": (RejectedError, False),
    **dict.fromkeys(["500", "503"], (OutcomeUnknownError, False)),
    **dict.fromkeys(["502", "520", "601", "602", "603", "604", "605"], (OutcomeUnknownError, True)),
}
STATUS_FAULTS = [str(digits) for digits in range(701, 711)]
MANUAL, ALWAYS_UNAVAILABLE = "300", "711"


def magic(digits: str) -> MagicNumber:
    return MAGIC_NUMBERS[PREFIX + digits]


def named(all_digits: Iterable[str]) -> list[object]:
    return [pytest.param(digits, id=magic(digits).description) for digits in all_digits]


def test_each_magic_number_has_a_test() -> None:
    tested = [*FAILED_PARTIES, *INIT_ERRORS, *STATUS_FAULTS, MANUAL, ALWAYS_UNAVAILABLE]
    assert sorted(MAGIC_NUMBERS) == sorted(PREFIX + digits for digits in tested)


def test_magic_numbers_are_from_the_reserved_range_and_have_descriptions_of_their_own() -> None:
    assert all(number.startswith(PREFIX) and len(number) == 13 for number in MAGIC_NUMBERS)
    assert all(each.number == number for number, each in MAGIC_NUMBERS.items())
    assert magic("100").display == "+49 30 23125 100"
    assert len({each.description for each in MAGIC_NUMBERS.values()}) == len(MAGIC_NUMBERS)


@pytest.mark.parametrize("digits", named(FAILED_PARTIES))
def test_magic_number_of_a_scenario_has_its_outcome(digits: str) -> None:
    simulator = Simulator()
    with simulator.client() as tenios:
        outcome = tenios.start_callback(magic(digits).display).wait()
    expected = FAILED_PARTIES[digits]
    assert outcome.failed_party == expected
    assert magic(digits).description.startswith(expected or "both answer")
    assert not any(request.fault for request in simulator.requests)


@pytest.mark.parametrize("digits", named(INIT_ERRORS))
def test_magic_number_of_an_init_fault_raises_its_error(digits: str) -> None:
    simulator = Simulator()
    expected, is_started = INIT_ERRORS[digits]
    with simulator.client() as tenios:
        for _ in range(2):
            with pytest.raises(expected):
                tenios.start_callback(magic(digits).display)
    assert simulator.dialled == [magic(digits).number] * 2 * is_started
    [injection] = magic(digits).faults
    assert [request.fault for request in simulator.requests] == [injection.fault] * 2


@pytest.mark.parametrize("digits", named(STATUS_FAULTS))
def test_magic_number_of_a_status_fault_has_it_at_its_place_and_connects(digits: str) -> None:
    simulator = Simulator()
    with simulator.client() as tenios:
        assert tenios.start_callback(magic(digits).display).wait().connected
    [injection] = magic(digits).faults
    assert injection.times is not None
    found = [request.fault for request in simulator.requests if request.operation == "status"]
    first = injection.nth - 1
    last = first + injection.times
    assert found[first:last] == [injection.fault] * injection.times
    assert not any([*found[:first], *found[last:]])


def test_manual_magic_number_rings_until_an_action() -> None:
    simulator = Simulator()
    with simulator.client() as tenios:
        callback = tenios.start_callback(magic(MANUAL).display)
        simulator.clock.sleep(100_000)
        assert callback.status() is CallbackStatus.CALLING_A


def test_magic_number_whose_status_requests_all_fail() -> None:
    simulator = Simulator()
    with simulator.client() as tenios:
        callback = tenios.start_callback(magic(ALWAYS_UNAVAILABLE).display)
        for _ in range(3):
            with pytest.raises(StatusUnavailableError):
                callback.status()
            simulator.clock.sleep(100_000)
