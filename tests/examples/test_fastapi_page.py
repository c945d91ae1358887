"""The page of the FastAPI example in a browser."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser, Page, Route, expect
from support.browser import chromium
from support.examples import load
from support.serving import serving_app

from tenios_simulator import Action, Simulator
from tenios_simulator._clocks import ScaledClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tenios_ext.ledger import Ledger


@pytest.fixture
def simulator() -> Simulator:
    """A simulator that is a hundred times faster than real time."""
    return Simulator(clock=ScaledClock(100))


@pytest.fixture
def address(simulator: Simulator, ledger: Ledger) -> Iterator[str]:
    """The address of the FastAPI example on the simulator."""
    app = load("fastapi").create_app(simulator.async_client(ledger=ledger), ledger)
    with serving_app(app) as address:
        yield address


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
    """Also takes the screenshot for the docs; see ``make pictures``."""
    progress = page.get_by_role("status")
    request_call(page, "030 23125 300")  # the magic number of the manual scenario
    expect(progress).to_have_text("We are calling one of our agents.")
    expect(page.get_by_role("button")).to_be_disabled()
    [callback] = simulator.callbacks
    simulator.perform(callback.id, Action.AGENT_ANSWERS)
    expect(progress).to_have_text("Your phone is ringing.")
    page.screenshot(path=Path(os.environ.get("PICTURES", tmp_path)) / "call-me-back.png")
    simulator.perform(callback.id, Action.CUSTOMER_DECLINES)
    expect(progress).to_have_text("We could not reach you. Please check the number.")
    expect(page.get_by_role("link", name="Request another call")).to_be_visible()
    expect(page.get_by_role("button")).to_be_disabled()
    assert simulator.dialled == ["+493023125300"]


def test_page_says_why_nothing_was_called_and_accepts_a_corrected_number(
    page: Page, simulator: Simulator
) -> None:
    for number, message in (
        ("soon", "Please enter a German landline or mobile number, such as 0221 4710123."),
        ("0900 1234567", "Please enter a German landline or mobile number, such as 0221 4710123."),
        ("again", "Please enter a German landline or mobile number, such as 0221 4710123."),
        (
            "+1 202 555 0123",
            "Please enter a German landline or mobile number, such as 0221 4710123.",
        ),
    ):
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
    page.get_by_role("link", name="Request another call").click()
    request_call(page, "030 23125 101")
    expect(page.get_by_role("status")).to_contain_text("no agent is free")
    assert simulator.dialled == ["+493023125101"]


def test_page_shows_the_first_callback_if_the_number_is_corrected_too_late(
    page: Page, simulator: Simulator
) -> None:
    def lose_response(route: Route) -> None:
        route.fetch()
        route.abort()

    page.route("**/callbacks", lose_response, times=1)
    request_call(page, "030 23125 300")
    expect(page.get_by_role("status")).to_contain_text("We could not reach the server.")
    request_call(page, "030 23125 101")
    expect(page.get_by_role("status")).to_have_text(
        "We are already calling the number that you entered first. We are calling one of our "
        "agents."
    )
    expect(page.get_by_role("button")).to_be_disabled()
    assert simulator.dialled == ["+493023125300"]


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
        page.get_by_role("link", name="Request another call").click()
    request_call(page, "030 23125 101")
    expect(page.get_by_role("status")).to_contain_text("You have already requested several calls.")
    assert len(simulator.dialled) == 2
