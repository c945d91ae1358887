"""The console in headless Chromium, with Playwright."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect
from support.browser import chromium
from support.clients import NUMBER
from support.raw_http import INIT
from support.serving import serving

from tenios_ext import OutcomeUnknownError, RejectedError, Tenios
from tenios_simulator import (
    ACCESS_KEY,
    CALLBACK_CONFIG_ID,
    Action,
    Scenario,
    Simulator,
    faults,
)
from tenios_simulator._schema import contract
from tenios_simulator.server._http import PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Locator

    from tenios_simulator import Fault, Server

AXE = Path(__file__).resolve().parents[3] / "tools/node_modules/axe-core/axe.min.js"
VISIBILITY = """state => {
  Object.defineProperty(document, "hidden", { value: state === "hidden", configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
MARKUP = '<img src=x onerror="window.hurt=1"><script>window.hurt=1</script>&amp;\''


@pytest.fixture(scope="module")
def browser() -> Iterator[BrowserContext]:
    with chromium() as browser:
        yield browser.new_context(
            locale="en-GB", timezone_id="UTC", viewport={"width": 1100, "height": 760}
        )


@pytest.fixture
def page(browser: BrowserContext, server: Server, simulator: Simulator) -> Iterator[Page]:
    """
    The connected console. A message in the browser's console fails the test, unless it is about an
    error response.
    """
    page = browser.new_page()
    messages: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.goto(server.address)
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    yield page
    page.close()
    assert [
        message for message in messages if not message.startswith("Failed to load resource")
    ] == []


@pytest.fixture
def tenios(server: Server, simulator: Simulator) -> Iterator[Tenios]:
    """A client over HTTP with the simulator's clock."""
    with Tenios(
        ACCESS_KEY, CALLBACK_CONFIG_ID, base_url=server.address, clock=simulator.clock
    ) as tenios:
        yield tenios


def scenario_form(page: Page) -> Locator:
    return page.get_by_role("form", name="Scenario for new callbacks")


def fault_form(page: Page) -> Locator:
    return page.get_by_role("form", name="Inject a fault")


def select(form: Locator, label: str, option: str) -> None:
    form.get_by_role("combobox", name=label, exact=True).select_option(option)


def set_scenario(page: Page, scenario: str) -> None:
    select(scenario_form(page), "Scenario", scenario)
    scenario_form(page).get_by_role("button", name="Set scenario").click()
    expect(page.locator("#scenario-set")).to_have_text(f"Set for all numbers: {scenario}.")


def test_buttons_perform_actions_in_callback(
    page: Page, simulator: Simulator, tenios: Tenios
) -> None:
    set_scenario(page, "manual: answer and hang up here")
    callback = tenios.start_callback(NUMBER, agent_announcement="About order 4711")
    card = page.get_by_role("article", name=f"Callback {callback.id}")
    expect(card).to_contain_text(NUMBER)
    expect(card).to_contain_text("About order 4711")
    expect(card).to_contain_text("REQUESTED: requested")
    simulator.clock.sleep(3)
    for action, status in [
        ("Answer as agent", "CALLING_B: the customer's phone is ringing"),
        ("Answer as customer", "CONNECTED: connected"),
        ("Hang up", "DISCONNECTED: the call has ended"),
    ]:
        card.get_by_role("button", name=action).click()
        expect(card).to_contain_text(status)
    assert callback.wait().connected
    expect(card.get_by_role("button")).to_have_count(0)


def test_final_status_is_marked_as_success_or_failure(page: Page, tenios: Tenios) -> None:
    for number, result in [("+49 30 23125 100", "connected"), ("+49 30 23125 203", "failed")]:
        callback = tenios.start_callback(number)
        status = page.get_by_role("article", name=f"Callback {callback.id}").locator(".status")
        expect(status).to_have_attribute("data-result", "")
        callback.wait()
        expect(status).to_have_attribute("data-result", result)


def test_console_can_be_used_with_keyboard_and_screen_reader(
    page: Page, simulator: Simulator, tenios: Tenios
) -> None:
    """
    Focus moves from a button that disappears to the next one, and status changes are announced.
    """
    simulator.set_scenario(Scenario.manual())
    callback = tenios.start_callback(NUMBER)
    simulator.clock.sleep(3)
    answer = page.get_by_role("button", name=f"Answer as agent, callback {callback.id}")
    expect(answer).to_be_visible()
    page.get_by_role("link", name="Skip to callbacks").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(answer).to_be_focused()
    page.keyboard.press("Enter")
    expect(
        page.get_by_role("button", name=f"Answer as customer, callback {callback.id}")
    ).to_be_focused()
    expect(page.locator("#updates")).to_have_text(
        f"Callback {callback.id}: the customer's phone is ringing."
    )
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#updates")).to_have_text(
        f"Callback {callback.id}: the customer could not be reached."
    )
    expect(page.get_by_role("heading", name="Callbacks", exact=True)).to_be_focused()


def test_form_starts_callback_to_valid_number_only(page: Page, simulator: Simulator) -> None:
    form = page.get_by_role("form", name="Start a callback")
    form.get_by_label("Phone number").fill("0221 4710")
    form.get_by_role("button", name="Call").click()
    form.get_by_label("Phone number").fill("+49 30 23125 203")
    form.get_by_label("Delay in seconds").fill("5")
    form.get_by_role("button", name="Call").click()
    expect(page.get_by_role("article")).to_contain_text("+493023125203")
    assert [(each.number, each.delay) for each in simulator.callbacks] == [("+493023125203", 5)]


def test_form_injects_fault_that_applies_until_cleared(
    page: Page, simulator: Simulator, tenios: Tenios
) -> None:
    form = fault_form(page)
    injected = page.get_by_role("list", name="Injected faults")
    select(form, "Fault", "HTTP error")
    form.get_by_role("textbox", name="HTTP status").fill("429")
    select(form, "Request", "init")
    select(form, "How often", "always")
    form.get_by_role("button", name="Inject").click()
    expect(injected).to_have_text("http_error 429 on init, always")
    with pytest.raises(RejectedError):
        tenios.start_callback(NUMBER)
    expect(page.get_by_text("(fault: http_error)")).to_be_visible()
    select(form, "Request", "status, counted for each callback")
    select(form, "How often", "once")
    form.get_by_role("button", name="Inject").click()
    expect(injected).to_contain_text("http_error 429 on status, once for each callback")
    page.get_by_role("button", name="Clear all faults").press("Enter")
    expect(injected).to_be_empty()
    expect(form.get_by_role("button", name="Inject")).to_be_focused()
    assert simulator.injections == []
    assert tenios.start_callback(NUMBER).status() == "REQUESTED"


def test_injected_faults_are_described(page: Page, simulator: Simulator) -> None:
    simulator.inject(faults.Drop(), on="init", nth=2, times=3)
    simulator.inject(faults.Drop(), probability=0.5, times=None)
    simulator.inject(faults.Drop(), number=NUMBER)
    expect(page.get_by_role("list", name="Injected faults").get_by_role("listitem")).to_have_text(
        [
            "drop on init, 3 times, starting with request 2",
            "drop on status, always for each callback, with probability 0.5",
            f"drop on status, once for each callback, only for {NUMBER}",
        ]
    )


def test_failed_start_is_shown_until_next_one(page: Page, simulator: Simulator) -> None:
    form = page.get_by_role("form", name="Start a callback")
    messages: dict[Fault, str] = {
        faults.HttpError(503): "HTTP 503",
        faults.Drop(): "No response: connection closed.",
        faults.Reset(): "No response: connection reset.",
    }
    for fault, message in messages.items():
        simulator.inject(fault, on="init")
        form.get_by_role("button", name="Call").click()
        expect(page.get_by_role("alert")).to_have_text(message)
        form.get_by_role("button", name="Call").click()
        expect(page.get_by_role("alert")).to_be_empty()


def test_refusal_of_control_api_is_shown(page: Page) -> None:
    select(fault_form(page), "Fault", "status is behind")
    select(fault_form(page), "Request", "init")
    fault_form(page).get_by_role("button", name="Inject").click()
    expect(page.get_by_role("alert")).to_contain_text("StaleStatus")


def test_reset_removes_callbacks_and_scenario_from_page(
    page: Page, simulator: Simulator, tenios: Tenios
) -> None:
    tenios.start_callback(NUMBER)
    expect(page.get_by_role("article")).to_have_count(1)
    set_scenario(page, "customer is busy")
    page.get_by_role("button", name="Reset the simulator").click()
    expect(page.get_by_role("article")).to_have_count(0)
    expect(page.locator("#scenario-set")).to_be_empty()
    expect(scenario_form(page).get_by_role("combobox")).to_have_value("answered")
    assert simulator.dialled == []


def test_request_log_masks_right_and_wrong_access_keys(
    page: Page, server: Server, tenios: Tenios
) -> None:
    tenios.start_callback(NUMBER)
    wrong = {
        "access_key": "WRONG-KEY",
        "callback_config_id": "WRONG-KEY",
        "callback_number": NUMBER,
        "delay": "0",
    }
    httpx.post(f"{server.address}/callback/init", json=wrong)
    page.get_by_text('init → 400 {"error_code":"BAD_CREDENTIALS"').click()
    expect(page.get_by_text('"callback_config_id": "***"')).to_be_visible()
    text = page.content() + httpx.get(f"{server.address}{PREFIX}/requests").text
    assert ACCESS_KEY not in text
    assert "WRONG-KEY" not in text


def test_request_log_names_the_callback(page: Page, tenios: Tenios) -> None:
    callback = tenios.start_callback(NUMBER)
    callback.status()
    expect(page.locator("#request-log summary")).to_contain_text(
        [f"status of callback {callback.id} → 200", f"init of callback {callback.id} → 200"]
    )


def test_simulated_time_is_called_so(page: Page) -> None:
    expect(page.get_by_text("All times are simulated")).to_be_visible()
    with serving(Simulator(real_time=True)) as server:
        with server.simulator.client() as tenios:
            tenios.start_callback(NUMBER)
        page.goto(server.address)
        expect(page.get_by_role("article")).to_contain_text(NUMBER)
        expect(page.get_by_text("All times are simulated")).to_be_hidden()
        page.goto("about:blank")


def test_callback_is_started_on_a_phone_without_scrolling(page: Page, simulator: Simulator) -> None:
    add_callbacks(simulator)
    page.set_viewport_size({"width": 390, "height": 844})
    page.reload()
    expect(page.get_by_role("article")).to_have_count(4)
    call = page.get_by_role("form", name="Start a callback").get_by_role("button")
    expect(call).to_be_in_viewport(ratio=1)
    expect(page.get_by_role("article").first).to_be_in_viewport()
    expect(page.get_by_role("button", name="Inject")).to_be_hidden()
    page.get_by_text("Inject a fault").click()
    expect(page.get_by_role("button", name="Inject")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_tab_in_front_is_live_if_there_are_many_others(
    page: Page, browser: BrowserContext, tenios: Tenios
) -> None:
    """A browser opens at most six connections to a host."""
    tabs = [page]
    for _ in range(6):
        # To Playwright, every page is visible.
        tabs[-1].evaluate(VISIBILITY, "hidden")
        tabs.append(browser.new_page())
        tabs[-1].goto(page.url)
        expect(tabs[-1].get_by_text("Live", exact=True)).to_be_visible()
    tenios.start_callback(NUMBER)
    expect(tabs[-1].get_by_role("article")).to_contain_text(NUMBER)
    tabs[-1].close()
    expect(page.get_by_role("article")).to_have_count(0)
    page.evaluate(VISIBILITY, "visible")
    expect(page.get_by_role("article")).to_contain_text(NUMBER)
    for tab in tabs[1:-1]:
        tab.close()


def test_markup_from_requests_is_shown_as_text(
    page: Page, server: Server, simulator: Simulator
) -> None:
    for name in [*INIT, "agent_announcement", "dtmf_key_to_trigger_customer_call", MARKUP]:
        httpx.post(f"{server.address}/callback/init", json={**INIT, name: MARKUP})
    status = {"access_key": ACCESS_KEY, "id": simulator.callbacks[0].id}
    simulator.inject(faults.UnknownStatus(MARKUP))
    for change in ({}, {"access_key": MARKUP}, {"id": MARKUP}, {MARKUP: MARKUP}):
        httpx.post(f"{server.address}/callback/status", json={**status, **change})
    expect(page.get_by_text(f"announcement “{MARKUP}”")).to_be_visible()
    expect(page.locator("#request-log details")).to_have_count(len(simulator.requests))
    for summary in page.locator("#request-log summary").all():
        summary.click()
    expect(page.locator("img, main script")).to_have_count(0)
    assert page.evaluate("window.hurt") is None


def test_page_reconnects_after_restart_of_simulator(browser: BrowserContext) -> None:
    with serving(Simulator()) as first:
        port = int(first.address.rpartition(":")[2])
        page = browser.new_page()
        page.goto(first.address)
        expect(page.get_by_text("Live", exact=True)).to_be_visible()
        with first.simulator.client() as tenios:
            tenios.start_callback(NUMBER)
        expect(page.get_by_role("article")).to_contain_text(NUMBER)
        set_scenario(page, "customer is busy")
    expect(page.get_by_text("Connection lost")).to_be_visible()
    other = "+498999998001"
    with serving(Simulator(), port=port) as second, second.simulator.client() as tenios:
        tenios.start_callback(other)
        expect(page.get_by_text("Live", exact=True)).to_be_visible(timeout=20_000)
        expect(page.get_by_role("article")).to_contain_text(other)
        expect(page.locator("#scenario-set")).to_be_empty()
        page.close()


def add_callbacks(simulator: Simulator) -> None:
    """
    Start four callbacks: one fails, one loses its response, one rings at the customer, one is
    delayed.
    """
    with simulator.client() as tenios:
        tenios.start_callback("+49 30 23125 203").wait()
        simulator.inject(faults.Drop(), on="init")
        with pytest.raises(OutcomeUnknownError):
            tenios.start_callback("+49 221 4710 124")
        simulator.set_scenario(Scenario.manual())
        ringing = tenios.start_callback(
            "+49 221 4710 123", agent_announcement="A customer asks about order 4711.", dtmf_key="1"
        )
        simulator.clock.sleep(3)
        tenios.start_callback("+49 89 99998 001", delay=60)
        simulator.perform(ringing.id, Action.AGENT_ANSWERS)
        simulator.clock.sleep(5)
        ringing.status()


def test_pages_are_accessible(
    page: Page, server: Server, simulator: Simulator, tmp_path: Path
) -> None:
    """
    Axe finds no violation on either page in light and dark. Also takes the screenshots for the
    docs.
    """
    add_callbacks(simulator)
    brightness = {}
    schemes: list[Literal["light", "dark"]] = ["light", "dark"]
    for path in ("/", f"{PREFIX}/contract"):
        page.goto(server.address + path)
        if path == "/":
            expect(page.get_by_role("article")).to_have_count(4)
        page.evaluate(AXE.read_text())
        for scheme in schemes:
            page.emulate_media(color_scheme=scheme)
            if path == "/":
                picture = Path(os.environ.get("PICTURES", tmp_path)) / f"console-{scheme}.png"
                page.screenshot(path=picture)
                assert picture.read_bytes().startswith(b"\x89PNG")
            color = page.evaluate("getComputedStyle(document.body).backgroundColor")
            brightness[scheme] = sum(map(int, re.findall(r"\d+", color)[:3]))
            # Only the contrast depends on the scheme.
            options = {} if scheme == "light" else {"runOnly": ["color-contrast"]}
            result = page.evaluate("options => axe.run(options)", options)
            violations = [
                (each["id"], [node["html"] for node in each["nodes"]])
                for each in result["violations"]
            ]
            assert violations == []
            assert len(result["passes"]) > (20 if scheme == "light" else 0)
        assert brightness["light"] > 600
        assert brightness["dark"] < 150


def test_contract_page_shows_operations_and_examples(page: Page) -> None:
    page.get_by_role("link", name="TENIOS API").click()
    summary = contract()["paths"]["/callback/status"]["post"]["summary"]
    expect(page.get_by_role("heading", name=summary)).to_be_visible()
    page.get_by_text("400 BadStatusRequest").first.click()
    expect(
        page.get_by_text("Invalid 'id' input parameter. Invalid value - '999'").first
    ).to_be_visible()
