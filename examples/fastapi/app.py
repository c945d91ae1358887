"""
A "call me back" page on FastAPI: the visitor leaves a number and then sees live what happens.

    python examples/fastapi/app.py

Without TENIOS_ACCESS_KEY it runs on the simulator in this process, so that nobody's telephone rings.
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
from fastapi.responses import FileResponse, StreamingResponse
from phonenumbers import PhoneNumberType
from pydantic import BaseModel, Field

from tenios_ext import (
    AsyncTenios,
    CallbackHandle,
    InvalidRequestError,
    NotPlacedError,
    OutcomeUnknownError,
    TeniosError,
    to_e164,
)
from tenios_ext.clock import SYSTEM_CLOCK
from tenios_ext.simulator import BASE_URL, Simulator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

REGION = "DE"
# A form that calls whoever is typed into it is a toy for pranks and for fraud: dear numbers are refused, and so is impatience.
CHEAP = {
    PhoneNumberType.FIXED_LINE,
    PhoneNumberType.MOBILE,
    PhoneNumberType.FIXED_LINE_OR_MOBILE,
    PhoneNumberType.UNKNOWN,
}
HOUR = 3600.0
PER_NUMBER, PER_VISITOR = 2, 5

#: What the visitor is told.
WORDS = {
    "REQUESTED": "We are on it.",
    "ACCEPTED": "We are on it.",
    "CALLING_A": "We are getting somebody for you.",
    "CALL_A_FAILED": "Sorry, nobody is free just now. Please try again later.",
    "CALLING_B": "Your telephone is ringing.",
    "CALL_B_FAILED": "We could not reach you. Please check the number.",
    "CONNECTED": "You are talking.",
    "DISCONNECTED": "Thank you for calling.",
}


class Limit:
    """So many times an hour for each key."""

    def __init__(self, times: int) -> None:
        self._times = times
        self._used: defaultdict[str, deque[float]] = defaultdict(deque)

    def allows(self, key: str) -> bool:
        """Whether once more is allowed; if so, it counts."""
        now, used = time.monotonic(), self._used[key]
        while used and used[0] < now - HOUR:
            used.popleft()
        if len(used) >= self._times:
            return False
        used.append(now)
        return True


class Wish(BaseModel):
    """What the form sends."""

    number: str = Field(max_length=40)


def client() -> AsyncTenios:
    """TENIOS where there is a key; else a simulator in this process."""
    if os.environ.get("TENIOS_ACCESS_KEY"):
        return AsyncTenios()
    simulator = Simulator(clock=SYSTEM_CLOCK)
    access_key, config_id = simulator.account
    return AsyncTenios(access_key, config_id, base_url=BASE_URL, transport=simulator.transport)


def checked(text: str) -> str:
    """The number as E.164; refused where it is none, or a dear or a foreign one."""
    try:
        number = to_e164(text, region=REGION)
    except InvalidRequestError:
        raise HTTPException(422, "This does not look like a telephone number.") from None
    parsed = phonenumbers.parse(number)
    region = phonenumbers.region_code_for_number(parsed)
    if region not in {REGION, None} or phonenumbers.number_type(parsed) not in CHEAP:
        raise HTTPException(422, "We can only call ordinary German numbers.")
    return number


async def dial(tenios: AsyncTenios, number: str) -> CallbackHandle:
    """Start the callback, once; what goes wrong becomes a sentence for the visitor."""
    try:
        callback = await tenios.start_callback(
            number, agent_announcement="A visitor of the website wants to be called."
        )
    except OutcomeUnknownError:
        # Trying again could ring twice: the visitor is told the truth instead.
        text = "Your telephone may ring in a moment. If it does not within two minutes, please call us."
        raise HTTPException(502, text) from None
    except NotPlacedError:
        raise HTTPException(503, "We cannot call just now. Please try again later.") from None
    return callback.handle


def create_app(tenios: AsyncTenios | None = None) -> FastAPI:
    """The application; tests bring a client of their own."""
    tenios = tenios or client()
    # The visitor gets a random token: ids can be counted through.
    handles: dict[str, CallbackHandle] = {}
    per_number, per_visitor = Limit(PER_NUMBER), Limit(PER_VISITOR)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with tenios:
            yield

    app = FastAPI(title="Call me back", lifespan=lifespan)

    @app.get("/")
    async def page() -> FileResponse:
        return FileResponse(Path(__file__).with_name("page.html"))

    @app.post("/callbacks", status_code=201)
    async def start(wish: Wish, request: Request) -> dict[str, str]:
        number = checked(wish.number)
        visitor = request.client.host if request.client else ""
        if not (per_visitor.allows(visitor) and per_number.allows(number)):
            raise HTTPException(429, "That was a few times already. Please try again in an hour.")
        token = secrets.token_urlsafe(16)
        handles[token] = await dial(tenios, number)
        return {"token": token}

    @app.get("/callbacks/{token}/events")
    async def events(token: str) -> StreamingResponse:
        if token not in handles:
            raise HTTPException(404, "There is no such callback.")

        async def stream() -> AsyncIterator[str]:
            try:
                async for status in tenios.callback(handles[token]).watch():
                    yield f"data: {json.dumps(WORDS.get(status, 'One moment.'))}\n\n"
            except TeniosError:
                yield f"data: {json.dumps('We have lost sight of your call; it goes on.')}\n\n"
            yield "event: end\ndata:\n\n"

        return StreamingResponse(stream(), media_type="text/event-stream")

    return app


if __name__ == "__main__":
    uvicorn.run(create_app(), port=int(os.environ.get("PORT", "8000")))
