"""
A "call me back" page with FastAPI: visitors enter a number and see the progress of their call live.

    python examples/fastapi/app.py

Without TENIOS_ACCESS_KEY the page uses a simulator in this process, and no phone rings.

Each form carries a token and starts at most one call, even if it is sent twice at once, or again after an outcome that is
unknown. The tokens and the limits are kept in the memory of this process. With several processes a form still starts at most
one call, but a form that reaches another process than the one that served it is refused, as is any form after a restart, and
each process counts calls by itself. So run one worker, or keep the forms and the limits in a shared store.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections import defaultdict, deque
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import phonenumbers
import uvicorn
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse, StreamingResponse
from phonenumbers import PhoneNumberType
from pydantic import BaseModel, Field

from tenios_ext import AsyncTenios, CallbackHandle, NotPlacedError, OutcomeUnknownError, TeniosError, to_e164
from tenios_simulator import BASE_URL, Simulator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tenios_ext import AsyncCallback

REGION = "DE"
# A form that calls any number invites pranks and fraud. So premium-rate and foreign numbers are refused, and calls are limited.
ALLOWED_TYPES = {
    PhoneNumberType.FIXED_LINE,
    PhoneNumberType.MOBILE,
    PhoneNumberType.FIXED_LINE_OR_MOBILE,
    PhoneNumberType.UNKNOWN,
}
CALLS_PER_NUMBER, CALLS_PER_VISITOR = 2, 5
HOUR = 3600.0
MAX_FORMS = 10_000
MAY_RING = "Your phone may ring in a moment. If it does not ring within two minutes, please call us."
PAGE = Path(__file__).with_name("page.html").read_text(encoding="utf-8")

#: What the visitor reads for each status.
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


class RateLimit:
    """Allows a number of calls per hour for each key."""

    def __init__(self, calls: int) -> None:
        self._calls = calls
        self._used: defaultdict[str, deque[float]] = defaultdict(deque)

    def allows(self, key: str) -> bool:
        """Return whether one more call is allowed, and count it if so."""
        now, used = time.monotonic(), self._used[key]
        while used and used[0] < now - HOUR:
            used.popleft()
        if len(used) >= self._calls:
            return False
        used.append(now)
        return True


class Form:
    """A form that was served. If it is used and has no handle, its call is being started or its outcome is unknown."""

    def __init__(self) -> None:
        self.used = False
        self.handle: CallbackHandle | None = None


class Forms(dict[str, Form]):
    """The latest forms, by token. Forgetting one is safe, because an unknown token starts no call."""

    def add(self) -> str:
        """Return the token of a new form. It is random, because a visitor could guess the ids of other callbacks."""
        token = secrets.token_urlsafe(16)
        self[token] = Form()
        if len(self) > MAX_FORMS:
            del self[next(iter(self))]
        return token


class FormData(BaseModel):
    """The form as the page sends it."""

    token: str = ""
    number: str = Field(max_length=40)


def client() -> AsyncTenios:
    """Return a client of TENIOS if there is an access key, else of a simulator in this process."""
    if os.environ.get("TENIOS_ACCESS_KEY"):
        return AsyncTenios()
    simulator = Simulator(real_time=True)
    access_key, config_id = simulator.account
    return AsyncTenios(access_key, config_id, base_url=BASE_URL, transport=simulator.transport)


def validated(text: str) -> str:
    """Return the number as E.164, or refuse it with a message for the visitor."""
    try:
        number = to_e164(text, region=REGION)
    except ValueError:
        raise HTTPException(422, "This does not look like a phone number.") from None
    parsed = phonenumbers.parse(number)
    region = phonenumbers.region_code_for_number(parsed)
    if region not in {REGION, None} or phonenumbers.number_type(parsed) not in ALLOWED_TYPES:
        raise HTTPException(422, "We can only call ordinary German numbers.")
    return number


async def start_callback(tenios: AsyncTenios, form: Form, number: str) -> None:
    """Start the callback once. If that fails, raise an error with a message for the visitor."""
    # The form is marked before the call, without an await since it was checked, so that a second request finds the mark.
    # It stays marked unless it is certain that no call was started.
    form.used = True
    try:
        callback = await tenios.start_callback(number, agent_announcement="A visitor of the website asked for a call.")
    except OutcomeUnknownError:
        raise HTTPException(502, MAY_RING) from None
    except NotPlacedError:
        form.used = False
        raise HTTPException(503, "We cannot call you right now. Please try again later.") from None
    form.handle = callback.handle


async def stream(callback: AsyncCallback) -> AsyncIterator[str]:
    """Yield a server-sent event for each status, then one that ends the stream."""
    try:
        async for status in callback.watch():
            yield f"data: {json.dumps(MESSAGES.get(status, 'One moment.'))}\n\n"
        yield "event: end\ndata: ended\n\n"
    except TeniosError:
        yield f"data: {json.dumps('We cannot show the progress of your call. The call itself goes on.')}\n\n"
        yield "event: end\ndata: unknown\n\n"


def create_app(tenios: AsyncTenios | None = None) -> FastAPI:
    """Return the application. Tests pass a client of their own."""
    tenios = tenios or client()
    forms = Forms()
    per_number, per_visitor = RateLimit(CALLS_PER_NUMBER), RateLimit(CALLS_PER_VISITOR)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with tenios:
            yield

    app = FastAPI(title="Call me back", lifespan=lifespan)

    @app.get("/")
    async def page() -> HTMLResponse:
        html = PAGE.replace("{{ token }}", forms.add())
        return HTMLResponse(html, headers={"Cache-Control": "no-store"})  # each visitor needs a token of their own

    @app.post("/callbacks", status_code=201)
    async def start(data: FormData, request: Request) -> dict[str, str]:
        form = forms.get(data.token)
        if form is None:
            raise HTTPException(410, "This form has expired. Please reload the page.")
        if form.used and form.handle is None:
            raise HTTPException(409, MAY_RING)
        if not form.used:
            number = validated(data.number)
            visitor = request.client.host if request.client else ""
            if not (per_visitor.allows(visitor) and per_number.allows(number)):
                raise HTTPException(429, "You have asked for several calls already. Please try again in an hour.")
            await start_callback(tenios, form, number)
        return {"token": data.token}

    @app.get("/callbacks/{token}/events")
    async def events(token: str) -> StreamingResponse:
        form = forms.get(token)
        if form is None or form.handle is None:
            raise HTTPException(404, "There is no such callback.")
        return StreamingResponse(stream(tenios.callback(form.handle)), media_type="text/event-stream")

    return app


if __name__ == "__main__":
    uvicorn.run(create_app(), port=int(os.environ.get("PORT", "8000")))
