"""What a type checker tells a user; checked by test_reveal.py, not run."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Literal, assert_type

from tenios_ext import (
    AsyncCallback,
    AsyncTenios,
    Callback,
    CallbackHandle,
    CallbackStatus,
    CallbackTimeoutError,
    Outcome,
    Tenios,
    TeniosError,
    Update,
)
from tenios_ext.simulator import Simulator


def sync() -> None:
    with Tenios() as tenios:
        assert_type(tenios, Tenios)
        callback = tenios.start_callback("+49 221 4710123", delay=30)
        assert_type(callback, Callback)
        assert_type(callback.id, int)
        assert_type(callback.handle, CallbackHandle)
        assert_type(callback.status(), CallbackStatus)
        assert_type(callback.watch(), Iterator[CallbackStatus])
        outcome = callback.wait(answered_within=60)
    assert_type(outcome, Outcome)
    assert_type(outcome.connected, bool)
    assert_type(outcome.failed_party, Literal["agent", "customer"] | None)
    assert_type(outcome.durations, Mapping[CallbackStatus, float])
    assert_type(tenios.callback(10), Callback)


async def asynchronous() -> None:
    async with AsyncTenios() as tenios:
        assert_type(tenios, AsyncTenios)
        callback = await tenios.start_callback("+49 221 4710123")
        assert_type(callback, AsyncCallback)
        assert_type(await callback.status(), CallbackStatus)
        assert_type(callback.watch(), AsyncIterator[CallbackStatus])
        assert_type(await callback.wait(), Outcome)
        async for update in tenios.watch_many([10, callback.handle]):
            assert_type(update, Update)
            assert_type(update.status, CallbackStatus | None)
            assert_type(update.error, TeniosError | None)


def errors(error: CallbackTimeoutError) -> None:
    assert_type(error.http_status, int | None)
    assert_type(error.fields, tuple[str, ...])
    assert_type(error.handle, CallbackHandle)
    assert_type(error.last_status, CallbackStatus | None)


def simulator() -> None:
    assert_type(Simulator().client(), Tenios)
    assert_type(Simulator().async_client(), AsyncTenios)


asyncio.run(asynchronous())
