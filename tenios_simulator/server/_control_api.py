"""
The control API, the console's pages and its event stream. ``control.yaml`` describes the API and
validates its requests.

Changes are accepted from the simulator's own page only, and all requests only with an allowed host
name. Otherwise any web page in your browser could control the simulator, for example by DNS
rebinding.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from functools import partial
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from tenios_ext import to_e164
from tenios_ext.openapi import contract_text
from tenios_ext.shared import is_loopback

from .._api import RequestError
from .._engine import ImpossibleActionError, UnknownCallbackError
from .._magic_numbers import MAGIC_NUMBERS
from .._schema import decimal
from ..scenario import Action
from ._events import EventSource
from ._http import (
    HEADERS,
    PREFIX,
    control_document,
    error_response,
    json_response,
    no_content,
    read_document,
)
from ._openapi_page import contract_page
from ._serializers import (
    parse_injection,
    parse_scenario,
    serialize_callback,
    serialize_injection,
    serialize_magic_number,
    serialize_request,
    serialize_response,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterator

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from .._simulator import Simulator

    _Handler = Callable[[Request], Awaitable[Response]]

_MAX_LISTED = 10_000


class ControlAPI:
    """
    The control API as an ASGI application.

    Args:
        simulator: The simulator to control.
        allowed_hosts: Values of the ``Host`` header to allow besides the loopback interface.
        is_stopping: Returns whether the server is shutting down, so that event streams end.
    """

    def __init__(
        self,
        simulator: Simulator,
        *,
        allowed_hosts: Collection[str],
        is_stopping: Callable[[], bool],
    ) -> None:
        self._simulator = simulator
        self._allowed_hosts = {host.lower() for host in allowed_hosts}
        self._event_source = EventSource(simulator, is_stopping=is_stopping)
        routes = [
            self._route("/", GET=_text(_file("index.html"), "text/html")),
            self._route(f"{PREFIX}/console.css", GET=_text(_file("console.css"), "text/css")),
            self._route(f"{PREFIX}/console.js", GET=_text(_file("console.js"), "text/javascript")),
            self._route(f"{PREFIX}/contract", GET=_text(contract_page, "text/html")),
            self._route(f"{PREFIX}/contract.yaml", GET=_text(contract_text, "application/yaml")),
            self._route(f"{PREFIX}/openapi.json", GET=_json(control_document)),
            self._route(f"{PREFIX}/events", GET=self._events),
            self._route(
                f"{PREFIX}/numbers",
                GET=_json(lambda: [*map(serialize_magic_number, MAGIC_NUMBERS.values())]),
            ),
            self._route(
                f"{PREFIX}/callbacks", GET=_json(self._list_callbacks), POST=self._start_callback
            ),
            self._route(f"{PREFIX}/callbacks/{{id}}/actions", POST=self._perform_action),
            self._route(
                f"{PREFIX}/requests",
                GET=_json(lambda: [*map(serialize_request, simulator.requests)]),
            ),
            self._route(f"{PREFIX}/scenarios", POST=self._set_scenario),
            self._route(
                f"{PREFIX}/faults",
                GET=_json(lambda: [*map(serialize_injection, simulator.injections)]),
                POST=self._inject_fault,
                DELETE=_action(simulator.clear_faults),
            ),
            self._route(f"{PREFIX}/reset", POST=_action(simulator.reset)),
        ]
        handlers = {HTTPException: error_response, RequestError: error_response}
        self._app = Starlette(routes=routes, exception_handlers=handlers)
        # A redirect would repeat the Host header, which is not checked for unknown paths.
        self._app.router.redirect_slashes = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    def _route(self, path: str, **handlers: _Handler) -> Route:
        async def endpoint(request: Request) -> Response:
            self._check_origin(request)
            return await handlers["GET" if request.method == "HEAD" else request.method](request)

        return Route(path, endpoint, methods=list(handlers))

    def _check_origin(self, request: Request) -> None:
        host = request.headers.get("host", "")
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            name = ""
        if not is_loopback(name) and name not in self._allowed_hosts:
            raise RequestError(
                403,
                "FORBIDDEN_HOST",
                message=f"The host {host!r} is not allowed. To allow it, start the simulator with "
                "--allow-host.",
            )
        if request.method in {"GET", "HEAD"}:
            return
        site = request.headers.get("sec-fetch-site", "none")
        own_origins = {None, f"http://{host}"}
        if site == "same-origin":
            own_origins.add(f"https://{host}")  # behind a proxy that terminates TLS
        if site not in {"none", "same-origin"} or request.headers.get("origin") not in own_origins:
            raise RequestError(
                403,
                "FORBIDDEN_ORIGIN",
                message="The request comes from another web page. Use the simulator's own page, or "
                "a program that is not a browser.",
            )

    def _list_callbacks(self) -> list[dict[str, Any]]:
        now = self._simulator.clock.now()
        return [serialize_callback(each, now) for each in self._simulator.callbacks[-_MAX_LISTED:]]

    async def _events(self, request: Request) -> Response:
        if request.method == "HEAD":
            return Response(media_type="text/event-stream", headers=HEADERS)
        return StreamingResponse(
            self._event_source.stream(), media_type="text/event-stream", headers=HEADERS
        )

    async def _start_callback(self, request: Request) -> Response:
        document = await read_document(request, "StartCallbackRequest")
        access_key, callback_config_id = self._simulator.account
        with _invalid_value():
            number = to_e164(document["number"])
        body = {
            "access_key": access_key,
            "callback_config_id": callback_config_id,
            "callback_number": number,
            "delay": document.get("delay", 0),
        }
        response = self._simulator.handle_request(
            "POST", "/callback/init", json.dumps(body).encode()
        )
        return json_response(serialize_response(response))

    async def _perform_action(self, request: Request) -> Response:
        document = await read_document(request, "PerformActionRequest")
        given_id = request.path_params["id"]
        callback_id = decimal(given_id)
        if callback_id is None:
            message = f"{given_id!r} is not a callback id. Use a whole number."
            raise RequestError(404, "NOT_FOUND", "id", message=message)
        try:
            self._simulator.perform(callback_id, Action(document["action"]))
        except UnknownCallbackError as error:
            raise RequestError(404, "NOT_FOUND", "id", message=str(error)) from None
        except ImpossibleActionError as error:
            raise RequestError(409, "IMPOSSIBLE_ACTION", "action", message=str(error)) from None
        return json_response(
            serialize_callback(self._simulator.callback(callback_id), self._simulator.clock.now())
        )

    async def _set_scenario(self, request: Request) -> Response:
        document = await read_document(request, "Scenario")
        with _invalid_value():
            self._simulator.set_scenario(parse_scenario(document), number=document.get("number"))
        return no_content()

    async def _inject_fault(self, request: Request) -> Response:
        document = await read_document(request, "Fault")
        with _invalid_value():
            fault, arguments = parse_injection(document)
            self._simulator.inject(fault, **arguments)
        return no_content()


@contextmanager
def _invalid_value() -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise RequestError(400, "INVALID_VALUE", message=str(error)) from None


def _file(name: str) -> Callable[[], str]:
    return partial((files(__package__) / "console" / name).read_text, encoding="utf-8")


def _text(make: Callable[[], str], media_type: str) -> _Handler:
    async def respond(_: Request) -> Response:
        return Response(make(), media_type=media_type, headers=HEADERS)

    return respond


def _json(make: Callable[[], object]) -> _Handler:
    async def respond(_: Request) -> Response:
        return json_response(make())

    return respond


def _action(act: Callable[[], None]) -> _Handler:
    async def respond(_: Request) -> Response:
        act()
        return no_content()

    return respond
