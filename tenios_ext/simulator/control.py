"""
The control API, the console's page and its live stream: Starlette, small and widely used, routes and answers.

Described by ``control.yaml``, which also judges what comes in. A browser may only use it from the simulator's own page, and only
under a name of this machine: a page elsewhere that had its own name resolved to the loopback would be refused.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import yaml
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from ..contract import contract_text
from ..settings import is_loopback
from . import views
from .exchange import ImpossibleMoveError, UnknownCallbackError
from .journey import Move
from .magic import MAGIC_NUMBERS
from .reading import contract_page
from .service import LARGEST_BODY, json_object
from .shape import Shape, decimal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from .simulator import Simulator

PREFIX = "/_simulator"
_RELOOK_SECONDS = 0.1
_SHOWN = 50
_LISTED = 10_000
_NOT_ALLOWED = 405
_CONSOLE = files(__package__) / "console"
# Nothing of another host is ever loaded, and no other page may frame or read this one.
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@cache
def control_document() -> Mapping[str, Any]:
    """The OpenAPI description of the control API."""
    return cast("Mapping[str, Any]", yaml.safe_load((files(__package__) / "control.yaml").read_text(encoding="utf-8")))


class Refusal(Exception):  # noqa: N818 - never leaves this module
    """What is answered in place of doing something."""

    def __init__(self, status: int, code: str, message: str, *names: str) -> None:
        super().__init__(message)
        body = {"error_code": code, "error_message": message, "fields": list(names)}
        self.response = JSONResponse(body, status, _HEADERS)


class Control:
    """
    The control API as an ASGI application.

    Args:
        simulator: What is controlled.
        hosts: Names beside those of the loopback under which this server may be spoken to.
        stopping: Whether the server is about to end, so that live streams do.
    """

    def __init__(self, simulator: Simulator, *, hosts: Collection[str], stopping: Callable[[], bool]) -> None:
        self._simulator = simulator
        self._hosts = {host.lower() for host in hosts}
        self._stopping = stopping
        routes = [
            self._route("/", GET=_file("index.html", "text/html")),
            self._route(f"{PREFIX}/console.css", GET=_file("console.css", "text/css")),
            self._route(f"{PREFIX}/console.js", GET=_file("console.js", "text/javascript")),
            self._route(f"{PREFIX}/contract", GET=_contract),
            self._route(f"{PREFIX}/contract.yaml", GET=_contract_yaml),
            self._route(f"{PREFIX}/openapi.json", GET=_openapi),
            self._route(f"{PREFIX}/events", GET=self._events),
            self._route(f"{PREFIX}/numbers", GET=self._numbers),
            self._route(f"{PREFIX}/callbacks", GET=self._callbacks, POST=self._dial),
            self._route(f"{PREFIX}/callbacks/{{id}}/moves", POST=self._play),
            self._route(f"{PREFIX}/requests", GET=self._requests),
            self._route(f"{PREFIX}/journeys", POST=self._set_journey),
            self._route(f"{PREFIX}/faults", GET=self._faults, POST=self._inject, DELETE=self._clear_faults),
            self._route(f"{PREFIX}/reset", POST=self._reset),
        ]
        self._app = Starlette(routes=routes, exception_handlers={HTTPException: _unknown})
        self._app.router.redirect_slashes = False  # It would send whoever comes under a foreign name back there.

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._app(scope, receive, send)

    def _route(self, path: str, **verbs: Callable[[Request], Awaitable[Response]]) -> Route:
        async def endpoint(request: Request) -> Response:
            try:
                self._check_origin(request)
                return await verbs["GET" if request.method == "HEAD" else request.method](request)
            except Refusal as refusal:
                return refusal.response

        return Route(path, endpoint, methods=list(verbs))

    def _check_origin(self, request: Request) -> None:
        host = request.headers.get("host", "")
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            name = ""
        if not is_loopback(name) and name not in self._hosts:
            raise Refusal(403, "FORBIDDEN_HOST", "The Host header names another machine; see --allow-host.")
        if request.method in {"GET", "HEAD"}:
            return
        site = request.headers.get("sec-fetch-site", "none")
        own = {None, f"http://{host}"}
        if site == "same-origin":
            own.add(f"https://{host}")  # The browser says so itself, and somebody else ends TLS.
        if site not in {"none", "same-origin"} or request.headers.get("origin") not in own:
            raise Refusal(403, "FORBIDDEN_ORIGIN", "Another page than the simulator's own has sent this.")

    # The record.

    async def _callbacks(self, _: Request) -> Response:
        now = self._simulator.clock.now()
        return _json([views.callback(each, now) for each in self._simulator.callbacks[-_LISTED:]])

    async def _requests(self, _: Request) -> Response:
        return _json([views.asked(each) for each in self._simulator.asked])

    async def _numbers(self, _: Request) -> Response:
        return _json([views.magic(each) for each in MAGIC_NUMBERS.values()])

    async def _faults(self, _: Request) -> Response:
        return _json([views.injection(each) for each in self._simulator.injections])

    async def _events(self, request: Request) -> Response:
        if request.method == "HEAD":
            return Response(media_type="text/event-stream", headers=_HEADERS)
        return StreamingResponse(self._stream(), media_type="text/event-stream", headers=_HEADERS)

    async def _stream(self) -> AsyncIterator[str]:
        """The whole state, as often as it changes: whoever has missed some of it, or the server's end, has missed nothing."""
        yield "retry: 500\n\n"
        shown = None
        while not self._stopping():
            state = json.dumps(self._state())
            if state != shown:
                yield f"data: {state}\n\n"
                shown = state
            await asyncio.sleep(_RELOOK_SECONDS)

    def _state(self) -> dict[str, Any]:
        now = self._simulator.clock.now()
        return {
            "callbacks": [views.callback(each, now) for each in self._simulator.callbacks[-_SHOWN:]],
            "requests": [views.asked(each) for each in self._simulator.asked[-_SHOWN:]],
            "faults": [views.injection(each) for each in self._simulator.injections[-_SHOWN:]],
        }

    # What happens next.

    async def _dial(self, request: Request) -> Response:
        order = await _order(request, "Dial")
        access_key, config_id = self._simulator.account
        body = {
            "access_key": access_key,
            "callback_config_id": config_id,
            "callback_number": order["number"],
            "delay": order.get("delay", 0),
        }
        return _json(views.answer(self._simulator.answer("POST", "/callback/init", json.dumps(body).encode())))

    async def _play(self, request: Request) -> Response:
        order = await _order(request, "Play")
        callback_id = decimal(request.path_params["id"])
        if callback_id is None:
            raise Refusal(404, "NOT_FOUND", "There is no such callback.", "id")
        try:
            self._simulator.play(callback_id, Move(order["move"]))
        except UnknownCallbackError as error:
            raise Refusal(404, "NOT_FOUND", str(error), "id") from None
        except ImpossibleMoveError as error:
            raise Refusal(409, "IMPOSSIBLE_MOVE", str(error), "move") from None
        now = self._simulator.clock.now()
        return _json(views.callback(self._simulator.callback(callback_id), now))

    async def _set_journey(self, request: Request) -> Response:
        order = await _order(request, "Journey")
        with _bad_values():
            self._simulator.set_journey(views.journey_of(order), number=order.get("number"))
        return _done()

    async def _inject(self, request: Request) -> Response:
        order = await _order(request, "Fault")
        with _bad_values():
            fault, place = views.fault_of(order)
            self._simulator.inject(fault, **place)
        return _done()

    async def _clear_faults(self, _: Request) -> Response:
        self._simulator.clear_faults()
        return _done()

    async def _reset(self, _: Request) -> Response:
        self._simulator.reset()
        return _done()


