"""The examples, as their visitors see them."""

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
from tenios_ext.simulator import BASE_URL, Move, Simulator, faults
from tenios_ext.simulator.server import FastClock

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def load(name: str) -> Any:
    """An example's module."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / name / "app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def simulator() -> Simulator:
    """Ten times as fast as life."""
    return Simulator(clock=FastClock(10))


@pytest.fixture
def address(simulator: Simulator) -> Iterator[str]:
    """The FastAPI example, on the simulator."""
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


def ask_for_a_call(page: Page, number: str) -> None:
    page.get_by_label("Your telephone number").fill(number)
    page.get_by_role("button", name="Call me").click()


def test_visitor_sees_what_happens(page: Page, simulator: Simulator, tmp_path: Path) -> None:
    """From the click to the end, in words that a visitor understands; and this is what it looks like."""
    news = page.get_by_role("status")
    ask_for_a_call(page, "030 23125 300")  # nothing moves there until somebody makes a move
    expect(news).to_have_text("We are getting somebody for you.")
    [callback] = simulator.callbacks
    simulator.play(callback.id, Move.AGENT_ANSWERS)
    expect(news).to_have_text("Your telephone is ringing.")
    page.screenshot(path=Path(os.environ.get("PICTURES", tmp_path)) / "call-me-back.png")
    simulator.play(callback.id, Move.CUSTOMER_DECLINES)
    expect(news).to_have_text("We could not reach you. Please check the number.")
    expect(page.get_by_role("button")).to_be_enabled()
    assert simulator.dialled == ["+493023125300"]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        ("soon", "This does not look like a telephone number."),
        ("0900 1234567", "We can only call ordinary German numbers."),
        ("+1 202 555 0123", "We can only call ordinary German numbers."),
        ("030 23125 601", "Your telephone may ring in a moment."),
        ("030 23125 429", "We cannot call just now."),
    ],
)
def test_visitor_is_told_the_truth(page: Page, simulator: Simulator, number: str, words: str) -> None:
    """Numbers that nobody should be called at, dials that failed, and one of which nobody knows."""
    ask_for_a_call(page, number)
    expect(page.get_by_role("status")).to_contain_text(words)
    assert len(simulator.dialled) == ("may ring" in words)


def test_form_is_no_toy(page: Page, simulator: Simulator) -> None:
    """The same number is called twice an hour, and no more."""
    for _ in range(2):
        ask_for_a_call(page, "030 23125 101")
        expect(page.get_by_role("status")).to_have_text("Sorry, nobody is free just now. Please try again later.")
        expect(page.get_by_role("button")).to_be_enabled()
    ask_for_a_call(page, "030 23125 101")
    expect(page.get_by_role("status")).to_contain_text("a few times already")
    assert len(simulator.dialled) == 2


def test_flask_visitor_polls() -> None:
    """No request waits for a telephone; the handle travels with the visitor; nobody is called twice."""
    simulator = Simulator()
    with simulator.client() as tenios:
        visitor = load("flask").create_app(tenios).test_client()
        assert visitor.get("/callback").status_code == 404
        assert visitor.post("/callback", data={"number": "soon"}).status_code == 422
        assert visitor.post("/callback", data={"number": "+49 30 23125 100"}).status_code == 201
        assert visitor.post("/callback", data={"number": "+49 30 23125 100"}).status_code == 409
        assert visitor.get("/callback").get_json() == {"status": "REQUESTED"}
        simulator.clock.sleep(60)
        assert visitor.get("/callback").get_json() == {"status": "DISCONNECTED"}
        assert simulator.dialled == ["+493023125100"]
        simulator.inject(faults.Drop(), on="init")
        other = load("flask").create_app(tenios).test_client()
        assert other.post("/callback", data={"number": "+49 221 4710 123"}).status_code == 502
