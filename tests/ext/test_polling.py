"""Poll intervals and limits: pure functions and :class:`PollState`, without a client."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenios_ext import (
    CallbackHandle,
    CallbackStatus,
    CallbackTimeoutError,
    StatusUnavailableError,
    default_poll_interval,
    is_final,
)
from tenios_ext._models import RANK
from tenios_ext._polling import (
    ANSWER_TIMEOUT,
    END_TIMEOUT,
    MAX_BACKOFF,
    MIN_INTERVAL,
    PollState,
    back_off,
)

START = 1_000_000_000.0
ON_HOLD = CallbackStatus("ON_HOLD")
STATUSES = st.sampled_from([*CallbackStatus, ON_HOLD, CallbackStatus("PARKED")])


def new_state(interval: float = 1.0, **settings: Any) -> PollState:
    defaults = {
        "delay": 0,
        "answer_timeout": 300.0,
        "end_timeout": 3600.0,
        "wall_time": START,
        "now": START,
    }
    settings = {**defaults, **settings}
    handle = CallbackHandle(10, delay=settings.pop("delay"), started_at=START)
    return PollState(handle, lambda *_: interval, **settings)


def failure(http_status: int | None = 503, **details: Any) -> StatusUnavailableError:
    return StatusUnavailableError("It failed.", http_status=http_status, **details)


# Intervals.


@pytest.mark.parametrize("status", [CallbackStatus.REQUESTED, CallbackStatus.ACCEPTED])
@pytest.mark.parametrize("elapsed", [0, 1, 100])
def test_default_interval_is_short_before_a_phone_rings(
    status: CallbackStatus, elapsed: float
) -> None:
    assert default_poll_interval(status, elapsed) == 1.5


@pytest.mark.parametrize("status", [CallbackStatus.CALLING_A, CallbackStatus.CALLING_B])
def test_default_interval_is_short_while_a_phone_rings_except_for_the_first(
    status: CallbackStatus,
) -> None:
    assert [default_poll_interval(status, elapsed) for elapsed in (0, 1, 3.5, 20, 60, 119)] == [
        3.5,
        2.5,
        *[1.9] * 4,
    ]


@pytest.mark.parametrize("elapsed", [0, 1, 100, 5000])
def test_default_interval_is_even_during_the_conversation(elapsed: float) -> None:
    assert default_poll_interval(CallbackStatus.CONNECTED, elapsed) == 9.5


@pytest.mark.parametrize("elapsed", [0, 1, 100, 5000])
def test_default_interval_before_the_first_status_is_none(elapsed: float) -> None:
    assert default_poll_interval(None, elapsed) == 0


def test_default_interval_of_an_unknown_status_is_short() -> None:
    assert [default_poll_interval(ON_HOLD, elapsed) for elapsed in (0, 1, 100)] == [1.9] * 3


@pytest.mark.parametrize("status", [*RANK, ON_HOLD])
def test_default_interval_of_a_status_that_lasts_long_is_that_of_a_conversation(
    status: CallbackStatus,
) -> None:
    assert [default_poll_interval(status, elapsed) for elapsed in (120, 5000)] == [9.5] * 2


@given(st.sampled_from([None, *CallbackStatus, ON_HOLD]), st.floats(0, 1e6))
def test_default_interval_is_bounded(status: CallbackStatus | None, elapsed: float) -> None:
    assert 0 <= default_poll_interval(status, elapsed) <= 9.5


def test_back_off_doubles_with_each_failure_up_to_its_limit() -> None:
    intervals = [back_off(1.0, failures=failures, retry_after=None) for failures in range(8)]
    assert intervals == [1, 2, 4, 8, 16, 30, 30, 30]
    assert back_off(1.0, failures=10**9, retry_after=None) == MAX_BACKOFF == 30


def test_back_off_of_a_short_interval_starts_at_the_minimum() -> None:
    assert [back_off(0.0, failures=n, retry_after=None) for n in range(3)] == [0.25, 0.5, 1.0]
    assert MIN_INTERVAL == 0.25


def test_back_off_never_shortens_an_interval_or_retry_after() -> None:
    assert back_off(100.0, failures=1, retry_after=None) == 100
    assert back_off(1.0, failures=1, retry_after=90.0) == 90
    assert back_off(1.0, failures=3, retry_after=5.0) == 8


@given(st.floats(0, 1e4), st.integers(0, 10_000), st.none() | st.floats(0, 1e9))
def test_back_off_is_within_its_bounds(
    interval: float, failures: int, retry_after: float | None
) -> None:
    pause = back_off(interval, failures=failures, retry_after=retry_after)
    at_least = max(interval, retry_after or 0)
    assert at_least <= pause <= max(at_least, MAX_BACKOFF)
    assert pause >= back_off(interval, failures=max(0, failures - 1), retry_after=retry_after)


@pytest.mark.parametrize(
    ("interval", "at_least"), [(5.0, 5.0), (0.0, MIN_INTERVAL), (-1.0, MIN_INTERVAL)]
)
def test_interval_is_lengthened_by_up_to_a_tenth_and_is_never_below_the_minimum(
    interval: float, at_least: float
) -> None:
    pauses = set()
    for _ in range(100):
        state = new_state(interval)
        state.record_status(CallbackStatus.CALLING_A, START)
        pauses.add(state.pause(START))
    assert min(pauses) >= at_least
    assert max(pauses) <= at_least * 1.1
    # Callbacks that were started together must not be polled together.
    assert (len(pauses) > 50) == (interval > 0)


def test_callbacks_that_are_picked_up_together_are_soon_polled_evenly() -> None:
    """After a restart, all are polled at once. Without a random part, they would stay a burst."""
    second, third = [], []
    for _ in range(200):
        state = new_state(10.0, now=START + 60, wall_time=START + 60)
        state.record_status(CallbackStatus.CONNECTED, START + 60)
        second.append(state.pause(START + 60))
        state.record_status(CallbackStatus.CONNECTED, START + 70)
        third.append(state.pause(START + 70))
    assert min(second) >= MIN_INTERVAL
    assert [
        sum(begin <= each < begin + 2.5 for each in second) > 10 for begin in (0, 2.5, 5, 7.5)
    ] == [True] * 4
    assert 10 <= min(third) <= max(third) <= 11


def test_interval_function_is_given_the_status_and_its_age() -> None:
    calls: list[tuple[CallbackStatus | None, float]] = []

    def poll_interval(status: CallbackStatus | None, elapsed: float) -> float:
        calls.append((status, elapsed))
        return 1.0

    state = PollState(
        CallbackHandle(10, started_at=START),
        poll_interval,
        answer_timeout=None,
        end_timeout=None,
        wall_time=START,
        now=START,
    )
    state.record_failure(failure(), START + 1)
    state.record_status(CallbackStatus.CALLING_A, START + 2)
    state.record_status(CallbackStatus.CALLING_A, START + 5)
    state.record_failure(failure(), START + 9)
    assert calls == [
        (None, 0),
        (CallbackStatus.CALLING_A, 0),
        (CallbackStatus.CALLING_A, 3),
        (CallbackStatus.CALLING_A, 7),
    ]


# Recorded statuses.


def test_repeated_and_earlier_statuses_are_not_changes() -> None:
    state = new_state()
    sent = [
        "CALLING_A",
        "CALLING_A",
        "REQUESTED",
        "ON_HOLD",
        "CALLING_A",
        "ON_HOLD",
        "CONNECTED",
        "CALLING_B",
    ]
    changes = [
        state.record_status(CallbackStatus(status), START + at) for at, status in enumerate(sent)
    ]
    assert changes == [True, False, False, True, False, False, True, False]
    assert [(change.status, change.observed_at) for change in state.outcome.history] == [
        ("CALLING_A", START),
        ("ON_HOLD", START + 3),
        ("CONNECTED", START + 6),
    ]


@pytest.mark.parametrize("final", ["CALL_A_FAILED", "CALL_B_FAILED", "DISCONNECTED"])
@pytest.mark.parametrize("before", [*RANK, ON_HOLD])
def test_final_status_is_a_change_after_any_other(before: CallbackStatus, final: str) -> None:
    state = new_state()
    state.record_status(before, START)
    assert state.record_status(CallbackStatus(final), START + 1)
    assert state.outcome.ended


def test_failures_in_a_row_are_counted_and_lengthen_the_pause() -> None:
    state = new_state(interval=1.0)
    pauses = []
    for failures in range(1, 6):
        state.record_failure(failure(), START)
        assert state.failures == failures
        pauses.append(state.pause(START))
    for pause, expected in zip(pauses, [2, 4, 8, 16, 30], strict=True):
        assert expected <= pause <= expected * 1.1
    state.record_status(CallbackStatus.CALLING_A, START)
    assert state.failures == 0
    assert state.pause(START) <= 1.1


@pytest.mark.parametrize("http_status", [400, 404, 405])
def test_third_refusal_in_a_row_is_raised(http_status: int) -> None:
    state = new_state()
    for _ in range(3):
        state.record_failure(failure(http_status), START)
        state.record_failure(failure(http_status), START)
        state.record_status(CallbackStatus.CALLING_A, START)
    state.record_failure(failure(http_status), START)
    state.record_failure(failure(http_status), START)
    state.record_failure(failure(503), START)  # Not a rejection, so the count starts again.
    state.record_failure(failure(http_status), START)
    state.record_failure(failure(http_status), START)
    error = failure(http_status)
    with pytest.raises(StatusUnavailableError) as raised:
        state.record_failure(error, START)
    assert raised.value is error


@pytest.mark.parametrize("http_status", [None, 302, 408, 429, 500, 503, 520])
def test_other_failures_are_never_raised(http_status: int | None) -> None:
    state = new_state()
    for _ in range(100):
        state.record_failure(failure(http_status), START)
    assert state.failures == 100


def test_refused_credentials_are_raised_at_once() -> None:
    error = failure(403, credentials_refused=True)
    with pytest.raises(StatusUnavailableError) as raised:
        new_state().record_failure(error, START)
    assert raised.value is error


def test_retry_after_forbids_polling_until_it_has_passed() -> None:
    state = new_state(answer_timeout=30.0)
    assert state.may_poll(START)
    state.record_failure(failure(429, retry_after=40.0), START)
    assert not state.may_poll(START + 39.9)
    assert state.may_poll(START + 40)
    assert state.pause(START) == 30, "it sleeps until the limit, and then does not poll"
    state.record_failure(failure(503), START + 40)
    assert state.may_poll(START + 40)


# Limits.


def test_first_poll_is_due_when_the_delay_is_over() -> None:
    state = new_state(delay=600)
    assert state.pause(START) == 600
    assert state.pause(START + 599) == 1
    assert state.pause(START + 601) == 0


@pytest.mark.parametrize(
    ("limits", "connected", "deadline"),
    [
        ({"answer_timeout": 60.0, "end_timeout": 600.0}, False, 60),
        ({"answer_timeout": 60.0, "end_timeout": 600.0}, True, 600),
        ({"answer_timeout": 900.0, "end_timeout": 600.0}, False, 600),
        ({"answer_timeout": None, "end_timeout": 600.0}, False, 600),
        ({"answer_timeout": 60.0, "end_timeout": None}, False, 60),
        ({"answer_timeout": 60.0, "end_timeout": None}, True, None),
        ({"answer_timeout": None, "end_timeout": None}, False, None),
        ({"answer_timeout": 0.0, "end_timeout": 0.0}, False, 0),
    ],
)
@pytest.mark.parametrize("delay", [0, 30])
def test_limits_begin_at_the_end_of_the_delay(
    limits: dict[str, float | None], *, connected: bool, deadline: float | None, delay: int
) -> None:
    state = new_state(interval=1e9, delay=delay, **limits)
    if connected:
        state.record_status(CallbackStatus.CONNECTED, START + delay)
    if deadline is None:
        state.raise_if_expired(START + 1e9)
        return
    assert state.pause(START + delay) == (deadline if connected else 0)
    state.raise_if_expired(START + delay + deadline - 0.001)
    with pytest.raises(CallbackTimeoutError) as raised:
        state.raise_if_expired(START + delay + deadline)
    assert raised.value.outcome is state.outcome
    assert f"within {deadline:g} seconds" in str(raised.value)


def test_default_limits_are_five_minutes_to_answer_and_four_hours_to_end() -> None:
    assert (ANSWER_TIMEOUT, END_TIMEOUT) == (300, 4 * 3600)


def test_ended_callback_does_not_expire() -> None:
    state = new_state()
    state.record_status(CallbackStatus.DISCONNECTED, START + 1e6)
    state.raise_if_expired(START + 1e9)


def test_timeout_message_says_what_was_missing_and_what_to_do() -> None:
    state = new_state(answer_timeout=60.0, end_timeout=90.0)
    with pytest.raises(
        CallbackTimeoutError,
        match=r"was not answered by both within 60 seconds; it has no status yet\. It is",
    ):
        state.raise_if_expired(START + 60)
    state.record_failure(failure(), START)
    with pytest.raises(
        CallbackTimeoutError, match=r"tenios\.callback\(10\)\. The last poll failed: It failed\.$"
    ):
        state.raise_if_expired(START + 60)
    state.record_status(CallbackStatus.CONNECTED, START)
    with pytest.raises(
        CallbackTimeoutError,
        match=r"did not end within 90 seconds; its last status was CONNECTED.*callback\(10\)\.$",
    ):
        state.raise_if_expired(START + 90)


@pytest.mark.parametrize("name", ["answer_timeout", "end_timeout"])
@pytest.mark.parametrize("limit", [-1.0, -0.001, -math.inf, math.nan, "5", True, 1j])
def test_limit_that_is_negative_or_not_a_number_is_refused(name: str, limit: Any) -> None:
    with pytest.raises(
        (TypeError, ValueError), match=f"{name} must be a number of seconds.*, got "
    ):
        new_state(**{name: limit})


# Everything at once.

EVENTS = st.lists(
    st.tuples(
        st.floats(0, 100),
        STATUSES
        | st.builds(
            failure,
            st.sampled_from([None, 302, 400, 404, 429, 500]),
            retry_after=st.none() | st.integers(1, 10_000).map(float),
        ),
    ),
    max_size=30,
)


@given(
    EVENTS,
    st.floats(-10, 100),
    st.integers(0, 100),
    st.none() | st.floats(0, 1000),
    st.none() | st.floats(0, 1000),
)
def test_any_sequence_of_events_keeps_the_promises(
    events: list[tuple[float, CallbackStatus | StatusUnavailableError]],
    interval: float,
    delay: int,
    answer_timeout: float | None,
    end_timeout: float | None,
) -> None:
    """
    Each status is recorded once and in order, polls keep the minimum interval, and no sleep exceeds
    a limit.
    """
    state = new_state(interval, delay=delay, answer_timeout=answer_timeout, end_timeout=end_timeout)
    now, refusals = START, 0
    for wait, event in events:
        now += wait
        before = state.outcome.history
        if isinstance(event, CallbackStatus):
            refusals = 0
            assert state.record_status(event, now) == (state.outcome.history != before)
        else:
            refusals = refusals + 1 if event.http_status in {400, 404} else 0
            if refusals == 3:
                with pytest.raises(StatusUnavailableError):
                    state.record_failure(event, now)
                break
            state.record_failure(event, now)
            assert state.may_poll(now) == (event.retry_after is None)
            assert state.outcome.history == before
        limits = [
            limit
            for limit in (None if state.outcome.connected else answer_timeout, end_timeout)
            if limit is not None
        ]
        deadline = START + delay + min(limits, default=math.inf)
        pause = state.pause(now)
        assert pause >= 0
        assert now + pause <= max(now, deadline) + 1e-6
        assert pause >= MIN_INTERVAL - 1e-6 or now + pause >= deadline - 1e-6
        if state.outcome.ended or now < deadline:
            state.raise_if_expired(now)
        else:
            with pytest.raises(CallbackTimeoutError):
                state.raise_if_expired(now)
        if state.outcome.ended:
            break
    seen = [change.status for change in state.outcome.history]
    assert len(set(seen)) == len(seen)
    ranks = [RANK[status] for status in seen if status in RANK]
    assert ranks == sorted(ranks)
    assert not any(is_final(status) for status in seen[:-1])
    times = [change.observed_at for change in state.outcome.history]
    assert all(earlier <= later for earlier, later in itertools.pairwise(times))
