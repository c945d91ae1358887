"""
The example web applications on the simulator: the FastAPI page in a browser, and both by their
responses.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec

import httpx
import pytest
import uvicorn
from playwright.sync_api import Browser, Page, expect
from support.browser import chromium
from support.faults import FaultServer, drop, respond

from tenios_ext import AsyncTenios, Tenios
from tenios_ext.ledger import Ledger
from tenios_simulator import BASE_URL, Action, Simulator, faults
from tenios_simulator._clocks import ScaledClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

    from flask import Flask
    from flask.testing import FlaskClient
    from support.faults import Connection

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def load(name: str) -> Any:
    """Import the application of an example."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / name / "app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def simulator() -> Simulator:
    """A simulator whose time passes ten times as fast."""
    return Simulator(clock=ScaledClock(10))


@pytest.fixture
def url(tmp_path: Path) -> str:
    """The URL of a ledger."""
    return f"sqlite:///{tmp_path}/callbacks.db"


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    with Ledger(url) as ledger:
        yield ledger


@pytest.fixture
def address(simulator: Simulator, ledger: Ledger) -> Iterator[str]:
    """The address of the FastAPI example, which calls the simulator."""
    app = load("fastapi").create_app(simulator.async_client(ledger=ledger), ledger)
    config = uvicorn.Config(app, port=0, log_level="warning")
    server = uvicorn.Server(config)
    socket = config.bind_socket()
    thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]})
    thread.start()
    yield f"http://127.0.0.1:{socket.getsockname()[1]}"
    server.should_exit = True
    thread.join()
    socket.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 720, "height": 480})
    page.goto(address)
    yield page
    page.close()


def request_call(page: Page, number: str) -> None:
    page.get_by_label("Your phone number").fill(number)
    page.get_by_role("button", name="Call me").click()


def test_page_shows_the_progress_of_the_call(
    page: Page, simulator: Simulator, tmp_path: Path
) -> None:
    """Also takes the screenshot for the documents; see ``make pictures``."""
    progress = page.get_by_role("status")
    request_call(page, "030 23125 300")  # the magic number whose phones are controlled by hand
    expect(progress).to_have_text("We are calling one of our agents.")
    expect(page.get_by_role("button")).to_be_disabled()
    [callback] = simulator.callbacks
    simulator.perform(callback.id, Action.AGENT_ANSWERS)
    expect(progress).to_have_text("Your phone is ringing.")
    page.screenshot(path=Path(os.environ.get("PICTURES", tmp_path)) / "call-me-back.png")
    simulator.perform(callback.id, Action.CUSTOMER_DECLINES)
    expect(progress).to_have_text("We could not reach you. Please check the number.")
    expect(page.get_by_role("link", name="Ask for another call")).to_be_visible()
    expect(page.get_by_role("button")).to_be_disabled()
    assert simulator.dialled == ["+493023125300"]


@pytest.mark.parametrize(
    ("number", "message"),
    [
        ("soon", "This does not look like a phone number."),
        ("0900 1234567", "We can only call ordinary German numbers."),
        ("+1 202 555 0123", "We can only call ordinary German numbers."),
    ],
    ids=["not a number", "premium rate", "foreign"],
)
def test_page_says_why_nothing_was_called_and_accepts_a_corrected_number(
    page: Page, simulator: Simulator, number: str, message: str
) -> None:
    request_call(page, number)
    expect(page.get_by_role("status")).to_contain_text(message)
    assert simulator.dialled == []
    request_call(page, "030 23125 101")
    expect(page.get_by_role("status")).to_contain_text("no agent is free")
    assert simulator.dialled == ["+493023125101"]


def test_page_offers_a_new_form_for_another_number_after_a_refusal(
    page: Page, simulator: Simulator
) -> None:
    request_call(page, "030 23125 429")
    expect(page.get_by_role("status")).to_contain_text("We cannot call you right now.")
    request_call(page, "030 23125 101")
    expect(page.get_by_role("status")).to_contain_text("cannot be used for this number")
    assert simulator.dialled == []
    page.get_by_role("link", name="Ask for another call").click()
    request_call(page, "030 23125 101")
    expect(page.get_by_role("status")).to_contain_text("no agent is free")
    assert simulator.dialled == ["+493023125101"]


def test_page_does_not_offer_the_button_again_if_the_outcome_is_unknown(
    page: Page, simulator: Simulator
) -> None:
    request_call(page, "030 23125 601")
    expect(page.get_by_role("status")).to_contain_text("please call us")
    expect(page.get_by_role("button")).to_have_count(0)
    expect(page.get_by_role("link")).to_have_count(0)
    assert len(simulator.dialled) == 1


