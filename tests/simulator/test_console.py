"""The console in a real browser: headless Chromium, as Debian and others package it, driven by Playwright."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect
from support.browser import chromium
from support.dialling import NUMBER
from support.serving import serving

from tenios_ext import RejectedError, Tenios
from tenios_ext.simulator import ACCESS_KEY, CALLBACK_CONFIG_ID, Journey, Move, Simulator, faults
from tenios_ext.simulator.control import PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tenios_ext.simulator.server import Server

ROOT = Path(__file__).resolve().parents[2]
MARKUP = '<img src=x onerror="window.hurt=1"><script>window.hurt=1</script>&amp;\''


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, server: Server, simulator: Simulator) -> Iterator[Page]:
    """The console, live; whatever the browser complains about, but a refused order, is an error."""
    context = browser.new_context(locale="en-GB", timezone_id="UTC", viewport={"width": 1100, "height": 760})
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(server.address)
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    yield page
    context.close()
    assert [each for each in complaints if not each.startswith("Failed to load resource")] == []


@pytest.fixture
def tenios(server: Server, simulator: Simulator) -> Iterator[Tenios]:
    """The real client, over HTTP, in the simulator's time."""
    with Tenios(ACCESS_KEY, CALLBACK_CONFIG_ID, base_url=server.address, clock=simulator.clock) as tenios:
        yield tenios


def decide(page: Page, journey: str) -> None:
    """Have all callbacks go so from now on."""
    page.get_by_label("go like this").select_option(journey)
    page.get_by_role("button", name="Decide").click()
    expect(page.get_by_text(f"Callbacks to all numbers: {journey}.")).to_be_visible()


def test_callback_is_played_by_clicking(page: Page, simulator: Simulator, tenios: Tenios) -> None:
    """A callback that the real client started appears, is answered and ended by clicking, and the client hears of it."""
    decide(page, "I play the parties")
    callback = tenios.start_callback(NUMBER, agent_announcement="About order 4711")
    card = page.get_by_role("article", name=f"Callback {callback.id}")
    expect(card).to_contain_text(NUMBER)
    expect(card).to_contain_text("About order 4711")
    expect(card).to_contain_text("REQUESTED: requested")
    simulator.clock.sleep(3)
    for move, shown in [
        ("Agent answers", "CALLING_B: customer's telephone rings"),
        ("Customer answers", "CONNECTED: they talk"),
        ("Hang up", "DISCONNECTED: they have talked"),
    ]:
        card.get_by_role("button", name=move).click()
        expect(card).to_contain_text(shown)
    assert callback.wait().connected
    expect(card.get_by_role("button")).to_have_count(0)


def test_keyboard_alone_will_do(page: Page, simulator: Simulator, tenios: Tenios) -> None:
    """The focus goes from a move to the next one, and what happens is announced."""
    simulator.set_journey(Journey.by_hand())
    callback = tenios.start_callback(NUMBER)
    simulator.clock.sleep(3)
    answers = page.get_by_role("button", name=f"Agent answers, callback {callback.id}")
    expect(answers).to_be_visible()
    page.get_by_role("link", name="Skip to the callbacks").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(answers).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name=f"Customer answers, callback {callback.id}")).to_be_focused()
    expect(page.locator("#news")).to_have_text(f"Callback {callback.id}: customer's telephone rings.")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#news")).to_have_text(f"Callback {callback.id}: customer was not reached.")
    expect(page.get_by_role("heading", name="Callbacks", exact=True)).to_be_focused()


def test_call_can_be_started_from_the_page(page: Page, simulator: Simulator) -> None:
    """Somebody without any client sees a call all the same; a number that cannot be one is not sent."""
    form = page.get_by_role("form", name="Start a callback")
    form.get_by_label("Number").fill("0221 4710")
    form.get_by_role("button", name="Call").click()
    form.get_by_label("Number").fill("+49 30 23125 203")
    form.get_by_label("Delay in seconds").fill("5")
    form.get_by_role("button", name="Call").click()
    expect(page.get_by_role("article")).to_contain_text("+493023125203")
    assert [(each.number, each.delay) for each in simulator.callbacks] == [("+493023125203", 5)]


