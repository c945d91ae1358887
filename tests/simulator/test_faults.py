"""What goes wrong on the way, in process; and what the client makes of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from support.dialling import NUMBER

from tenios_ext import CallbackStatus, OutcomeUnknownError, RejectedError, StatusUnavailableError
from tenios_ext.simulator import ACCESS_KEY, CALLBACK_CONFIG_ID, MAGIC_NUMBERS, Simulator, faults

if TYPE_CHECKING:
    from tenios_ext.simulator.faults import Fault, Operation

OTHER = "+498999998001"
LOST = [
    faults.Drop(),
    faults.Reset(),
    faults.Delay(61),
    faults.Malformed(),
    faults.Truncated(),
    faults.HttpError(502, accepted=True),
    faults.HttpError(520, accepted=True),
]


def outcome(simulator: Simulator, mode: str, number: str = NUMBER) -> str | None:
    """Dial once and follow to the end; say whose leg failed."""
    if mode == "sync":
        with simulator.client() as tenios:
            return tenios.start_callback(number).wait().failed_party

    async def run() -> str | None:
        async with simulator.async_client() as tenios:
            return (await (await tenios.start_callback(number)).wait()).failed_party

    return asyncio.run(run())


def statuses(simulator: Simulator, *, number: str = NUMBER, count: int = 8) -> list[str]:
    """What is answered when a callback is asked about each two seconds, and what fails."""
    seen = []
    body = {"access_key": ACCESS_KEY, "callback_config_id": CALLBACK_CONFIG_ID, "callback_number": number, "delay": 0}
    with httpx.Client(transport=simulator.transport, base_url="http://localhost") as http:
        callback_id = http.post("/callback/init", json=body).json()["id"]
        for _ in range(count):
            try:
                answer = http.post("/callback/status", json={"access_key": ACCESS_KEY, "id": callback_id}, timeout=5)
                seen.append(answer.json()["status"] if answer.is_success else str(answer.status_code))
            except (httpx.TransportError, ValueError) as error:
                seen.append(type(error).__name__)
            simulator.clock.sleep(2)
    return seen


TRUE = ["REQUESTED", "CALLING_A", "CALLING_A", "CALLING_B", "CALLING_B", "CONNECTED", "CONNECTED", "CONNECTED"]


def test_nothing_goes_wrong_by_itself() -> None:
    """The truth, for comparison."""
    assert statuses(Simulator()) == TRUE


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("fault", LOST, ids=repr)
def test_dial_whose_answer_is_lost(mode: str, fault: Fault) -> None:
    """The client cannot know, the telephone rings, and the next dial is well."""
    simulator = Simulator()
    simulator.inject(fault, on="init")
    with pytest.raises(OutcomeUnknownError):
        outcome(simulator, mode)
    assert simulator.dialled == [NUMBER]
    assert outcome(simulator, mode) is None
    assert simulator.asked[0].fault is fault


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_dial_that_is_refused_for_now(mode: str) -> None:
    """429 rings no telephone, and says when to come back."""
    simulator = Simulator()
    simulator.inject(faults.HttpError(429, retry_after=7), on="init")
    with pytest.raises(RejectedError) as caught:
        outcome(simulator, mode)
    assert caught.value.retry_after == 7
    assert simulator.dialled == []


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("fault", [*LOST, faults.HttpError(500), faults.HttpError(429, retry_after=3)], ids=repr)
def test_question_that_fails_is_no_news(mode: str, fault: Fault) -> None:
    """The callback is followed to its end in spite of each fault of a question."""
    simulator = Simulator()
    simulator.inject(fault, nth=2, times=2)
    assert outcome(simulator, mode) is None
    assert sum(asked.fault is fault for asked in simulator.asked) == 2


@pytest.mark.parametrize(
    ("fault", "shown"),
    [
        (faults.Drop(), "RemoteProtocolError"),
        (faults.Reset(), "ReadError"),
        (faults.Delay(6), "ReadTimeout"),
        (faults.HttpError(503), "503"),
        (faults.Malformed(), "JSONDecodeError"),
        (faults.Truncated(), "JSONDecodeError"),
        (faults.UnknownStatus("PAUSED"), "PAUSED"),
        (faults.Jump(), "CONNECTED"),
        (faults.Lag(), "ACCEPTED"),
    ],
    ids=repr,
)
def test_fault_befalls_the_chosen_question(fault: Fault, shown: str) -> None:
    """Only the second question about each callback, and only about this number's."""
    simulator = Simulator()
    simulator.inject(fault, nth=2, number="+49 221 4710-123")
    late = ["CONNECTED", "CONNECTED"] if isinstance(fault, faults.Delay) else TRUE[2:4]
    for _ in range(2):
        assert statuses(simulator, count=4) == ["REQUESTED", shown, *late]
    assert statuses(simulator, number=OTHER) == TRUE


def test_short_delay_is_waited_for() -> None:
    """An answer that comes late, but in time, is an answer."""
    simulator = Simulator()
    simulator.inject(faults.Delay(4))
    assert statuses(simulator, count=2) == ["REQUESTED", "CALLING_B"]


def test_jump_and_lag_never_leave_the_course() -> None:
    """Nobody is told of an end that has not come, nor of a status before the first."""
    simulator = Simulator()
    simulator.inject(faults.Jump(), times=None)
    assert "DISCONNECTED" not in statuses(simulator)
    simulator.clear_faults()
    simulator.inject(faults.Lag(), times=None)
    assert statuses(simulator)[:2] == ["REQUESTED", "ACCEPTED"]
    simulator.clock.sleep(1000)
    simulator.clear_faults()
    simulator.inject(faults.Jump(), times=None)
    with simulator.client() as tenios:
        assert tenios.callback(10).status() is CallbackStatus.DISCONNECTED


