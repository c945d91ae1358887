"""Faults: the response, and the effect on a client."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import httpx
import pytest
from support.clients import NUMBER
from support.simulator_api import INIT, INIT_BODY, STATUS, poll, post

from tenios_ext import CallbackStatus, OutcomeUnknownError, RejectedError
from tenios_simulator import ACCESS_KEY, BASE_URL, Simulator, faults

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenios_simulator import Fault

OTHER = "+498999998001"
# Faults after which a client cannot tell whether its request was accepted.
LOST = [
    faults.Drop(),
    faults.Reset(),
    faults.Delay(61),
    faults.Malformed(),
    faults.Truncated(),
    faults.HttpError(502, accepted=True),
    faults.HttpError(520, accepted=True),
]


def failed_party(simulator: Simulator, mode: str, number: str = NUMBER) -> str | None:
    """Call a number, wait for the end and return the party that could not be reached."""
    if mode == "sync":
        with simulator.client() as tenios:
            return tenios.start_callback(number).wait().failed_party

    async def run() -> str | None:
        async with simulator.async_client() as tenios:
            return (await (await tenios.start_callback(number)).wait()).failed_party

    return asyncio.run(run())


def poll_results(simulator: Simulator, *, number: str = NUMBER, count: int = 8) -> list[str]:
    """Poll a new callback every two seconds, and return each status, HTTP error or exception."""
    results = []
    with httpx.Client(transport=simulator.transport, base_url=BASE_URL) as http:
        callback_id = http.post(
            INIT, json={**INIT_BODY, "callback_number": number, "delay": 0}
        ).json()["id"]
        for _ in range(count):
            try:
                response = http.post(
                    STATUS, json={"access_key": ACCESS_KEY, "id": callback_id}, timeout=5
                )
                results.append(
                    response.json()["status"] if response.is_success else str(response.status_code)
                )
            except (httpx.TransportError, ValueError) as error:
                results.append(type(error).__name__)
            simulator.clock.sleep(2)
    return results


WITHOUT_FAULTS = [
    "REQUESTED",
    "CALLING_A",
    "CALLING_A",
    "CALLING_B",
    "CALLING_B",
    *["CONNECTED"] * 3,
]


def test_responses_are_correct_without_faults() -> None:
    assert poll_results(Simulator()) == WITHOUT_FAULTS


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("fault", LOST, ids=repr)
def test_init_fault_that_loses_the_response_starts_the_callback_once(
    mode: str, fault: Fault
) -> None:
    simulator = Simulator()
    simulator.inject(fault, on="init")
    with pytest.raises(OutcomeUnknownError):
        failed_party(simulator, mode)
    assert simulator.dialled == [NUMBER]
    assert simulator.requests[0].fault is fault
    # The fault applies once: the next callback is started without it.
    assert failed_party(simulator, mode) is None
    assert simulator.dialled == [NUMBER, NUMBER]


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_init_fault_429_starts_no_callback(mode: str) -> None:
    simulator = Simulator()
    simulator.inject(faults.HttpError(429, retry_after=7), on="init")
    with pytest.raises(RejectedError) as caught:
        failed_party(simulator, mode)
    assert caught.value.retry_after == 7
    assert simulator.dialled == []


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize(
    "fault", [*LOST, faults.HttpError(500), faults.HttpError(429, retry_after=3)], ids=repr
)
def test_client_reaches_the_outcome_despite_status_faults(mode: str, fault: Fault) -> None:
    simulator = Simulator()
    simulator.inject(fault, nth=2, times=2)
    assert failed_party(simulator, mode) is None
    assert sum(request.fault is fault for request in simulator.requests) == 2


@pytest.mark.parametrize(
    ("fault", "result"),
    [
        (faults.Drop(), "RemoteProtocolError"),
        (faults.Reset(), "ReadError"),
        (faults.Delay(6), "ReadTimeout"),
        (faults.HttpError(503), "503"),
        (faults.Malformed(), "JSONDecodeError"),
        (faults.Truncated(), "JSONDecodeError"),
        (faults.UnknownStatus("PAUSED"), "PAUSED"),
        (faults.SkippedStatus(), "CONNECTED"),
        (faults.StaleStatus(), "ACCEPTED"),
    ],
    ids=repr,
)
def test_fault_applies_only_to_the_nth_request_about_the_number(fault: Fault, result: str) -> None:
    simulator = Simulator()
    simulator.inject(fault, nth=2, number="+49 221 4710-123")
    # A client that waits for a late response also sends its next request later.
    later = ["CONNECTED", "CONNECTED"] if isinstance(fault, faults.Delay) else WITHOUT_FAULTS[2:4]
    for _ in range(2):
        assert poll_results(simulator, count=4) == ["REQUESTED", result, *later]
    assert poll_results(simulator, number=OTHER) == WITHOUT_FAULTS


def test_delay_within_the_read_timeout_only_takes_time() -> None:
    simulator = Simulator()
    simulator.inject(faults.Delay(4))
    assert poll_results(simulator, count=2) == ["REQUESTED", "CALLING_B"]


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_delay_beyond_the_read_timeout_takes_as_long_as_the_timeout(mode: str) -> None:
    simulator = Simulator()
    start = simulator.clock.now()
    simulator.inject(faults.Delay(3600), on="init")
    with pytest.raises(OutcomeUnknownError, match="ReadTimeout"):
        failed_party(simulator, mode)
    assert simulator.clock.now() == start + 30


def test_skipped_status_never_reports_a_final_status_early() -> None:
    simulator = Simulator()
    simulator.inject(faults.SkippedStatus(), times=None)
    assert poll_results(simulator) == ["CALLING_A", *["CONNECTED"] * 7]
    simulator.clock.sleep(1000)
    with simulator.client() as tenios:
        assert tenios.callback(10).status() is CallbackStatus.DISCONNECTED


def test_stale_status_begins_with_the_first_status() -> None:
    simulator = Simulator()
    simulator.inject(faults.StaleStatus(), times=None)
    assert poll_results(simulator, count=3) == ["REQUESTED", "ACCEPTED", "ACCEPTED"]


def test_probability_is_reproducible_by_seed() -> None:
    def failures(seed: int) -> list[bool]:
        simulator = Simulator(seed=seed)
        simulator.inject(faults.HttpError(503), times=None, probability=0.25)
        return [result == "503" for result in poll_results(simulator, count=100)]

    first = failures(1)
    assert failures(1) == first
    assert failures(2) != first
    assert 15 < sum(first) < 35


def test_reset_restarts_from_the_seed() -> None:
    simulator = Simulator(seed=1)

    def results() -> list[str]:
        simulator.inject(faults.HttpError(503), times=None, probability=0.5)
        return poll_results(simulator, count=40)

    first = results()
    assert "503" in first
    simulator.reset()
    assert results() == first


def test_clear_faults_keeps_the_counts_of_magic_numbers() -> None:
    """A fault of a magic number must not apply to the same callback again."""
    simulator = Simulator()
    simulator.inject(faults.UnknownStatus(), times=None)
    with simulator.client() as tenios:
        callback = tenios.start_callback("+49 30 23125 707")  # 503 twice
        for _ in range(3):
            callback.status()
        simulator.clear_faults()
        before = len(simulator.requests)
        callback.status()
    assert len(simulator.requests) == before + 1
    assert simulator.requests[-1].fault is None
    assert len(simulator._faults._counts) == 1  # without those of removed faults


def test_equal_faults_are_counted_separately() -> None:
    simulator = Simulator()
    for _ in range(2):
        simulator.inject(faults.HttpError(503))
        assert poll_results(simulator, count=2)[0] == "503"


def test_rejected_request_uses_up_no_fault() -> None:
    simulator = Simulator()
    simulator.inject(faults.Drop(), on="init")
    assert simulator.handle_request("POST", INIT, b"{}").status == 400
    with pytest.raises(OutcomeUnknownError):
        failed_party(simulator, "sync")


def inject(fault: Any, **place: Any) -> Callable[[], object]:
    return lambda: Simulator().inject(fault, **place)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: faults.HttpError(200), "status must be a whole number from 400 to 599, got 200."),
        (lambda: faults.HttpError(600), "status must be a whole number from 400 to 599, got 600."),
        (
            lambda: faults.HttpError(status=True),
            "status must be a whole number from 400 to 599, got True.",
        ),
        (
            lambda: faults.HttpError(503, retry_after=-1),
            "retry_after must be a whole number from 0 to 2147483647, got -1.",
        ),
        (
            lambda: faults.HttpError(502, accepted=cast("bool", "no")),
            "accepted must be of type bool, got 'no'.",
        ),
        (lambda: faults.Delay(-1), "seconds must be a finite number of at least 0, got -1."),
        (
            lambda: faults.Delay(float("inf")),
            "seconds must be a finite number of at least 0, got inf.",
        ),
        (
            lambda: faults.UnknownStatus(""),
            "name must be non-empty, valid Unicode text, got ''.",
        ),
        (
            lambda: faults.UnknownStatus("\ud800"),
            r"name must be non-empty, valid Unicode text, got '\ud800'.",
        ),
        (
            lambda: faults.UnknownStatus("CONNECTED"),
            "name must be a status that is not in the contract, got 'CONNECTED'.",
        ),
        (inject(faults.Drop(), nth=0), "nth must be a whole number from 1 to 2147483647, got 0."),
        (
            inject(faults.Drop(), times=0),
            "times must be a whole number from 1 to 2147483647, got 0.",
        ),
        (
            inject(faults.Drop(), probability=-0.5),
            "probability must be a number from 0 to 1, got -0.5.",
        ),
        (
            inject(faults.Drop(), probability=1.5),
            "probability must be a number from 0 to 1, got 1.5.",
        ),
        (inject(faults.Drop(), on="hang_up"), "on must be one of 'init', 'status', got 'hang_up'."),
        (
            inject(faults.StaleStatus(), on="init"),
            (
                "StaleStatus applies to status requests only. Set `on` to 'status' instead of "
                "'init'."
            ),
        ),
        (
            inject("drop"),
            (
                "fault must be an instance of a class in tenios_simulator.faults, such as "
                "faults.Drop(), got 'drop'."
            ),
        ),
        (
            inject(faults.Drop),
            (
                "fault must be an instance of a class in tenios_simulator.faults, such as "
                f"faults.Drop(), got {faults.Drop!r}."
            ),
        ),
    ],
)
def test_impossible_fault_is_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=r"must be|applies to") as caught:
        make()
    assert str(caught.value) == message


def test_inject_refuses_a_wrong_number() -> None:
    with pytest.raises(ValueError, match="'0221 4710123' has no country code") as caught:
        Simulator().inject(faults.Drop(), number="0221 4710123")
    assert type(caught.value) is ValueError
    with pytest.raises(TypeError, match="A phone number must be a str"):
        Simulator().inject(faults.Drop(), number=cast("str", 492214710123))


def test_injections_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "_MAX_INJECTIONS", 2)
    simulator = Simulator()
    kept = [simulator.inject(faults.Drop()) for _ in range(2)]
    with pytest.raises(
        ValueError,
        match=r"2 faults are already injected\. Clear the faults or reset the simulator",
    ):
        simulator.inject(faults.Reset())
    assert simulator.injections == kept
    simulator.clear_faults()
    simulator.inject(faults.Reset())


def test_counts_of_requests_are_limited_and_those_in_use_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(faults, "_MAX_COUNTS", 10)
    simulator = Simulator()
    simulator.inject(faults.HttpError(500), on="init")
    simulator.inject(faults.HttpError(503), nth=21)
    assert post(simulator, INIT, INIT_BODY)[0] == 500
    ids = [post(simulator, INIT, INIT_BODY)[1]["id"] for _ in range(20)]
    for other in ids[1:]:
        assert poll(simulator, ids[0])[0] == 200
        assert poll(simulator, other)[0] == 200
        assert len(simulator._faults._counts) <= 10
    assert poll(simulator, ids[0])[0] == 200
    assert poll(simulator, ids[0])[0] == 503
    # The fault of the first init request no longer applies.
    assert post(simulator, INIT, INIT_BODY)[0] == 200
