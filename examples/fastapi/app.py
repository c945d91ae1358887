"""
A "call me back" page with FastAPI: visitors enter a number and see the progress of their call live.

    python examples/fastapi/app.py

Without TENIOS_ACCESS_KEY the page uses a simulator in this process, and no phone rings.

Each form has a token, which is the key of its call. So a form starts at most one call, even if it
is sent twice, to several workers, or again after an unknown outcome or a restart. The ledger that
stores the tokens is set by TENIOS_LEDGER. Calls are counted in memory, so each worker has its own
limits.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import secrets
import tempfile
import time
from collections import defaultdict
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse, StreamingResponse
from pydantic import BaseModel, Field

from tenios_ext import (
    AsyncTenios,
    InvalidArgumentError,
    InvalidNumberError,
    LedgerUnavailableError,
    NotPlacedError,
    OutcomeUnknownError,
    TeniosError,
    to_e164,
)
from tenios_ext.ledger import Ledger
from tenios_simulator import Simulator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tenios_ext import AsyncCallback

# A form that calls any number invites pranks and fraud. So foreign numbers are refused, and calls
# are limited. By default, the client also refuses premium-rate numbers.
REGION = "DE"
ALLOWED_REGIONS = ["DE"]
CALLS_PER_NUMBER, CALLS_PER_VISITOR = 2, 5
HOUR = 3600.0
logger = logging.getLogger(__name__)
TOKEN = re.compile(r"[A-Za-z0-9_-]{22}")
MAY_RING = (
    "Your phone may ring in a moment. If it does not ring within two minutes, please call us."
)
INVALID = "Please enter a German landline or mobile number, such as 0221 4710123."
PAGE = Path(__file__).with_name("page.html").read_text(encoding="utf-8")

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
    """Limits the forms per hour for each key."""

    def __init__(self, forms: int) -> None:
        self._forms = forms
        self._used: defaultdict[str, dict[str, float]] = defaultdict(dict)

    def allows(self, key: str, token: str) -> bool:
        """Return whether a form is allowed, and count it. A repeated form counts once."""
        now = time.monotonic()
        used = self._used[key] = {
            each: at for each, at in self._used[key].items() if at > now - HOUR
        }
        if token not in used and len(used) >= self._forms:
            return False
        used.setdefault(token, now)
        return True


class FormData(BaseModel):
    """The fields of the form."""

    token: str = ""
    number: str = Field(max_length=40)


def connect() -> tuple[AsyncTenios, Ledger]:
    """Return a client of TENIOS, or of a simulator if there is no access key, and its ledger."""
    if os.environ.get("TENIOS_ACCESS_KEY"):
        ledger = Ledger(os.environ.get("TENIOS_LEDGER", "sqlite:///callbacks.db"))
        return AsyncTenios(allowed_regions=ALLOWED_REGIONS, ledger=ledger), ledger
    # The ids of each simulator begin at 10, so each needs a new ledger.
    ledger = Ledger(f"sqlite:///{tempfile.mkdtemp()}/callbacks.db")
    return Simulator(real_time=True).async_client(ledger=ledger), ledger


def validated(text: str) -> str:
    """Return the number in E.164 format, or raise an error with a message for the visitor."""
    try:
        return to_e164(text, region=REGION, allowed_regions=ALLOWED_REGIONS)
    except ValueError:
        raise HTTPException(422, INVALID) from None


async def start_callback(tenios: AsyncTenios, ledger: Ledger, token: str, number: str) -> None:
    """Start the callback of a form once, or raise an error with a message for the visitor."""
    announcement = "A visitor of the website asked for a call."
    try:
        await tenios.start_callback(number, agent_announcement=announcement, key=token)
    except OutcomeUnknownError:
        raise HTTPException(502, MAY_RING) from None
    except InvalidNumberError:
        raise HTTPException(422, INVALID) from None
    except NotPlacedError as error:
        # The form may have been sent with another number before.
        is_used = isinstance(error, InvalidArgumentError)
        entry = await asyncio.to_thread(ledger.get, token) if is_used else None
        if entry is None:
            logger.warning("No call: %s", error)
            text = "We cannot call you right now. Please try again later."
            raise HTTPException(503, text) from None
        if entry.state == "not_placed":
            text = "This form cannot be used for this number. Please reload the page."
            raise HTTPException(410, text) from None
        if entry.handle is None:
            raise HTTPException(502, MAY_RING) from None
        text = "We are already calling the number that you entered first."
        raise HTTPException(409, text) from None


async def stream(callback: AsyncCallback) -> AsyncIterator[str]:
    """Yield a server-sent event for each status, then one for the end of the stream."""
    try:
        async for status in callback.watch():
            yield f"data: {json.dumps(MESSAGES.get(status, 'One moment.'))}\n\n"
        yield "event: end\ndata: ended\n\n"
    except TeniosError:
        text = "We cannot show the progress of your call. The call itself continues."
        yield f"data: {json.dumps(text)}\n\n"
        yield "event: end\ndata: unknown\n\n"


def create_app(tenios: AsyncTenios, ledger: Ledger) -> FastAPI:
    """Return the application, which closes the client and the ledger at its end."""
    per_number, per_visitor = RateLimit(CALLS_PER_NUMBER), RateLimit(CALLS_PER_VISITOR)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with tenios:
            yield
        ledger.close()

    app = FastAPI(title="Call me back", lifespan=lifespan)

    @app.get("/")
    async def page() -> HTMLResponse:
        html = PAGE.replace("{{ token }}", secrets.token_urlsafe(16))
        # Each visitor needs a new token.
        return HTMLResponse(html, headers={"Cache-Control": "no-store"})

    @app.post("/callbacks", status_code=201)
    async def start(data: FormData, request: Request) -> dict[str, str]:
        if not TOKEN.fullmatch(data.token):
            raise HTTPException(410, "This form has expired. Please reload the page.")
        number = validated(data.number)
        visitor = request.client.host if request.client else ""
        if not (per_visitor.allows(visitor, data.token) and per_number.allows(number, data.token)):
            raise HTTPException(
                429, "You have already requested several calls. Please try again in an hour."
            )
        await start_callback(tenios, ledger, data.token, number)
        return {"token": data.token}

    @app.get("/callbacks/{token}/events")
    async def events(token: str) -> StreamingResponse:
        try:
            entry = await asyncio.to_thread(ledger.get, token)
        except LedgerUnavailableError:
            raise HTTPException(
                503, "We cannot show the progress of your call. The call itself continues."
            ) from None
        if entry is None or entry.handle is None:
            raise HTTPException(404, "This callback does not exist.")
        return StreamingResponse(
            stream(tenios.callback(entry.handle)), media_type="text/event-stream"
        )

    return app


if __name__ == "__main__":
    uvicorn.run(create_app(*connect()), port=int(os.environ.get("PORT", "8000")))