def _json(content: object) -> Response:
    return JSONResponse(content, headers=_HEADERS)


def _done() -> Response:
    return Response(status_code=204, headers=_HEADERS)


def _file(name: str, media_type: str) -> Callable[[Request], Awaitable[Response]]:
    async def answer(_: Request) -> Response:
        return Response((_CONSOLE / name).read_text(encoding="utf-8"), media_type=media_type, headers=_HEADERS)

    return answer


async def _contract(_: Request) -> Response:
    return Response(contract_page(), media_type="text/html", headers=_HEADERS)


async def _contract_yaml(_: Request) -> Response:
    return Response(contract_text(), media_type="application/yaml", headers=_HEADERS)


async def _openapi(_: Request) -> Response:
    return _json(control_document())


async def _unknown(_: Request, error: Exception) -> Response:
    status = cast("HTTPException", error).status_code
    refusal = Refusal(
        status, "METHOD_NOT_ALLOWED" if status == _NOT_ALLOWED else "NOT_FOUND", "There is no such method here."
    )
    refusal.response.headers.update(cast("HTTPException", error).headers or {})
    return refusal.response


@cache
def _shape(name: str) -> Shape:
    return Shape(control_document(), name)


async def _order(request: Request, name: str) -> dict[str, Any]:
    """The JSON object in *request*, as the schema *name* wants it."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refusal(415, "INVALID_CONTENT_TYPE", "The content type is not application/json.")
    body = await read(request.receive)
    if len(body) > LARGEST_BODY:
        raise Refusal(413, "BODY_TOO_LARGE", f"The body has more than {LARGEST_BODY} bytes.")
    document = json_object(body)
    if document is None:
        raise Refusal(400, "INVALID_JSON", "The body is no JSON object.")
    document = _shape(name).with_integers(document)
    if found := _shape(name).error(document):
        code, names = found
        raise Refusal(400, code, f"{code}: {', '.join(names)}; see {PREFIX}/openapi.json.", *names)
    return document


async def read(receive: Receive) -> bytes:
    """
    The body of a request; no more of it than shows that it is too long.

    Raises:
        ClientDisconnect: It did not come whole.
    """
    body = b""
    more = True
    while more and len(body) <= LARGEST_BODY:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


@contextmanager
def _bad_values() -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise Refusal(400, "INVALID_VALUE", str(error)) from None
