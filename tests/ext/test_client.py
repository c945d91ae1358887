"""
The life of a client, single status requests, and callbacks that are resumed by id or handle.

An invalid id is never a NotPlacedError, because an ``except NotPlacedError`` may call again.
"""

from __future__ import annotations

import asyncio
import copy
import gc
import pickle
import subprocess
import sys
import warnings
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from support.clients import CONFIG_ID, MODES, NUMBER, Script, fetch_status, new_key
from support.faults import STATUS, FaultServer, drop, in_turn, respond

from tenios_ext import (
    AsyncTenios,
    CallbackHandle,
    CallbackStatus,
    ConfigurationError,
    NotSentError,
    StatusUnavailableError,
    Tenios,
    TeniosError,
)
from tenios_simulator import VirtualClock

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENIOS_ACCESS_KEY", "KEY")
    monkeypatch.setenv("TENIOS_CALLBACK_CONFIG_ID", CONFIG_ID)


WRONG = [
    *(
        (text, ValueError)
        for text in ("", " ", "ten", " 10", "10\n", "-1", "+10", "1_0", "1.0", "0x10", "10,11")
    ),
    # Arabic, fullwidth and superscript digits.
    *((text, ValueError) for text in ("\u0661\u0660", "\uff11\uff10", "\u00b9\u2070")),
    ("9" * 5000, ValueError),
    ("-" + "9" * 5000, ValueError),
    (-1, ValueError),
    *(
        (value, TypeError)
        for value in (True, False, None, 10.0, float("nan"), b"10", [10], {"id": 10}, Decimal(10))
    ),
]


def pick_up(script: Script, callback: Any) -> None:
    with script.client() as tenios:
        tenios.callback(callback)


def pick_up_async(script: Script, callback: Any) -> None:
    async def run() -> None:
        async with script.async_client() as tenios:
            tenios.callback(callback)

    asyncio.run(run())


def pick_up_many(script: Script, callback: Any) -> None:
    """Call watch_many without iterating."""

    async def run() -> None:
        async with script.async_client() as tenios:
            tenios.watch_many([1, callback])

    asyncio.run(run())


@pytest.mark.parametrize(("wrong", "error"), WRONG, ids=lambda value: ascii(value)[:20])
def test_wrong_id_is_a_plain_value_error_or_type_error(wrong: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"callback (must|id)") as raised:
        pick_up(Script(["DISCONNECTED"]), wrong)
    assert not isinstance(raised.value, TeniosError)


@pytest.mark.parametrize("copied", [pickle.dumps, copy.copy, copy.deepcopy])
def test_callback_for_another_process_is_a_handle(copied: Callable[[Any], Any]) -> None:
    with Script(["DISCONNECTED"]).client() as tenios:
        callback = tenios.callback(10)
        with pytest.raises(TypeError, match="Store its handle"):
            copied(callback)
        copied(callback.handle)


@pytest.mark.parametrize("via", [pick_up, pick_up_async, pick_up_many])
def test_wrong_id_is_refused_before_the_first_request(via: Callable[[Script, Any], None]) -> None:
    script = Script(["DISCONNECTED"])
    with pytest.raises(ValueError, match="callback id"):
        via(script, -1)
    assert not script.ids


@pytest.mark.parametrize(
    ("callback", "sent"),
    [
        (10, 10),
        (0, 0),
        (2**63 - 1, 2**63 - 1),
        ("10", 10),
        ("0", 0),
        (str(2**63 - 1), 2**63 - 1),
        (CallbackHandle(10, started_at=0), 10),
    ],
    ids=repr,
)
def test_status_is_requested_of_the_callback_that_was_named(callback: Any, sent: int) -> None:
    script = Script(["DISCONNECTED"])
    with script.client() as tenios:
        picked_up = tenios.callback(callback)
        assert picked_up.id == sent
        picked_up.status()

    async def run() -> None:
        async with script.async_client() as tenios:
            picked_up = tenios.callback(callback)
            assert picked_up.id == sent
            await picked_up.status()
            assert [update.outcome.handle.id async for update in tenios.watch_many([callback])] == [
                sent
            ]

    asyncio.run(run())
    assert script.ids == [sent] * 3
    assert {type(each) for each in script.ids} == {int}


