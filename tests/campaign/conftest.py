"""Fixtures: a new ledger in each database, and a clock that does not run on its own."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from ledger.conftest import _watchdog, ledger, server, url
from support.ledgers import ledger_in_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tenios_ext.ledger import Ledger

__all__ = ["_watchdog", "ledger", "server", "sqlite", "url"]


@pytest.fixture
def sqlite() -> Iterator[Ledger]:
    with ledger_in_memory() as ledger:
        yield ledger


@pytest.fixture
def exact_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Run database calls in the event loop, because virtual time passes while a thread works.
    """

    async def call(work: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        return work(*arguments, **named)

    def now(_: object, work: Callable[[], Any]) -> Any:
        return completed(asyncio.get_running_loop().create_future(), work)

    def at_once(future: Any, function: Callable[..., Any], arguments: Any, **_: bool) -> Any:
        return completed(future, partial(function, *arguments))

    def completed(future: Any, work: Callable[[], Any]) -> Any:
        try:
            future.set_result(work())
        except Exception as error:  # noqa: BLE001 - as a thread does
            future.set_exception(error)
        return future

    monkeypatch.setattr("tenios_campaign._run.LOOK", 20.0)
    monkeypatch.setattr(asyncio, "to_thread", call)
    monkeypatch.setattr("tenios_ext._threads._start", at_once)
    monkeypatch.setattr("tenios_campaign._tasks.in_thread", now)
