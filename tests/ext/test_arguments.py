"""The arguments of start_callback: what is sent, and what is refused before anything is sent."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest
from support.clients import CONFIG_ID, LOCAL, NUMBER, FakeTenios, start_callback

from tenios_ext import (
    AsyncTenios,
    InvalidArgumentError,
    InvalidNumberError,
    NotPlacedError,
    Tenios,
)
from tenios_simulator import VirtualClock


@pytest.fixture
def server() -> FakeTenios:
    return FakeTenios()


def start(
    mode: str, server: FakeTenios, number: str, region: str | None = None, **arguments: Any
) -> Any:
    settings: dict[str, Any] = {"region": region, "transport": httpx.MockTransport(server)}
    settings["base_url"] = LOCAL
    if mode == "sync":
        with Tenios("KEY", CONFIG_ID, **settings) as tenios:
            return tenios.start_callback(number, **arguments)

    async def run() -> Any:
        async with AsyncTenios("KEY", CONFIG_ID, **settings) as tenios:
            return await tenios.start_callback(number, **arguments)

    return asyncio.run(run())


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_unset_arguments_are_not_sent(mode: str, server: FakeTenios) -> None:
    start(mode, server, "+49 221 4710 123")
    assert server.bodies == [
        {
            "access_key": "KEY",
            "callback_config_id": CONFIG_ID,
            "callback_number": NUMBER,
            "delay": 0,
        },
    ]
    assert server.urls == [f"{LOCAL}/callback/init"]


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_each_argument_is_sent_in_its_field(mode: str, server: FakeTenios) -> None:
    callback = start(
        mode,
        server,
        "(0221) 4710-123",
        region="DE",
        delay=timedelta(minutes=1),
        agent_announcement="Order 4711",
        dtmf_key="#",
        callback_config_id="OTHER",
    )
    assert server.bodies == [
        {
            "access_key": "KEY",
            "callback_config_id": "OTHER",
            "callback_number": NUMBER,
            "delay": 60,
            "agent_announcement": "Order 4711",
            "dtmf_key_to_trigger_customer_call": "#",
        },
    ]
    assert callback.handle.delay == 60


@pytest.mark.parametrize("delay", [0, 30, 30.0, 2**31 - 1])
def test_delay_is_sent_as_a_whole_number(delay: float, server: FakeTenios) -> None:
    start("sync", server, NUMBER, delay=delay)
    assert server.bodies[0]["delay"] == delay
    assert isinstance(server.bodies[0]["delay"], int)


@pytest.mark.parametrize("key", list("0123456789*#"))
def test_each_phone_key_is_accepted(key: str, server: FakeTenios) -> None:
    start("sync", server, NUMBER, dtmf_key=key)
    assert server.bodies[0]["dtmf_key_to_trigger_customer_call"] == key


@pytest.mark.parametrize(
    "wrong",
    [
        *(
            {"delay": value}
            for value in (-1, 0.5, 2**31, float("nan"), float("inf"), True, "30", 1j, None)
        ),
        *({"delay": timedelta(seconds=value)} for value in (-1, 0.5)),
        *({"dtmf_key": value} for value in ("", "12", "A", "1\n", "\uff11", 1, ["1"])),
        *({"agent_announcement": value} for value in ("", "  \n", "half \ud83d", b"bytes", 5)),
        {"agent_announcement": "x" * 5001},
        *({"callback_config_id": value} for value in ("", "\udfff", 5, ["C"])),
        *(
            {"number": value}
            for value in ("0221 4710123", "112", "", None, 492214710123, b"+492214710123")
        ),
    ],
    ids=repr,
)
def test_wrong_argument_is_refused_and_nothing_is_sent(
    wrong: dict[str, Any], server: FakeTenios
) -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        start("sync", server, **{"number": NUMBER, **wrong})
    assert isinstance(raised.value, ValueError)
    assert isinstance(raised.value, NotPlacedError)
    assert isinstance(raised.value, InvalidNumberError) == ("number" in wrong)
    assert raised.value.__context__ is None or raised.value.__suppress_context__
    assert not server.bodies


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_handle_has_the_time_at_which_the_call_was_made(mode: str) -> None:
    """The delay and the limits count from the request, because the response may be late."""
    clock = VirtualClock()
    called_at = clock.now()

    def respond_late(_: httpx.Request) -> httpx.Response:
        clock.advance(20)
        return httpx.Response(200, json={"id": 10})

    callback = start_callback(
        mode, access_key="KEY", clock=clock, transport=httpx.MockTransport(respond_late)
    )
    assert (callback.handle.started_at, clock.now()) == (called_at, called_at + 20)
