"""The types that a user's type checker infers. ``make types`` checks them; nothing runs this."""

from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import timedelta
from typing import Literal, assert_type

from tenios_ext import (
    AsyncCallback,
    AsyncTenios,
    Callback,
    CallbackHandle,
    CallbackStatus,
    CallbackTimeoutError,
    Clock,
    Outcome,
    PollInterval,
    StatusChange,
    StatusUnavailableError,
    StatusUpdate,
    Tenios,
    default_poll_interval,
    is_final,
    to_e164,
)
from tenios_simulator import RecordedRequest, Simulator, VirtualClock


def sync() -> None:
    with Tenios() as tenios:
        assert_type(tenios, Tenios)
        assert_type(tenios.settings.base_url, str)
        assert_type(tenios.settings.region, str | None)
        assert_type(tenios.settings.allowed_numbers, frozenset[str] | None)
        callback = tenios.start_callback("+49 221 4710123", delay=timedelta(seconds=30))
        assert_type(callback, Callback)
        assert_type(callback.id, int)
        assert_type(callback.handle, CallbackHandle)
        assert_type(callback.status(), CallbackStatus)
        assert_type(callback.watch(), Iterator[CallbackStatus])
        assert_type(callback.wait(answer_timeout=60, end_timeout=None), Outcome)
    assert_type(tenios.callback(10), Callback)
    assert_type(tenios.callback("10"), Callback)
    assert_type(tenios.callback(callback.handle), Callback)


async def asynchronous() -> None:
    async with AsyncTenios() as tenios:
        assert_type(tenios, AsyncTenios)
        assert_type(tenios.settings.allowed_numbers, frozenset[str] | None)
        callback = await tenios.start_callback("+49 221 4710123")
        assert_type(callback, AsyncCallback)
        assert_type(await callback.status(), CallbackStatus)
        assert_type(callback.watch(), AsyncIterator[CallbackStatus])
        assert_type(await callback.wait(), Outcome)
        async for update in tenios.watch_many([10, "11", callback.handle]):
            assert_type(update, StatusUpdate)
            assert_type(update.outcome, Outcome)
            assert_type(update.status, CallbackStatus | None)
            assert_type(update.error, Exception | None)


def outcome(outcome: Outcome) -> None:
    assert_type(outcome.handle, CallbackHandle)
    assert_type(outcome.history, tuple[StatusChange, ...])
    assert_type(outcome.history[0].status, CallbackStatus)
    assert_type(outcome.history[0].observed_at, float)
    assert_type(outcome.status, CallbackStatus | None)
    assert_type(outcome.connected, bool)
    assert_type(outcome.failed_party, Literal["agent", "customer"] | None)
    assert_type(outcome.ended, bool)
    assert_type(outcome.durations, Mapping[CallbackStatus, float])


def errors(error: CallbackTimeoutError, unavailable: StatusUnavailableError) -> None:
    assert_type(error.http_status, int | None)
    assert_type(error.fields, tuple[str, ...])
    assert_type(error.retry_after, float | None)
    assert_type(error.handle, CallbackHandle)
    assert_type(error.outcome.status, CallbackStatus | None)
    assert_type(error.outcome, Outcome)
    assert_type(unavailable.credentials_refused, bool)
    CallbackTimeoutError("Too late.", outcome=error.outcome)
    StatusUnavailableError("Try again.", credentials_refused=True, http_status=403, fields=("id",))


def functions() -> None:
    assert_type(is_final(CallbackStatus.CONNECTED), bool)
    assert_type(to_e164("0221 4710123", region="DE"), str)
    poll_interval: PollInterval = default_poll_interval
    clock: Clock = VirtualClock()
    Tenios("KEY", poll_interval=poll_interval, clock=clock)
    Tenios("KEY", poll_interval=2.0)
    AsyncTenios("KEY", poll_interval=2)


def simulator() -> None:
    assert_type(Simulator().client(), Tenios)
    assert_type(Simulator().async_client(), AsyncTenios)
    Simulator().client(region="DE", allowed_regions=["DE"], poll_interval=2)
    Simulator().client(access_key="KEY")  # type: ignore[call-arg]  # it is the simulator's
    assert_type(Simulator().requests, list[RecordedRequest])


def wrong_use(tenios: Tenios, callback: Callback) -> None:
    """Mypy must refuse each line: it reports an exemption that is not needed."""
    assert_type(callback.id, str)  # type: ignore[assert-type]  # it is an int
    tenios.callback(1.5)  # type: ignore[arg-type]  # a float is no id
    tenios.settings.region = None  # type: ignore[misc]  # it is read-only
    StatusUnavailableError("Try again.", field=("id",))  # type: ignore[call-arg]  # it is fields