def test_faults_are_turned_on_and_off(page: Page, simulator: Simulator, tenios: Tenios) -> None:
    """The next dial meets the fault that was chosen, the page shows both, and clearing helps."""
    form = page.get_by_role("form", name="Let something go wrong")
    form.get_by_label("What").select_option("HTTP error")
    form.get_by_role("textbox", name="status").fill("429")
    form.get_by_label("When").select_option("a callback is started")
    form.get_by_label("How often").select_option("always")
    form.get_by_role("button", name="Inject").click()
    expect(page.get_by_role("list", name="Injected faults")).to_have_text("http_error 429 on init, always")
    with pytest.raises(RejectedError):
        tenios.start_callback(NUMBER)
    expect(page.get_by_text("(fault: http_error)")).to_be_visible()
    form.get_by_label("When").select_option("a status is asked for, of each callback")
    form.get_by_label("How often").select_option("once")
    form.get_by_role("button", name="Inject").click()
    expect(page.get_by_role("list", name="Injected faults")).to_contain_text(
        "http_error 429 on status, once for each callback"
    )
    page.get_by_role("button", name="Clear all faults").press("Enter")
    expect(page.get_by_role("list", name="Injected faults")).to_be_empty()
    expect(form.get_by_role("button", name="Inject")).to_be_focused()
    assert simulator.injections == []
    tenios.start_callback(NUMBER)
    page.get_by_role("button", name="Forget everything").click()
    expect(page.get_by_role("article")).to_have_count(0)
    assert simulator.dialled == []


def test_callback_that_was_not_started_is_said(page: Page, simulator: Simulator) -> None:
    """Whoever calls from the page learns there what went wrong."""
    form = page.get_by_role("form", name="Start a callback")
    wrong: list[tuple[faults.Fault, str]] = [
        (faults.HttpError(503), "HTTP 503"),
        (faults.Drop(), "The connection was dropped."),
    ]
    for fault, said in wrong:
        simulator.inject(fault, on="init")
        form.get_by_role("button", name="Call").click()
        expect(page.get_by_role("alert")).to_have_text(said)
    form.get_by_role("button", name="Call").click()
    expect(page.get_by_role("alert")).to_be_empty()


def test_decision_that_was_forgotten_is_shown_no_more(page: Page) -> None:
    """What the page says of the next callbacks is so."""
    form = page.get_by_role("form").filter(has=page.get_by_role("button", name="Decide"))
    form.locator("select").select_option("customer is busy")
    form.get_by_role("button", name="Decide").click()
    expect(page.get_by_text("Callbacks to all numbers: customer is busy.")).to_be_visible()
    page.get_by_role("button", name="Forget everything").click()
    expect(page.get_by_text("Callbacks to all numbers")).to_have_count(0)
    expect(form.locator("select")).to_have_value("answered")


def test_refused_order_is_said(page: Page) -> None:
    """What the simulator refuses is shown where it was asked for."""
    form = page.get_by_role("form", name="Let something go wrong")
    form.get_by_label("What").select_option("status lags behind")
    form.get_by_label("When").select_option("a callback is started")
    form.get_by_role("button", name="Inject").click()
    expect(page.get_by_role("alert")).to_have_text("Lag is a fault of a status; inject it with on='status'.")


def test_request_and_answer_are_shown_without_the_key(page: Page, server: Server, tenios: Tenios) -> None:
    """Whoever looks over the shoulder sees what went over the wire, but no key, neither a right one nor a wrong one."""
    tenios.start_callback(NUMBER)
    wrong = {"access_key": "WRONG-KEY", "callback_config_id": "WRONG-KEY", "callback_number": NUMBER, "delay": "0"}
    httpx.post(f"{server.address}/callback/init", json=wrong)
    refused = page.get_by_text('init → 400 {"error_code":"BAD_CREDENTIALS"')
    refused.click()
    expect(page.get_by_text('"callback_config_id": "***"')).to_be_visible()
    text = page.content() + httpx.get(f"{server.address}{PREFIX}/requests").text
    assert ACCESS_KEY not in text
    assert "WRONG-KEY" not in text


