"""The Flask and Django examples on the simulator."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from support.examples import NUMBER, HeldTransport, hidden_fields, load, token_in

from tenios_ext import Tenios
from tenios_simulator import BASE_URL, Simulator, faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tenios_ext.ledger import Ledger


@pytest.fixture
def simulator() -> Simulator:
    return Simulator()


@pytest.fixture(params=["flask", "django"])
def application(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that returns the application of an example."""
    example = load(request.param)
    if request.param == "flask":
        return example.create_app

    def create_app(tenios: Tenios, ledger: Ledger) -> Any:
        monkeypatch.setattr(example, "connect", lambda: (tenios, ledger))
        return example.application

    return create_app


class Visitor(httpx.Client):
    """A visitor with a cookie jar."""

    def __init__(self, application: Any) -> None:
        transport = httpx.WSGITransport(application)
        super().__init__(transport=transport, base_url="http://127.0.0.1")

    def form(self) -> str:
        """Get a form and return its token."""
        self.fields = hidden_fields(self.get("/").text)
        return self.fields["token"]

    def submit(self, token: str, number: str = NUMBER) -> httpx.Response:
        """Send a form, with Django's token."""
        return self.post("/callback", data={**self.fields, "token": token, "number": number})


@pytest.fixture
def visitors(
    application: Callable[[Tenios, Ledger], Any], simulator: Simulator, ledger: Ledger
) -> Iterator[list[Visitor]]:
    """Two visitors of one application."""
    with simulator.client(ledger=ledger) as tenios:
        app = application(tenios, ledger)
        yield [Visitor(app), Visitor(app)]


@pytest.fixture
def visitor(visitors: list[Visitor]) -> Visitor:
    return visitors[0]


def test_starts_one_callback_and_shows_its_status(visitor: Visitor, simulator: Simulator) -> None:
    token = visitor.form()
    assert visitor.submit(token).status_code == 201
    assert "We are preparing your call." in visitor.get("/").text
    again = visitor.submit(token)
    assert "We are calling you." in again.text
    assert "<form" not in again.text
    simulator.clock.sleep(60)
    assert "Thank you for your call." in visitor.get("/").text
    assert "<form" in visitor.get("/").text
    assert simulator.dialled == ["+493023125100"]


@pytest.mark.parametrize(
    ("refused", "shown"), [(False, "We are preparing your call."), (True, "<form")]
)
def test_shows_the_result_of_the_other_of_two_posts_at_once(
    application: Callable[[Tenios, Ledger], Any],
    simulator: Simulator,
    ledger: Ledger,
    monkeypatch: pytest.MonkeyPatch,
    *,
    refused: bool,
    shown: str,
) -> None:
    """The browser kept only the second response, which said that the phone may ring."""
    monkeypatch.setattr("tenios_ext.ledger._claim.WAIT_SECONDS", 0.0)
    if refused:
        simulator.inject(faults.HttpError(429), on="init")
    transport = HeldTransport(simulator)
    key, config_id = simulator.account
    with (
        Tenios(
            key,
            config_id,
            base_url=BASE_URL,
            transport=transport,
            clock=simulator.clock,
            ledger=ledger,
        ) as tenios,
        ThreadPoolExecutor() as pool,
    ):
        app = application(tenios, ledger)
        visitor, other = Visitor(app), Visitor(app)
        token = visitor.form()
        other.form()
        first = pool.submit(other.submit, token)
        assert transport.held.wait(30)
        try:
            second = visitor.submit(token)
        finally:
            transport.release.set()
        assert first.result().status_code == (503 if refused else 201)
        assert "please call us" in second.text
        assert "<form" not in second.text
        assert shown in visitor.get("/").text
    assert len(simulator.dialled) == (0 if refused else 1)


def test_does_not_call_again_after_an_unknown_outcome(
    visitor: Visitor, simulator: Simulator
) -> None:
    simulator.inject(faults.Drop(), on="init")
    token = visitor.form()
    first, second = visitor.submit(token), visitor.submit(token)
    assert [first.status_code, second.status_code] == [502, 502]
    for response in (first, second, visitor.get("/")):
        assert "please call us" in response.text
        assert "<form" not in response.text
    assert simulator.dialled == ["+493023125100"]


@pytest.mark.parametrize("token", ["", "too short"])
def test_refuses_a_form_without_a_token(visitor: Visitor, simulator: Simulator, token: str) -> None:
    visitor.form()
    response = visitor.submit(token)
    assert response.status_code == 409
    assert "reload the page" in response.text
    assert simulator.dialled == []


def test_refuses_a_second_form_while_a_call_is_running(
    visitor: Visitor, simulator: Simulator
) -> None:
    tokens = [visitor.form() for _ in range(2)]
    assert [visitor.submit(token).status_code for token in tokens] == [201, 409]
    assert len(simulator.dialled) == 1


def test_accepts_the_same_form_with_a_corrected_number(
    visitor: Visitor, simulator: Simulator
) -> None:
    token = visitor.form()
    response = visitor.submit(token, "soon")
    assert response.status_code == 422
    assert "Please enter a German landline or mobile number" in response.text
    assert token_in(response.text) == token
    assert visitor.submit(token).status_code == 201
    assert simulator.dialled == ["+493023125100"]


def test_does_not_blame_the_visitor_for_a_mistake_of_the_program(
    application: Callable[[Tenios, Ledger], Any],
    simulator: Simulator,
    ledger: Ledger,
    caplog: pytest.LogCaptureFixture,
) -> None:
    # Without a callback config id.
    with Tenios("KEY", transport=simulator.transport, base_url=BASE_URL, ledger=ledger) as tenios:
        visitor = Visitor(application(tenios, ledger))
        response = visitor.submit(visitor.form())
    assert response.status_code == 503
    assert "Please try again later" in response.text
    assert "The callback config id is missing" in caplog.text


def test_calls_one_number_per_form(visitor: Visitor, simulator: Simulator) -> None:
    simulator.inject(faults.HttpError(429), on="init")
    token = visitor.form()
    refused = visitor.submit(token)
    assert (refused.status_code, token_in(refused.text)) == (503, token)
    other = visitor.submit(token, "+49 30 23125 101")
    assert (other.status_code, "reload the page" in other.text) == (409, True)
    assert visitor.form() != token
    assert visitor.submit(token).status_code == 201
    assert simulator.dialled == ["+493023125100"]


def test_shows_the_first_callback_if_the_number_is_corrected_too_late(
    visitor: Visitor, simulator: Simulator
) -> None:
    token = visitor.form()
    assert visitor.submit(token).status_code == 201
    other = visitor.submit(token, "+49 30 23125 101")
    assert (other.status_code, "already calling" in other.text) == (409, True)
    assert "We are preparing your call." in visitor.get("/").text
    assert simulator.dialled == ["+493023125100"]


def test_serves_each_visitor_a_token_of_their_own(visitors: list[Visitor]) -> None:
    assert visitors[0].form() != visitors[1].form()
    assert "no-store" in visitors[0].get("/").headers["Cache-Control"]


def test_flask_shows_the_progress_in_each_worker_with_the_same_secret_key(
    simulator: Simulator, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", "the same for all workers")
    with simulator.client(ledger=ledger) as tenios:
        visitor, other = (Visitor(load("flask").create_app(tenios, ledger)) for _ in range(2))
        token = visitor.form()
        assert visitor.submit(token).status_code == 201
        other.form()
        other.cookies.update(visitor.cookies)
        assert "We are preparing your call." in other.get("/").text
        assert other.submit(token).status_code == 201
    assert len(simulator.dialled) == 1