def test_probability_is_repeatable() -> None:
    """The same seed gives the same faults, about as many as were asked for."""

    def failures(seed: int) -> list[bool]:
        simulator = Simulator(seed=seed)
        simulator.inject(faults.HttpError(503), times=None, probability=0.25)
        return [status == "503" for status in statuses(simulator, count=400)]

    assert failures(1) == failures(1)
    assert failures(1) != failures(2)
    assert 60 < sum(failures(1)) < 140


def test_reset_begins_with_the_seed() -> None:
    """After a reset the same faults come in the same places."""
    simulator = Simulator(seed=1)

    def failures() -> list[str]:
        simulator.inject(faults.HttpError(503), times=None, probability=0.5)
        return statuses(simulator, count=40)

    first = failures()
    assert "503" in first
    simulator.reset()
    assert failures() == first


def test_clearing_faults_leaves_magic_numbers_where_they_are() -> None:
    """A magic number's fault that has passed does not come again for the same callback."""
    simulator = Simulator()
    simulator.inject(faults.UnknownStatus(), times=None)
    with simulator.client() as tenios:
        callback = tenios.start_callback("+49 30 23125 707")  # 503 twice
        for _ in range(3):
            callback.status()
        simulator.clear_faults()
        before = len(simulator.asked)
        callback.status()
    assert len(simulator.asked) == before + 1
    assert simulator.asked[-1].fault is None


def test_two_equal_faults_count_apart() -> None:
    """Whoever injects the same fault again, later, gets it again."""
    simulator = Simulator()
    for _ in range(2):
        simulator.inject(faults.HttpError(503))
        assert statuses(simulator, count=2)[0] == "503"


def test_refused_request_meets_no_fault() -> None:
    """A fault waits for a request that the exchange would take."""
    simulator = Simulator()
    simulator.inject(faults.Drop(), on="init")
    assert simulator.answer("POST", "/callback/init", b"{}").status == 400
    with pytest.raises(OutcomeUnknownError):
        outcome(simulator, "sync")


@pytest.mark.parametrize(
    "make",
    [
        lambda: faults.HttpError(200),
        lambda: faults.HttpError(status=True),
        lambda: faults.HttpError(503, retry_after=-1),
        lambda: faults.Delay(-1),
        lambda: faults.Delay(float("inf")),
        lambda: faults.HttpError(502, accepted="no"),  # type: ignore[arg-type] # the mistake
        lambda: faults.UnknownStatus(""),
        lambda: faults.UnknownStatus("\ud800"),
        lambda: faults.UnknownStatus("CONNECTED"),
        lambda: Simulator().inject(faults.Drop(), nth=0),
        lambda: Simulator().inject(faults.Drop(), times=0),
        lambda: Simulator().inject(faults.Drop(), probability=-0.5),
        lambda: Simulator().inject(faults.Drop(), probability=1.5),
        lambda: Simulator().inject(faults.Drop(), on="hang_up"),  # type: ignore[arg-type] # the mistake
        lambda: Simulator().inject(faults.Lag(), on="init"),
        lambda: Simulator().inject(faults.Drop(), number="0221 4710123"),
        lambda: Simulator().inject(faults.Drop),  # type: ignore[arg-type] # the mistake
        lambda: Simulator().inject("drop"),  # type: ignore[arg-type] # the mistake
    ],
)
def test_impossible_faults_are_refused(make: Any) -> None:
    """A fault that could never happen is a mistake in the test."""
    with pytest.raises(ValueError, match=r"^['\w].*[.)]$"):
        make()


@pytest.mark.parametrize("magic", MAGIC_NUMBERS.values(), ids=lambda magic: magic.meaning)
def test_magic_number_does_what_it_says(magic: Any) -> None:
    """The journey, and the fault at its place, are those of the number's own line."""
    simulator = Simulator()
    place: Operation | None = magic.faults[0].on if magic.faults else None
    with simulator.client() as tenios:
        if place == "init":
            expected = RejectedError if "429" in magic.meaning else OutcomeUnknownError
            with pytest.raises(expected):
                tenios.start_callback(magic.shown)
            started = "though" in magic.meaning or not magic.meaning.partition("dial: ")[2][0].isdigit()
            assert simulator.dialled == ([magic.number] if started else [])
            return
        callback = tenios.start_callback(magic.shown)
        if "by hand" in magic.meaning:
            simulator.clock.sleep(100_000)
            assert callback.status() is CallbackStatus.CALLING_A
        elif "never" in magic.meaning:
            with pytest.raises(StatusUnavailableError):
                callback.status()
        else:
            failed = next((party for party in ("agent", "customer") if magic.meaning.startswith(party)), None)
            assert callback.wait().failed_party == failed
            assert any(asked.fault for asked in simulator.asked) == bool(magic.faults)


def test_magic_numbers_belong_to_nobody() -> None:
    """All are from a range that is kept free for films and books, and each is written once."""
    assert all(number.startswith("+493023125") and len(number) == 13 for number in MAGIC_NUMBERS)
    assert len({magic.meaning for magic in MAGIC_NUMBERS.values()}) == len(MAGIC_NUMBERS)