def test_markup_is_shown_as_text(page: Page, server: Server, simulator: Simulator) -> None:
    """Whatever a client puts into any field runs nowhere and is no element."""
    body: dict[str, Any] = {
        "access_key": ACCESS_KEY,
        "callback_config_id": CALLBACK_CONFIG_ID,
        "callback_number": NUMBER,
        "delay": 0,
    }
    for name in [*body, "agent_announcement", "dtmf_key_to_trigger_customer_call", MARKUP]:
        httpx.post(f"{server.address}/callback/init", json={**body, name: MARKUP})
    status = {"access_key": ACCESS_KEY, "id": simulator.callbacks[0].id}
    simulator.inject(faults.UnknownStatus(MARKUP))
    for change in ({}, {"access_key": MARKUP}, {"id": MARKUP}, {MARKUP: MARKUP}):
        httpx.post(f"{server.address}/callback/status", json={**status, **change})
    expect(page.get_by_text(f"announcement “{MARKUP}”")).to_be_visible()
    expect(page.locator("#requests details")).to_have_count(len(simulator.asked))
    for summary in page.locator("#requests summary").all():
        summary.click()
    expect(page.locator("img, main script")).to_have_count(0)
    assert page.evaluate("window.hurt") is None


def test_live_stream_survives_a_restart(browser: Browser) -> None:
    """The page says that the connection is lost, comes back by itself, and shows what the new server knows."""
    with serving(Simulator()) as first:
        port = int(first.address.rpartition(":")[2])
        page = browser.new_page()
        page.goto(first.address)
        expect(page.get_by_text("Live", exact=True)).to_be_visible()
        with first.simulator.client() as tenios:
            tenios.start_callback(NUMBER)
        expect(page.get_by_role("article")).to_contain_text(NUMBER)
    expect(page.get_by_text("Connection lost")).to_be_visible()
    other = "+498999998001"
    with serving(Simulator(), port=port) as second, second.simulator.client() as tenios:
        tenios.start_callback(other)
        expect(page.get_by_text("Live", exact=True)).to_be_visible(timeout=20_000)
        expect(page.get_by_role("article")).to_contain_text(other)
        page.close()


def populate(simulator: Simulator) -> None:
    """A call under way, one that failed, one that was lost on the way, and one that waits."""
    with simulator.client() as tenios:
        tenios.start_callback("+49 30 23125 203").wait()
        simulator.inject(faults.Drop(), on="init")
        with pytest.raises(Exception, match="may be ringing"):
            tenios.start_callback("+49 221 4710 124")
        simulator.set_journey(Journey.by_hand())
        talking = tenios.start_callback(
            "+49 221 4710 123", agent_announcement="A customer asks about order 4711.", dtmf_key="1"
        )
        simulator.clock.sleep(3)
        tenios.start_callback("+49 89 99998 001", delay=60)
        simulator.play(talking.id, Move.AGENT_ANSWERS)
        simulator.clock.sleep(5)
        talking.status()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_can_be_used_by_everybody(
    page: Page, server: Server, simulator: Simulator, scheme: Any, tmp_path: Path
) -> None:
    """Axe finds nothing wrong with either page, in either colour scheme; and this is what the console looks like."""
    page.emulate_media(color_scheme=scheme)
    populate(simulator)
    expect(page.get_by_role("article")).to_have_count(4)
    folder = Path(os.environ.get("PICTURES", tmp_path))
    picture = folder / f"console-{scheme}.png"
    page.screenshot(path=picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
    axe = (ROOT / "node_modules/axe-core/axe.min.js").read_text()
    for path in ("/", f"{PREFIX}/contract"):
        page.goto(server.address + path)
        if path == "/":
            expect(page.get_by_role("article")).to_have_count(4)
        page.evaluate(axe)
        found = page.evaluate("axe.run()")
        assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found["violations"]] == []
        assert len(found["passes"]) > 20


def test_colour_schemes_differ(page: Page) -> None:
    """Dark is dark."""
    shades = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        shades.append(sum(map(int, re.findall(r"\d+", colour)[:3])))
    assert shades[0] > 600
    assert shades[1] < 150


def test_contract_can_be_read(page: Page) -> None:
    """The contract is a click away, and its examples can be opened."""
    page.get_by_role("link", name="Contract").click()
    expect(page.get_by_role("heading", name="Ask how far a callback is")).to_be_visible()
    page.get_by_text("400 BadRequest").first.click()
    expect(page.get_by_text('"error_code": "FIELD_IS_REQUIRED"').first).to_be_visible()
