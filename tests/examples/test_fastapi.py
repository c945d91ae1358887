"""The FastAPI example on the simulator, without a browser."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec

import httpx
import pytest
from support.examples import NUMBER, HeldTransport, load, token_in

from tenios_ext import AsyncTenios
from tenios_simulator import BASE_URL, Simulator, faults

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from tenios_ext.ledger import Ledger

P = ParamSpec("P")


def in_event_loop(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run a coroutine test in another thread, because Playwright's event loop runs in this one."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(asyncio.run, test(*args, **kwargs)).result()

    return run


@asynccontextmanager
async def fastapi_visitor(tenios: AsyncTenios, ledger: Ledger) -> AsyncIterator[httpx.AsyncClient]:
    """A visitor of the FastAPI example without a browser."""
    transport = httpx.ASGITransport(load("fastapi").create_app(tenios, ledger))
    async with tenios, httpx.AsyncClient(transport=transport, base_url="http://example") as web:
        yield web


async def form_data(web: httpx.AsyncClient, number: str = NUMBER) -> dict[str, str]:
    return {"token": token_in((await web.get("/")).text), "number": number}


@in_event_loop
async def test_starts_one_callback_for_two_posts_at_once(ledger: Ledger) -> None:
    simulator = Simulator()
    transport = HeldTransport(simulator)
    tenios = AsyncTenios(
        *simulator.account,
        base_url=BASE_URL,
        transport=transport,
        clock=simulator.clock,
        ledger=ledger,
    )
    async with fastapi_visitor(tenios, ledger) as web:
        data = await form_data(web)

        async def second_click() -> httpx.Response:
            await transport.async_held.wait()
            transport.async_release.set()
            return await web.post("/callbacks", json=data)

        first, second = await asyncio.gather(web.post("/callbacks", json=data), second_click())
    assert simulator.dialled == ["+493023125100"]
    assert [first.status_code, second.status_code] == [201, 201]
    assert first.json() == second.json()


@in_event_loop
async def test_does_not_call_again_after_an_unknown_outcome(ledger: Ledger) -> None:
    simulator = Simulator()
    simulator.inject(faults.Drop(), on="init")
    async with fastapi_visitor(simulator.async_client(ledger=ledger), ledger) as web:
        data = await form_data(web)
        responses = [await web.post("/callbacks", json=data) for _ in range(3)]
    for response in responses:
        assert response.status_code == 502
        assert response.json().keys() == {"detail"}
        assert "please call us" in response.json()["detail"]
    assert simulator.dialled == ["+493023125100"]


@pytest.mark.parametrize(
    "token", [{}, {"token": ""}, {"token": "too short"}], ids=["none", "empty", "wrong"]
)
@in_event_loop
async def test_refuses_a_form_without_a_token(token: dict[str, str], ledger: Ledger) -> None:
    simulator = Simulator()
    async with fastapi_visitor(simulator.async_client(ledger=ledger), ledger) as web:
        response = await web.post("/callbacks", json={"number": NUMBER, **token})
    assert response.status_code == 410
    assert "reload the page" in response.json()["detail"]
    assert simulator.dialled == []


@in_event_loop
async def test_accepts_the_same_form_with_a_corrected_number(ledger: Ledger) -> None:
    simulator = Simulator()
    async with fastapi_visitor(simulator.async_client(ledger=ledger), ledger) as web:
        data = await form_data(web, "soon")
        assert (await web.post("/callbacks", json=data)).status_code == 422
        assert (await web.post("/callbacks", json={**data, "number": NUMBER})).status_code == 201
    assert simulator.dialled == ["+493023125100"]


@in_event_loop
async def test_does_not_blame_the_visitor_for_a_mistake_of_the_program(ledger: Ledger) -> None:
    transport = Simulator().transport
    tenios = AsyncTenios("KEY", transport=transport, base_url=BASE_URL, ledger=ledger)
    async with fastapi_visitor(tenios, ledger) as web:  # without a callback config id
        response = await web.post("/callbacks", json=await form_data(web))
    assert response.status_code == 503
    assert "Please try again later" in response.json()["detail"]


@in_event_loop
async def test_calls_one_number_per_form(ledger: Ledger) -> None:
    """
    Even after a rejection, because another request with the rejected number may be in progress.
    """
    simulator = Simulator()
    simulator.inject(faults.HttpError(429), on="init")
    async with fastapi_visitor(simulator.async_client(ledger=ledger), ledger) as web:
        data = await form_data(web)
        other = {**data, "number": "+49 30 23125 101"}
        responses = [await web.post("/callbacks", json=each) for each in (data, other, data, other)]
    assert [response.status_code for response in responses] == [503, 410, 201, 409]
    assert simulator.dialled == ["+493023125100"]


@in_event_loop
async def test_says_that_a_phone_may_ring_if_the_first_outcome_is_unknown(ledger: Ledger) -> None:
    simulator = Simulator()
    simulator.inject(faults.Drop(), on="init")
    async with fastapi_visitor(simulator.async_client(ledger=ledger), ledger) as web:
        data = await form_data(web)
        await web.post("/callbacks", json=data)
        response = await web.post("/callbacks", json={**data, "number": "+49 30 23125 101"})
    assert response.status_code == 502
    assert "please call us" in response.json()["detail"]
    assert simulator.dialled == ["+493023125100"]


@in_event_loop
async def test_does_not_count_a_form_that_is_sent_again(ledger: Ledger) -> None:
    simulator = Simulator()
    async with fastapi_visitor(simulator.async_client(ledger=ledger), ledger) as web:
        forms = [await form_data(web) for _ in range(3)]
        for data, status in zip(forms, [201, 201, 429], strict=True):
            assert [(await web.post("/callbacks", json=data)).status_code for _ in range(3)] == [
                status
            ] * 3
    assert len(simulator.dialled) == 2


@in_event_loop
async def test_serves_each_visitor_a_token_of_their_own(ledger: Ledger) -> None:
    async with fastapi_visitor(Simulator().async_client(ledger=ledger), ledger) as web:
        first, second = await web.get("/"), await web.get("/")
    assert token_in(first.text) != token_in(second.text)
    assert first.headers["Cache-Control"] == "no-store"
