"""
A "call me back" form with Flask, without asyncio or JavaScript: one request starts the callback, and the page polls its status.

    SECRET_KEY=... python examples/flask/app.py

Without TENIOS_ACCESS_KEY the application uses a simulator in this process, and no phone rings.

Each form carries a token and starts at most one call, even if it is sent twice at once, or again after an outcome that is
unknown. The tokens are kept in the memory of this process. With several processes a form still starts at most one call, but
a form that reaches another process than the one that served it is refused, as is any form after a restart. So run one worker
with threads, or keep the forms in a shared store. One visitor may still open several forms: limit calls as the FastAPI
example does.

SECRET_KEY comes from the environment. It signs the cookie that holds the handle of the callback, so set the same value for
all processes. If it is unset, each process makes a random one, and cookies are valid in that process only.
"""

from __future__ import annotations

import os
import secrets
import threading

from flask import Flask, Response, make_response, render_template_string, request, session

from tenios_ext import (
    CallbackHandle,
    InvalidArgumentError,
    NotPlacedError,
    OutcomeUnknownError,
    Tenios,
    TeniosError,
    is_final,
)
from tenios_simulator import BASE_URL, Simulator

MAX_FORMS = 10_000
MAY_RING = "Your phone may ring in a moment. If it does not ring within two minutes, please call us."
PAGE = """<!doctype html>
<html lang="en">
<title>Call me back</title>
{% if refresh %}<meta http-equiv="refresh" content="3; url=/">{% endif %}
<p role="status">{{ message }}</p>
{% if token %}
<form method="post" action="/callback">
  <input type="hidden" name="token" value="{{ token }}">
  <label>Your phone number <input name="number" type="tel" required maxlength="40" value="{{ number }}"></label>
  <button>Call me</button>
</form>
{% endif %}
</html>
"""


class Form:
    """A form that was served. If it is used and has no handle, its call is being started or its outcome is unknown."""

    def __init__(self) -> None:
        self.used = False
        self.handle: str | None = None


class Forms:
    """The latest forms, by token. Forgetting one is safe, because an unknown token starts no call."""

    def __init__(self) -> None:
        self._forms: dict[str, Form] = {}
        self._lock = threading.Lock()

    def add(self) -> str:
        """Return the token of a new form."""
        token = secrets.token_urlsafe(16)
        with self._lock:
            self._forms[token] = Form()
            if len(self._forms) > MAX_FORMS:
                del self._forms[next(iter(self._forms))]
        return token

    def get(self, token: str) -> Form | None:
        """Return the form with this token."""
        return self._forms.get(token)

    def use(self, form: Form) -> bool:
        """Mark the form as used. Return whether this request is the one that may start the call."""
        with self._lock:
            first, form.used = not form.used, True
        return first


def client() -> Tenios:
    """Return a client of TENIOS if there is an access key, else of a simulator in this process."""
    if os.environ.get("TENIOS_ACCESS_KEY"):
        return Tenios(region="DE")
    simulator = Simulator(real_time=True)
    access_key, config_id = simulator.account
    return Tenios(access_key, config_id, base_url=BASE_URL, region="DE", transport=simulator.transport)


def page(message: str, status: int = 200, *, token: str = "", refresh: bool = False) -> Response:
    """Return the page, with the form if there is a token for it."""
    number = request.form.get("number", "")
    html = render_template_string(PAGE, message=message, token=token, number=number, refresh=refresh)
    response = make_response(html, status)
    response.headers["Cache-Control"] = "no-store"  # each visitor needs a token of their own
    return response


def start_callback(tenios: Tenios, form: Form, token: str) -> Response:
    """Start the callback of a form that has been marked as used. The mark is removed only if no call was started."""
    try:
        form.handle = tenios.start_callback(request.form.get("number", "")).handle.to_json()
    except OutcomeUnknownError:
        return page(MAY_RING, 502)
    except NotPlacedError as error:
        form.used = False
        session.clear()
        if isinstance(error, InvalidArgumentError):
            return page(str(error), 422, token=token)
        return page("We cannot call you right now. Please try again later.", 503, token=token)
    session["handle"] = form.handle
    return page("We are calling you.", 201, refresh=True)


def progress(tenios: Tenios) -> Response:
    """Return the page with the status of the visitor's callback."""
    if "handle" not in session:
        return page(MAY_RING, refresh=True)
    try:
        status = tenios.callback(CallbackHandle.from_json(session["handle"])).status()
    except TeniosError:
        return page("We cannot show the progress of your call. The call itself goes on.", refresh=True)
    if is_final(status):
        session.clear()  # the next visit shows a new form
    return page(f"Your call: {status}", refresh=not is_final(status))


def create_app(tenios: Tenios | None = None) -> Flask:
    """Return the application. Tests pass a client of their own. One client serves all threads."""
    tenios = tenios or client()
    forms = Forms()
    app = Flask(__name__)
    app.config.update(
        SECRET_KEY=os.environ.get("SECRET_KEY") or secrets.token_bytes(32),
        PERMANENT_SESSION_LIFETIME=3600,  # after an hour, the visitor may ask for another call
        SESSION_REFRESH_EACH_REQUEST=False,
    )

    @app.post("/callback")
    def start() -> Response:
        token = request.form.get("token", "")
        form = forms.get(token)
        if session.get("token") not in {None, token}:
            return page("You have already asked for a call.", 409, refresh=True)
        if form is None:
            return page("This form has expired. Please reload the page.", 409)
        first = forms.use(form)
        session["token"], session.permanent = token, True
        if first:
            return start_callback(tenios, form, token)
        return page("We are calling you." if form.handle else MAY_RING, refresh=True)

    @app.get("/")
    def index() -> Response:
        token = session.get("token")
        form = forms.get(token or "")
        if token is None or (form and not form.used):
            session.clear()
            return page("Enter your number and we will call you now.", token=token or forms.add())
        # The cookie keeps the handle, so that the page shows the progress after a restart, too.
        if form and form.handle:
            session["handle"] = form.handle
        return progress(tenios)

    return app


if __name__ == "__main__":
    create_app().run(port=int(os.environ.get("PORT", "8000")))
