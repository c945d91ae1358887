"""The example web applications on the simulator: the FastAPI page in a browser, and the Flask application by its responses."""

from __future__ import annotations

import importlib.util
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, expect
from support.browser import chromium

from tenios_ext import AsyncTenios
from tenios_simulator import BASE_URL, Action, Simulator, faults
from tenios_simulator._clocks import ScaledClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask.testing import FlaskClient

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
def address(simulator: Simulator) -> Iterator[str]:
    """The address of the FastAPI example, which calls the simulator."""
    key, config_id = simulator.account
    tenios = AsyncTenios(key, config_id, base_url=BASE_URL, transport=simulator.transport, clock=simulator.clock)
    config = uvicorn.Config(load("fastapi").create_app(tenios), port=0, log_level="warning")
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


def test_page_shows_the_progress_of_the_call(page: Page, simulator: Simulator, tmp_path: Path) -> None:
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
    expect(page.get_by_role("button")).to_be_enabled()
    assert simulator.dialled == ["+493023125300"]


@pytest.mark.parametrize(
    ("number", "message", "calls"),
    [
        ("soon", "This does not look like a phone number.", 0),
        ("0900 1234567", "We can only call ordinary German numbers.", 0),
        ("+1 202 555 0123", "We can only call ordinary German numbers.", 0),
        ("030 23125 429", "We cannot call you right now.", 0),
        ("030 23125 601", "Your phone may ring in a moment.", 1),
    ],
    ids=["not a number", "premium rate", "foreign", "rejected", "outcome unknown"],
)
def test_page_says_why_no_call_was_confirmed(
    page: Page, simulator: Simulator, number: str, message: str, calls: int
) -> None:
    request_call(page, number)
    expect(page.get_by_role("status")).to_contain_text(message)
    assert len(simulator.dialled) == calls


def test_page_calls_a_number_at_most_twice_an_hour(page: Page, simulator: Simulator) -> None:
    for _ in range(2):
        request_call(page, "030 23125 101")
        expect(page.get_by_role("status")).to_have_text("Sorry, no agent is free right now. Please try again later.")
        expect(page.get_by_role("button")).to_be_enabled()
    request_call(page, "030 23125 101")
    expect(page.get_by_role("status")).to_contain_text("You have asked for several calls already.")
    assert len(simulator.dialled) == 2


@pytest.fixture
def flask_simulator() -> Simulator:
    return Simulator()


@pytest.fixture
def visitor(flask_simulator: Simulator) -> Iterator[FlaskClient]:
    """A visitor of the Flask example, with a cookie jar."""
    with flask_simulator.client() as tenios:
        yield load("flask").create_app(tenios).test_client()


def test_flask_starts_one_callback_and_returns_its_status(visitor: FlaskClient, flask_simulator: Simulator) -> None:
    assert visitor.get("/callback").status_code == 404
    assert visitor.post("/callback", data={"number": "+49 30 23125 100"}).status_code == 201
    assert visitor.get("/callback").get_json() == {"status": "REQUESTED"}
    assert visitor.post("/callback", data={"number": "+49 30 23125 100"}).status_code == 409
    flask_simulator.clock.sleep(60)
    assert visitor.get("/callback").get_json() == {"status": "DISCONNECTED"}
    assert flask_simulator.dialled == ["+493023125100"]


def test_flask_refuses_a_wrong_number_and_accepts_a_corrected_one(visitor: FlaskClient) -> None:
    assert visitor.post("/callback", data={"number": "soon"}).status_code == 422
    assert visitor.post("/callback", data={"number": "+49 30 23125 100"}).status_code == 201


def test_flask_says_that_the_phone_may_ring_if_the_response_is_lost(
    visitor: FlaskClient, flask_simulator: Simulator
) -> None:
    flask_simulator.inject(faults.Drop(), on="init")
    response = visitor.post("/callback", data={"number": "+49 221 4710 123"})
    assert response.status_code == 502
    assert response.get_json() == {"error": "Your phone may ring in a moment."}
    assert flask_simulator.dialled == ["+492214710123"]
