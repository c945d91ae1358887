"""The Flask example on the simulator."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from support.examples import NUMBER, HeldTransport, load, token_in

from tenios_ext import Tenios
from tenios_simulator import BASE_URL, Simulator, faults

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask
    from flask.testing import FlaskClient

    from tenios_ext.ledger import Ledger


@pytest.fixture
def simulator() -> Simulator:
    return Simulator()


@pytest.fixture
def flask_app(simulator: Simulator, ledger: Ledger) -> Iterator[Flask]:
    with simulator.client(ledger=ledger) as tenios:
        yield load("flask").create_app(tenios, ledger)


@pytest.fixture
def visitor(flask_app: Flask) -> FlaskClient:
    """A visitor of the Flask example, with a cookie jar."""
    return flask_app.test_client()


def test_starts_one_callback_and_shows_its_status(
    visitor: FlaskClient, simulator: Simulator
) -> None:
    data = {"token": token_in(visitor.get("/").text), "number": NUMBER}
    assert visitor.post("/callback", data=data).status_code == 201
    assert "Your call: REQUESTED" in visitor.get("/").text
    again = visitor.post("/callback", data=data)
    assert "We are calling you." in again.text
    assert "<form" not in again.text
    simulator.clock.sleep(60)
    assert "Your call: DISCONNECTED" in visitor.get("/").text
    assert "<form" in visitor.get("/").text
    assert simulator.dialled == ["+493023125100"]


def test_starts_one_callback_for_two_posts_at_once(simulator: Simulator, ledger: Ledger) -> None:
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
    assert simulator.dialled == ["+493023125100"]


def test_does_not_call_again_after_an_unknown_outcome(
    visitor: FlaskClient, simulator: Simulator
) -> None:
    simulator.inject(faults.Drop(), on="init")
    data = {"token": token_in(visitor.get("/").text), "number": NUMBER}
    first, second = visitor.post("/callback", data=data), visitor.post("/callback", data=data)
    assert [first.status_code, second.status_code] == [502, 502]
    for response in (first, second, visitor.get("/")):
        assert "please call us" in response.text
        assert "<form" not in response.text
    assert simulator.dialled == ["+493023125100"]


@pytest.mark.parametrize(
    "token", [{}, {"token": ""}, {"token": "too short"}], ids=["none", "empty", "wrong"]
)
def test_refuses_a_form_without_a_token(
    visitor: FlaskClient, simulator: Simulator, token: dict[str, str]
) -> None:
    response = visitor.post("/callback", data={"number": NUMBER, **token})
    assert response.status_code == 409
    assert "reload the page" in response.text
    assert simulator.dialled == []


def test_refuses_a_second_form_while_a_call_is_running(
    visitor: FlaskClient, simulator: Simulator
) -> None:
    tokens = [token_in(visitor.get("/").text) for _ in range(2)]
    assert visitor.post("/callback", data={"number": NUMBER, "token": tokens[0]}).status_code == 201
    assert visitor.post("/callback", data={"number": NUMBER, "token": tokens[1]}).status_code == 409
    assert len(simulator.dialled) == 1


def test_accepts_the_same_form_with_a_corrected_number(
    visitor: FlaskClient, simulator: Simulator
) -> None:
    token = token_in(visitor.get("/").text)
    response = visitor.post("/callback", data={"number": "soon", "token": token})
    assert response.status_code == 422
    assert token_in(response.text) == token
    assert visitor.post("/callback", data={"number": NUMBER, "token": token}).status_code == 201
    assert simulator.dialled == ["+493023125100"]


def test_calls_one_number_per_form(visitor: FlaskClient, simulator: Simulator) -> None:
    simulator.inject(faults.HttpError(429), on="init")
    token = token_in(visitor.get("/").text)
    refused = visitor.post("/callback", data={"number": NUMBER, "token": token})
    assert (refused.status_code, token_in(refused.text)) == (503, token)
    other = visitor.post("/callback", data={"number": "+49 30 23125 101", "token": token})
    assert (other.status_code, "reload the page" in other.text) == (409, True)
    assert token_in(visitor.get("/").text) != token
    assert visitor.post("/callback", data={"number": NUMBER, "token": token}).status_code == 201
    assert simulator.dialled == ["+493023125100"]


def test_shows_the_first_callback_if_the_number_is_corrected_too_late(
    visitor: FlaskClient, simulator: Simulator
) -> None:
    data = {"number": NUMBER, "token": token_in(visitor.get("/").text)}
    assert visitor.post("/callback", data=data).status_code == 201
    other = visitor.post("/callback", data={**data, "number": "+49 30 23125 101"})
    assert (other.status_code, "already calling" in other.text) == (409, True)
    assert "Your call: REQUESTED" in visitor.get("/").text
    assert simulator.dialled == ["+493023125100"]


def test_shows_the_form_again_if_the_other_of_two_posts_was_refused(
    visitor: FlaskClient, flask_app: Flask, simulator: Simulator
) -> None:
    """The browser kept the response that said that the phone may ring."""
    simulator.inject(faults.HttpError(429), on="init")
    data = {"number": NUMBER, "token": token_in(visitor.get("/").text)}
    assert flask_app.test_client().post("/callback", data=data).status_code == 503
    with visitor.session_transaction() as session:
        session["token"] = data["token"]
    assert token_in(visitor.get("/").text) == data["token"]


def test_shows_the_progress_in_each_worker_with_the_same_secret_key(
    simulator: Simulator, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", "the same for all workers")
    with simulator.client(ledger=ledger) as tenios:
        workers = [load("flask").create_app(tenios, ledger) for _ in range(2)]
        visitor = workers[0].test_client()
        data = {"token": token_in(visitor.get("/").text), "number": NUMBER}
        assert visitor.post("/callback", data=data).status_code == 201
        visitor.application = workers[1]
        assert "Your call: REQUESTED" in visitor.get("/").text
        assert visitor.post("/callback", data=data).status_code == 201
    assert len(simulator.dialled) == 1