def test_handle_is_kept_as_it_is() -> None:
    handle = CallbackHandle(10, delay=30, started_at=1_000_000_000)
    with Script(["DISCONNECTED"]).client() as tenios:
        assert tenios.callback(handle).handle is handle


def test_limits_of_a_callback_given_by_id_begin_now() -> None:
    script = Script(["DISCONNECTED"])
    script.clock.advance(500)
    with script.client() as tenios:
        handle = tenios.callback("10").handle
    assert (handle.delay, handle.started_at) == (0, script.clock.now())


def test_closed_client_sends_nothing() -> None:
    tenios = Tenios(base_url="http://127.0.0.1:1")
    tenios.close()
    tenios.close()
    with pytest.raises(NotSentError, match="client is closed, so nothing was sent"):
        tenios.start_callback(NUMBER, key=new_key())
    with pytest.raises(StatusUnavailableError, match="closed"):
        tenios.callback(10).status()


def test_closed_async_client_sends_nothing() -> None:
    async def run() -> None:
        tenios = AsyncTenios(base_url="http://127.0.0.1:1")
        await tenios.aclose()
        await tenios.aclose()
        with pytest.raises(NotSentError, match="client is closed, so nothing was sent"):
            await tenios.start_callback(NUMBER, key=new_key())
        with pytest.raises(StatusUnavailableError, match="closed"):
            await tenios.callback(10).status()

    asyncio.run(run())


@pytest.mark.parametrize("kind", [Tenios, AsyncTenios])
def test_client_that_was_not_closed_warns(kind: type[Tenios | AsyncTenios]) -> None:
    gc.collect()
    tenios = kind(base_url="http://127.0.0.1:1")
    with pytest.warns(
        ResourceWarning, match=rf"{kind.__name__}\('http://127.0.0.1:1'\) was not closed"
    ) as caught:
        del tenios
    assert caught[0].filename == __file__, "it names the line at which the client was lost"


@pytest.mark.parametrize("kind", [Tenios, AsyncTenios])
def test_client_that_could_not_be_made_does_not_warn(kind: type[Tenios | AsyncTenios]) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(ConfigurationError):
            kind(timeout=0)
        gc.collect()
    assert not [each for each in caught if "not closed" in str(each.message)]


def test_aiohttp_without_the_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "tenios_ext._aiohttp", raising=False)
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    with pytest.raises(
        ConfigurationError,
        match=r"^aiohttp is not installed. Run: pip install 'tenios-callback\[aiohttp\]'$",
    ):
        AsyncTenios("KEY", "CONFIG", aiohttp=True)


@pytest.mark.parametrize("mode", MODES)
def test_status_request_is_repeated_after_transient_failures(mode: str) -> None:
    failures = [
        respond("503 Service Unavailable", {}),
        drop,
        respond("200 OK", {"status": "CONNECTED"}),
    ]
    with FaultServer(in_turn(*failures)) as server:
        assert (
            fetch_status(mode, base_url=server.url, clock=VirtualClock())
            == CallbackStatus.CONNECTED
        )
        assert server.received == {STATUS: 3}