def test_page_calls_a_number_at_most_twice_an_hour(page: Page, simulator: Simulator) -> None:
    for _ in range(2):
        request_call(page, "030 23125 101")
        expect(page.get_by_role("status")).to_have_text(
            "Sorry, no agent is free right now. Please try again later."
        )
        page.get_by_role("link", name="Ask for another call").click()
    request_call(page, "030 23125 101")
    expect(page.get_by_role("status")).to_contain_text("You have asked for several calls already.")
    assert len(simulator.dialled) == 2


class HeldTransport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Holds the first request until ``release`` is set. Later ones are sent at once."""

    def __init__(self, simulator: Simulator) -> None:
        self._inner = simulator.transport
        self.held, self.release = threading.Event(), threading.Event()
        self.async_held, self.async_release = asyncio.Event(), asyncio.Event()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request, the first one when it is released."""
        if not self.held.is_set():
            self.held.set()
            assert self.release.wait(30)
        return self._inner.handle_request(request)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request, the first one when it is released."""
        if not self.async_held.is_set():
            self.async_held.set()
            await asyncio.wait_for(self.async_release.wait(), 30)
        return await self._inner.handle_async_request(request)


P = ParamSpec("P")
NUMBER = "+49 30 23125 100"


def in_event_loop(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """
    Run a test that is a coroutine function, in another thread: Playwright's event loop is running
    in this one.
    """

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(asyncio.run, test(*args, **kwargs)).result()

    return run


def token_in(html: str) -> str:
    """Return the one-time token of the form in a page."""
    found = re.search(r'name="token"[^>]* value="([^"]+)"', html)
    assert found
    return found[1]


@asynccontextmanager
async def fastapi_visitor(tenios: AsyncTenios, ledger: Ledger) -> AsyncIterator[httpx.AsyncClient]:
    """A visitor of the FastAPI example, without a browser."""
    transport = httpx.ASGITransport(load("fastapi").create_app(tenios, ledger))
    async with tenios, httpx.AsyncClient(transport=transport, base_url="http://example") as web:
        yield web


async def form_data(web: httpx.AsyncClient, number: str = NUMBER) -> dict[str, str]:
    return {"token": token_in((await web.get("/")).text), "number": number}


@in_event_loop
async def test_fastapi_starts_one_callback_for_two_posts_at_once(ledger: Ledger) -> None:
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
            response = await web.post("/callbacks", json=data)
            transport.async_release.set()
            return response

        first, second = await asyncio.gather(web.post("/callbacks", json=data), second_click())
        third = await web.post("/callbacks", json=data)
    assert simulator.dialled == ["+493023125100"]
    assert first.status_code == 201
    assert second.status_code == 502
    assert "please call us" in second.json()["detail"]
    assert third.json() == first.json()


@in_event_loop
async def test_fastapi_does_not_call_again_after_an_unknown_outcome(ledger: Ledger) -> None:
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
async def test_fastapi_refuses_a_form_without_a_token(
    token: dict[str, str], ledger: Ledger
) -> None:
    simulator = Simulator()
    async with fastapi_visitor(simulator.async_client(ledger=ledger), ledger) as web:
        response = await web.post("/callbacks", json={"number": NUMBER, **token})
    assert response.status_code == 410
    assert "reload the page" in response.json()["detail"]
    assert simulator.dialled == []


@in_event_loop
async def test_fastapi_accepts_the_same_form_with_a_corrected_number(ledger: Ledger) -> None:
    simulator = Simulator()
    async with fastapi_visitor(simulator.async_client(ledger=ledger), ledger) as web:
        data = await form_data(web, "soon")
        assert (await web.post("/callbacks", json=data)).status_code == 422
        assert (await web.post("/callbacks", json={**data, "number": NUMBER})).status_code == 201
    assert simulator.dialled == ["+493023125100"]


@in_event_loop
async def test_fastapi_calls_one_number_per_form(ledger: Ledger) -> None:
    """After a refusal, too: another request with the refused number may still be on its way."""
    simulator = Simulator()
    simulator.inject(faults.HttpError(429), on="init")
    async with fastapi_visitor(simulator.async_client(ledger=ledger), ledger) as web:
        data = await form_data(web)
        other = {**data, "number": "+49 30 23125 101"}
        responses = [await web.post("/callbacks", json=each) for each in (data, other, data, other)]
    assert [response.status_code for response in responses] == [503, 410, 201, 410]
    assert simulator.dialled == ["+493023125100"]


@in_event_loop
async def test_fastapi_does_not_count_a_form_that_is_sent_again(ledger: Ledger) -> None:
    simulator = Simulator()
    async with fastapi_visitor(simulator.async_client(ledger=ledger), ledger) as web:
        forms = [await form_data(web) for _ in range(3)]
        for data, status in zip(forms, [201, 201, 429], strict=True):
            assert [(await web.post("/callbacks", json=data)).status_code for _ in range(3)] == [
                status
            ] * 3
    assert len(simulator.dialled) == 2


@in_event_loop
async def test_fastapi_serves_each_visitor_a_token_of_their_own(ledger: Ledger) -> None:
    async with fastapi_visitor(Simulator().async_client(ledger=ledger), ledger) as web:
        first, second = await web.get("/"), await web.get("/")
    assert token_in(first.text) != token_in(second.text)
    assert first.headers["Cache-Control"] == "no-store"


@pytest.fixture
def flask_simulator() -> Simulator:
    return Simulator()


@pytest.fixture
def flask_app(flask_simulator: Simulator, ledger: Ledger) -> Iterator[Flask]:
    with flask_simulator.client(ledger=ledger) as tenios:
        yield load("flask").create_app(tenios, ledger)


@pytest.fixture
def visitor(flask_app: Flask) -> FlaskClient:
    """A visitor of the Flask example, with a cookie jar."""
    return flask_app.test_client()


def test_flask_starts_one_callback_and_shows_its_status(
    visitor: FlaskClient, flask_simulator: Simulator
) -> None:
    data = {"token": token_in(visitor.get("/").text), "number": NUMBER}
    assert visitor.post("/callback", data=data).status_code == 201
    assert "Your call: REQUESTED" in visitor.get("/").text
    again = visitor.post("/callback", data=data)
    assert "We are calling you." in again.text
    assert "<form" not in again.text
    flask_simulator.clock.sleep(60)
    assert "Your call: DISCONNECTED" in visitor.get("/").text
    assert "<form" in visitor.get("/").text
    assert flask_simulator.dialled == ["+493023125100"]


def test_flask_starts_one_callback_for_two_posts_at_once(
    flask_simulator: Simulator, ledger: Ledger
) -> None:
    transport = HeldTransport(flask_simulator)
    key, config_id = flask_simulator.account
    with (
        Tenios(
            key,
            config_id,
            base_url=BASE_URL,
            transport=transport,
            clock=flask_simulator.clock,
            ledger=ledger,
        ) as tenios,
        ThreadPoolExecutor() as pool,
    ):
        app = load("flask").create_app(tenios, ledger)
        data = {"token": token_in(app.test_client().get("/").text), "number": NUMBER}
        first = pool.submit(app.test_client().post, "/callback", data=data)
        assert transport.held.wait(30)
        visitor = app.test_client()
        try:
            second = visitor.post("/callback", data=data)
        finally:
            transport.release.set()
        assert first.result().status_code == 201
        assert "please call us" in second.text
        assert "<form" not in second.text
        # The browser kept only the second response, and shows the progress nevertheless.
        assert "Your call: REQUESTED" in visitor.get("/").text
    assert flask_simulator.dialled == ["+493023125100"]


def test_flask_does_not_call_again_after_an_unknown_outcome(
    visitor: FlaskClient, flask_simulator: Simulator
) -> None:
    flask_simulator.inject(faults.Drop(), on="init")
    data = {"token": token_in(visitor.get("/").text), "number": NUMBER}
    first, second = visitor.post("/callback", data=data), visitor.post("/callback", data=data)
    assert [first.status_code, second.status_code] == [502, 502]
    for response in (first, second, visitor.get("/")):
        assert "please call us" in response.text
        assert "<form" not in response.text
    assert flask_simulator.dialled == ["+493023125100"]


@pytest.mark.parametrize(
    "token", [{}, {"token": ""}, {"token": "too short"}], ids=["none", "empty", "wrong"]
)
def test_flask_refuses_a_form_without_a_token(
    visitor: FlaskClient, flask_simulator: Simulator, token: dict[str, str]
) -> None:
    response = visitor.post("/callback", data={"number": NUMBER, **token})
    assert response.status_code == 409
    assert "reload the page" in response.text
    assert flask_simulator.dialled == []


def test_flask_refuses_a_second_form_while_a_call_is_running(
    visitor: FlaskClient, flask_simulator: Simulator
) -> None:
    tokens = [token_in(visitor.get("/").text) for _ in range(2)]
    assert visitor.post("/callback", data={"number": NUMBER, "token": tokens[0]}).status_code == 201
    assert visitor.post("/callback", data={"number": NUMBER, "token": tokens[1]}).status_code == 409
    assert len(flask_simulator.dialled) == 1


def test_flask_accepts_the_same_form_with_a_corrected_number(
    visitor: FlaskClient, flask_simulator: Simulator
) -> None:
    token = token_in(visitor.get("/").text)
    response = visitor.post("/callback", data={"number": "soon", "token": token})
    assert response.status_code == 422
    assert token_in(response.text) == token
    assert visitor.post("/callback", data={"number": NUMBER, "token": token}).status_code == 201
    assert flask_simulator.dialled == ["+493023125100"]


def test_flask_calls_one_number_per_form(visitor: FlaskClient, flask_simulator: Simulator) -> None:
    flask_simulator.inject(faults.HttpError(429), on="init")
    token = token_in(visitor.get("/").text)
    refused = visitor.post("/callback", data={"number": NUMBER, "token": token})
    assert (refused.status_code, token_in(refused.text)) == (503, token)
    other = visitor.post("/callback", data={"number": "+49 30 23125 101", "token": token})
    assert (other.status_code, "reload the page" in other.text) == (409, True)
    assert token_in(visitor.get("/").text) != token
    assert visitor.post("/callback", data={"number": NUMBER, "token": token}).status_code == 201
    assert flask_simulator.dialled == ["+493023125100"]


def test_flask_shows_the_form_again_if_the_other_of_two_posts_was_refused(
    visitor: FlaskClient, flask_app: Flask, flask_simulator: Simulator
) -> None:
    """The browser kept the response that said that the phone may ring."""
    flask_simulator.inject(faults.HttpError(429), on="init")
    data = {"number": NUMBER, "token": token_in(visitor.get("/").text)}
    assert flask_app.test_client().post("/callback", data=data).status_code == 503
    with visitor.session_transaction() as session:
        session["token"] = data["token"]
    assert token_in(visitor.get("/").text) == data["token"]


def test_flask_shows_the_progress_in_each_worker_with_the_same_secret_key(
    flask_simulator: Simulator, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", "the same for all workers")
    with flask_simulator.client(ledger=ledger) as tenios:
        workers = [load("flask").create_app(tenios, ledger) for _ in range(2)]
        visitor = workers[0].test_client()
        data = {"token": token_in(visitor.get("/").text), "number": NUMBER}
        assert visitor.post("/callback", data=data).status_code == 201
        visitor.application = workers[1]
        assert "Your call: REQUESTED" in visitor.get("/").text
        assert visitor.post("/callback", data=data).status_code == 201
    assert len(flask_simulator.dialled) == 1


# Several worker processes.


@contextmanager
def worker(example: str, **variables: str) -> Iterator[str]:
    """Run an example as a program. Yields its address."""
    command = [sys.executable, str(EXAMPLES / example / "app.py")]
    environment = {**os.environ, "PORT": "0", **variables}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        found = None
        for line in process.stderr:
            if found := re.search(r"running on (http://127\.0\.0\.1:\d+)", line, re.IGNORECASE):
                break
        drain = threading.Thread(target=process.stderr.read)
        drain.start()
        try:
            assert found, "The example has ended."
            yield found[1]
        finally:
            process.terminate()
            drain.join()


@pytest.mark.parametrize(
    ("example", "path", "as_json"), [("fastapi", "/callbacks", True), ("flask", "/callback", False)]
)
@pytest.mark.parametrize("outcome", ["placed", "unknown"])
def test_two_workers_start_one_callback_for_a_form(
    example: str, path: str, *, as_json: bool, outcome: str, url: str
) -> None:
    """Both receive the form at once, and again afterwards."""
    arrived, go_on = threading.Event(), threading.Event()

    def hold(connection: Connection) -> None:
        arrived.set()
        assert go_on.wait(60)
        (respond("200 OK", {"id": 10}) if outcome == "placed" else drop)(connection)

    def send(address: str) -> httpx.Response:
        return httpx.post(
            address + path,
            timeout=60,
            json=data if as_json else None,
            data=None if as_json else data,
        )

    with ExitStack() as stack:
        server = stack.enter_context(FaultServer(hold))
        settings = {
            "TENIOS_ACCESS_KEY": "KEY",
            "TENIOS_CALLBACK_CONFIG_ID": "CONFIG",
            "TENIOS_BASE_URL": server.url,
            "TENIOS_LEDGER": url,
        }
        workers = [stack.enter_context(worker(example, **settings)) for _ in range(2)]
        pool = stack.enter_context(ThreadPoolExecutor())
        data = {"token": token_in(httpx.get(workers[0]).text), "number": "030 23125 100"}
        first = pool.submit(send, workers[0])
        assert arrived.wait(60)
        second = send(workers[1])
        go_on.set()
        statuses = [first.result().status_code, *(send(each).status_code for each in workers)]
        assert second.status_code == 502
        assert "please call us" in second.text
        assert statuses == [201 if outcome == "placed" else 502] * 3
        assert server.received == {"/callback/init": 1}
