"""
A "call me back" form with Django, without asyncio or JavaScript: one view starts the callback, and
the page polls its status from another.

    SECRET_KEY=... python examples/django/app.py
    SECRET_KEY=... gunicorn --chdir examples/django app

Without TENIOS_ACCESS_KEY the application uses a simulator in this process, and no phone rings.

This is one file for reading. In your project, use your own settings, and make the rest a module of
views. It shares examples/page.html with the Flask example, which explains the tokens and
SECRET_KEY. A visitor may open several forms, so limit calls as in the FastAPI example.

The ledger is not one of Django's DATABASES, even in the same PostgreSQL database. It has its own
connections, and CONN_MAX_AGE and ATOMIC_REQUESTS do not apply to them. If your transaction is
rolled back, a call and its ledger entry remain, so start callbacks in transaction.on_commit().
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from wsgiref.simple_server import make_server

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.shortcuts import render
from django.urls import path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

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

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

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


@cache  # one client for all threads of a process
def connect() -> tuple[Tenios, Ledger]:
    """Return a client of TENIOS, or of a simulator if there is no access key, and its ledger."""
    if os.environ.get("TENIOS_ACCESS_KEY"):
        ledger = Ledger(os.environ.get("TENIOS_LEDGER", "sqlite:///callbacks.db"))
        return Tenios(region="DE", allowed_regions=["DE"], ledger=ledger), ledger
    # The ids of each simulator begin at 10, so each needs a new ledger.
    ledger = Ledger(f"sqlite:///{tempfile.mkdtemp()}/callbacks.db")
    simulator = Simulator(real_time=True)
    return simulator.client(region="DE", allowed_regions=["DE"], ledger=ledger), ledger


def page(
    request: HttpRequest,
    message: str,
    status: int = 200,
    *,
    token: str = "",
    refresh: bool = False,
    ended: bool = False,
) -> HttpResponse:
    """Return the page, with a form if there is a token. If *ended*, forget the visitor's token."""
    number = request.POST.get("number", "")
    context = {"message": message, "token": token, "number": number, "refresh": refresh}
    response = render(request, "page.html", context, status=status)
    if ended:
        response.delete_cookie("token")
    return response


def visitor_token(request: HttpRequest) -> str | None:
    """Return the token in the visitor's cookie, if it is less than an hour old."""
    token: str | None = request.get_signed_cookie("token", None, max_age=3600)
    return token


def start(request: HttpRequest) -> HttpResponse:
    """Start the callback of a form, unless it has already been started."""
    token = request.POST.get("token", "")
    if visitor_token(request) not in {None, token}:
        return page(request, "You have already requested a call.", 409, refresh=True)
    if not TOKEN.fullmatch(token):
        return page(request, "This form has expired. Please reload the page.", 409)
    tenios, ledger = connect()
    try:
        tenios.start_callback(request.POST.get("number", ""), key=token)
        response = page(request, "We are calling you.", 201, refresh=True)
    except OutcomeUnknownError:
        response = page(request, MAY_RING, 502, refresh=True)
    except NotPlacedError as error:
        entry = ledger.get(token) if isinstance(error, InvalidArgumentError) else None
        if entry is None or entry.state == "not_placed":
            return not_placed(request, error, token, is_new=entry is None)
        text = "We are already calling the number that you entered first."
        response = page(request, text, 409, refresh=True)
    response.set_signed_cookie("token", token, httponly=True, samesite="Lax")
    return response


def not_placed(
    request: HttpRequest, error: NotPlacedError, token: str, *, is_new: bool
) -> HttpResponse:
    """Return the page with the reason why no phone rings."""
    if isinstance(error, InvalidNumberError):
        return page(request, INVALID, 422, token=token, ended=True)
    if not is_new:
        text = "This form has been used for another number. Please reload the page."
        return page(request, text, 409, ended=True)
    logger.warning("No call: %s", error)
    text = "We cannot call you right now. Please try again later."
    return page(request, text, 503, token=token, ended=True)


def index(request: HttpRequest) -> HttpResponse:
    """Return the page with a form, or with the status of the visitor's callback."""
    if not (token := visitor_token(request)):
        return page(request, WELCOME, token=secrets.token_urlsafe(16))
    tenios, ledger = connect()
    try:
        entry = ledger.get(token)
        if entry is None or entry.state == "not_placed":
            return page(request, WELCOME, token=token, ended=True)
        if entry.handle is None:
            return page(request, MAY_RING, refresh=True)
        status = tenios.callback(entry.handle).status()
    except TeniosError:
        text = "We cannot show the progress of your call. The call itself continues."
        return page(request, text, refresh=True)
    # After the end, the next visit shows a new form.
    is_over = is_final(status)
    return page(request, MESSAGES.get(status, "One moment."), refresh=not is_over, ended=is_over)


settings.configure(
    ALLOWED_HOSTS=os.environ.get("ALLOWED_HOSTS", "127.0.0.1,localhost").split(","),
    MIDDLEWARE=["django.middleware.csrf.CsrfViewMiddleware"],
    ROOT_URLCONF=(
        path("", never_cache(require_GET(index))),  # each visitor needs a new token
        path("callback", never_cache(require_POST(start))),
    ),
    SECRET_KEY=os.environ.get("SECRET_KEY") or secrets.token_urlsafe(32),
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "DIRS": [Path(__file__).resolve().parent.parent],
        }
    ],
)
application = get_wsgi_application()

if __name__ == "__main__":
    with make_server("127.0.0.1", int(os.environ.get("PORT", "8000")), application) as server:
        print(f"Running on http://127.0.0.1:{server.server_port}", file=sys.stderr)  # noqa: T201 - a program
        server.serve_forever()
