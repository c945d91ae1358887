"""
A "call me back" form with Flask, without asyncio or JavaScript: one request starts the callback,
and the page, examples/page.html, polls its status.

    SECRET_KEY=... python examples/flask/app.py

Without TENIOS_ACCESS_KEY the application uses a simulator in this process, and no phone rings.

Each form has a token, which is the key of its call. So a form starts at most one call, even if it
is sent twice, to several workers, or again after an unknown outcome or a restart. The ledger that
stores the tokens is set by TENIOS_LEDGER. A visitor may open several forms, so limit calls as in
the FastAPI example.

SECRET_KEY signs the cookie that contains the token. Set it to the same value for all processes.
Otherwise, each process uses a random one and accepts only its own cookies.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import tempfile
from pathlib import Path

from flask import Flask, Response, make_response, render_template_string, request, session

from tenios_ext import (
    InvalidArgumentError,
    InvalidNumberError,
    NotPlacedError,
    OutcomeUnknownError,
    Tenios,
    TeniosError,
    is_final,
)
from tenios_ext.ledger import Ledger
from tenios_simulator import Simulator

logger = logging.getLogger(__name__)
TOKEN = re.compile(r"[A-Za-z0-9_-]{22}")
WELCOME = "Enter your number and we will call you now."
MAY_RING = (
    "Your phone may ring in a moment. If it does not ring within two minutes, please call us."
)
INVALID = "Please enter a German landline or mobile number, such as 0221 4710123."
MESSAGES = {
    "REQUESTED": "We are preparing your call.",
    "ACCEPTED": "We are preparing your call.",
    "CALLING_A": "We are calling one of our agents.",
    "CALL_A_FAILED": "Sorry, no agent is free right now. Please try again later.",
    "CALLING_B": "Your phone is ringing.",
    "CALL_B_FAILED": "We could not reach you. Please check the number.",
    "CONNECTED": "You are connected.",
    "DISCONNECTED": "Thank you for your call.",
}
PAGE = (Path(__file__).resolve().parent.parent / "page.html").read_text(encoding="utf-8")


def connect() -> tuple[Tenios, Ledger]:
    """Return a client of TENIOS, or of a simulator if there is no access key, and its ledger."""
    if os.environ.get("TENIOS_ACCESS_KEY"):
        ledger = Ledger(os.environ.get("TENIOS_LEDGER", "sqlite:///callbacks.db"))
        return Tenios(region="DE", allowed_regions=["DE"], ledger=ledger), ledger
    # The ids of each simulator begin at 10, so each needs a new ledger.
    ledger = Ledger(f"sqlite:///{tempfile.mkdtemp()}/callbacks.db")
    simulator = Simulator(real_time=True)
    return simulator.client(region="DE", allowed_regions=["DE"], ledger=ledger), ledger


def page(message: str, status: int = 200, *, token: str = "", refresh: bool = False) -> Response:
    """Return the page, with a form if there is a token."""
    number = request.form.get("number", "")
    html = render_template_string(
        PAGE, message=message, token=token, number=number, refresh=refresh
    )
    response = make_response(html, status)
    response.headers["Cache-Control"] = "no-store"  # each visitor needs a new token
    return response


def start_callback(tenios: Tenios, ledger: Ledger, token: str) -> Response:
    """Start the callback of a form, unless it has already been started."""
    session["token"], session.permanent = token, True
    try:
        tenios.start_callback(request.form.get("number", ""), key=token)
    except OutcomeUnknownError:
        return page(MAY_RING, 502, refresh=True)
    except NotPlacedError as error:
        entry = ledger.get(token) if isinstance(error, InvalidArgumentError) else None
        if entry is not None and entry.state != "not_placed":
            text = "We are already calling the number that you entered first."
            return page(text, 409, refresh=True)
        session.clear()
        if isinstance(error, InvalidNumberError):
            return page(INVALID, 422, token=token)
        if entry is not None:
            return page("This form has been used for another number. Please reload the page.", 409)
        logger.warning("No call: %s", error)
        return page("We cannot call you right now. Please try again later.", 503, token=token)
    return page("We are calling you.", 201, refresh=True)


def progress(tenios: Tenios, ledger: Ledger, token: str) -> Response:
    """Return the page with the status of the visitor's callback."""
    try:
        entry = ledger.get(token)
        if entry is None or entry.state == "not_placed":
            session.clear()
            return page(WELCOME, token=token)
        if entry.handle is None:
            return page(MAY_RING, refresh=True)
        status = tenios.callback(entry.handle).status()
    except TeniosError:
        return page(
            "We cannot show the progress of your call. The call itself continues.", refresh=True
        )
    if is_final(status):
        session.clear()  # the next visit shows a new form
    return page(MESSAGES.get(status, "One moment."), refresh=not is_final(status))


def create_app(tenios: Tenios, ledger: Ledger) -> Flask:
    """Return the application. One client serves all threads."""
    app = Flask(__name__)
    app.config.update(
        SECRET_KEY=os.environ.get("SECRET_KEY") or secrets.token_bytes(32),
        PERMANENT_SESSION_LIFETIME=3600,  # after an hour, the visitor may ask for another call
        SESSION_REFRESH_EACH_REQUEST=False,
    )

    @app.post("/callback")
    def start() -> Response:
        token = request.form.get("token", "")
        if session.get("token") not in {None, token}:
            return page("You have already requested a call.", 409, refresh=True)
        if not TOKEN.fullmatch(token):
            return page("This form has expired. Please reload the page.", 409)
        return start_callback(tenios, ledger, token)

    @app.get("/")
    def index() -> Response:
        if token := session.get("token"):
            return progress(tenios, ledger, token)
        return page(WELCOME, token=secrets.token_urlsafe(16))

    return app


if __name__ == "__main__":
    create_app(*connect()).run(port=int(os.environ.get("PORT", "8000")))
