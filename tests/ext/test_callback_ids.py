"""
How a callback that was started before is picked up: by its id, the digits of its id as text, or its
handle.

A wrong id is never a NotPlacedError: an ``except NotPlacedError`` around starting and watching
would call again.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from support.clients import Script

from tenios_ext import CallbackHandle, TeniosError

if TYPE_CHECKING:
    from collections.abc import Callable

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


PICK_UP = [pick_up, pick_up_async, pick_up_many]


@pytest.mark.parametrize("via", PICK_UP)
@pytest.mark.parametrize(("wrong", "error"), WRONG, ids=lambda value: ascii(value)[:20])
def test_wrong_id_is_a_plain_value_error_or_type_error(
    via: Callable[[Script, Any], None], wrong: Any, error: type[Exception]
) -> None:
    script = Script(["DISCONNECTED"])
    with pytest.raises(error, match=r"callback (must|id)") as raised:
        via(script, wrong)
    assert not isinstance(raised.value, TeniosError)
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