@pytest.mark.parametrize("mode", MODES)
def test_status_request_is_not_repeated_after_a_refusal(mode: str) -> None:
    with FaultServer(
        respond("400 Bad Request", {"error_code": "INVALID_VALUE", "fields": ["id"]})
    ) as server:
        with pytest.raises(StatusUnavailableError, match="INVALID_VALUE: id"):
            fetch_status(mode, base_url=server.url)
        assert server.received == {STATUS: 1}


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize(
    ("http_status", "requests"),
    [(400, 1), (401, 1), (404, 1), (408, 1), (302, 1), (429, 3), (500, 3), (503, 3), (520, 3)],
)
def test_status_gives_up_after_the_third_transient_failure(
    mode: str, http_status: int, requests: int
) -> None:
    clock, sent = VirtualClock(), []

    def handle(_: httpx.Request) -> httpx.Response:
        sent.append(clock.now())
        return httpx.Response(http_status, json={"error_message": str(len(sent))})

    with pytest.raises(StatusUnavailableError) as raised:
        fetch_status(mode, transport=httpx.MockTransport(handle), clock=clock)
    assert [at - sent[0] for at in sent] == [0, 0.5, 1.5][:requests]
    assert raised.value.http_status == http_status
    assert raised.value.error_message == str(requests), "the last failure is raised"


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_status_honours_retry_after(mode: str) -> None:
    clock = VirtualClock()
    start = clock.now()
    responses = iter(
        [
            httpx.Response(429, headers={"Retry-After": "4"}),
            httpx.Response(200, json={"status": "ACCEPTED"}),
        ]
    )
    transport = httpx.MockTransport(lambda _: next(responses))
    assert fetch_status(mode, transport=transport, clock=clock) == "ACCEPTED"
    assert clock.now() - start == 4


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_status_does_not_wait_for_a_long_retry_after(mode: str) -> None:
    """It may be called in a web request, whose worker must not sleep for an hour."""
    script = Script([httpx.Response(429, headers={"Retry-After": "3600"})])

    transport = httpx.MockTransport(script)
    with pytest.raises(StatusUnavailableError) as raised:
        fetch_status(mode, transport=transport, clock=script.clock)
    assert raised.value.retry_after == 3600
    assert script.elapsed == 0


def test_closed_client_ends_what_follows_a_callback_at_once() -> None:
    async def run() -> None:
        async with AsyncTenios(clock=VirtualClock()) as tenios:
            callback = tenios.callback(10)
        with pytest.raises(StatusUnavailableError, match="The client is closed"):
            await callback.wait()
        with pytest.raises(StatusUnavailableError, match="The client is closed"):
            await callback.status()
        with pytest.raises(StatusUnavailableError, match="The client is closed"):
            tenios.watch_many([10])

    asyncio.run(run())
    with Tenios(clock=VirtualClock()) as tenios:
        callback = tenios.callback(10)
    for follow in (callback.wait, callback.status):
        with pytest.raises(StatusUnavailableError, match="The client is closed"):
            follow()


@pytest.mark.parametrize("clock", [None, 5, object()])
def test_clock_that_is_none_is_a_configuration_error(clock: Any) -> None:
    with pytest.raises(ConfigurationError, match="clock must have the methods now, monotonic"):
        Tenios(clock=clock)


class BrokenClock(VirtualClock):
    """A clock whose times are invalid."""

    def __init__(self, time: Any) -> None:
        super().__init__()
        self.time = time

    def now(self) -> float:
        return self.time  # type: ignore[no-any-return] # wrong on purpose

    def monotonic(self) -> float:
        return self.time  # type: ignore[no-any-return] # wrong on purpose


@pytest.mark.parametrize("time", [float("nan"), float("inf"), "12:00", None, 10**400])
def test_clock_that_returns_no_time_sends_nothing(time: Any) -> None:
    with (
        FaultServer(drop) as server,
        Tenios(base_url=server.url, clock=BrokenClock(time)) as tenios,
    ):
        with pytest.raises(NotSentError, match=r"clock\.now\(\) must return seconds"):
            tenios.start_callback(NUMBER)
        handle = CallbackHandle(10, started_at=0.0)
        with pytest.raises(ConfigurationError, match=r"clock\.\w+\(\) must return seconds"):
            tenios.callback(handle).wait()
        assert not server.received


def test_client_that_is_left_open_says_so_when_the_interpreter_ends() -> None:
    program = (
        "import gc; gc.disable(); from tenios_ext import Tenios; tenios = Tenios('K', 'C'); "
        "tenios.itself = tenios"
    )
    run = [sys.executable, "-W", "always::ResourceWarning", "-c", program]
    result = subprocess.run(run, capture_output=True, text=True, check=True)
    assert "Tenios('https://api.tenios.com') was not closed" in result.stderr
    assert "Exception ignored" not in result.stderr
