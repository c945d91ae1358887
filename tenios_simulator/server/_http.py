"""The requests and responses of the control API."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, cast

import yaml
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from .._api import LARGEST_BODY, json_object
from .._schema import RequestSchema

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.types import Receive

PREFIX = "/_simulator"
# Pages load nothing from other hosts, and no other page may frame or read them.
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors "
        "'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_FIELD_ERRORS = {
    "missing": ("FIELD_IS_REQUIRED", "Missing field"),
    "unknown": ("INVALID_FIELD", "Unknown field"),
    "form": ("INVALID_VALUE", "Invalid field"),
    "value": ("INVALID_VALUE", "Invalid field"),
}
_ROUTER_ERRORS = {
    404: ("NOT_FOUND", f"Unknown path. See {PREFIX}/openapi.json."),
    405: ("METHOD_NOT_ALLOWED", f"Method not allowed for this path. See {PREFIX}/openapi.json."),
}


class HTTPProblem(HTTPException):
    """An error response in the format of TENIOS's errors."""

    def __init__(self, status: int, code: str, message: str, *fields: str) -> None:
        super().__init__(status, message)
        self.code = code
        self.fields = fields


@cache
def control_document() -> Mapping[str, Any]:
    """Return the OpenAPI description of the control API."""
    return cast(
        "Mapping[str, Any]",
        yaml.safe_load((files(__package__) / "control.yaml").read_text(encoding="utf-8")),
    )


async def read_body(receive: Receive) -> bytes:
    """
    Return the body of a request, or its beginning if it is longer than :data:`LARGEST_BODY`.

    Raises:
        ClientDisconnect: The client disconnected before the end of the request.
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


async def read_document(request: Request, schema_name: str) -> dict[str, Any]:
    """Return the JSON object in *request*. Raises HTTPProblem if it is invalid."""
    if (
        request.headers.get("content-type", "").partition(";")[0].strip().lower()
        != "application/json"
    ):
        raise HTTPProblem(415, "INVALID_CONTENT_TYPE", "The content type must be application/json.")
    body = await read_body(request.receive)
    if len(body) > LARGEST_BODY:
        raise HTTPProblem(
            413, "BODY_TOO_LARGE", f"The body must not be larger than {LARGEST_BODY} bytes."
        )
    document = json_object(body)
    if document is None:
        raise HTTPProblem(400, "INVALID_JSON", "The body must be a JSON object.")
    schema = _schema(schema_name)
    document = schema.with_integers(document)
    if violation := schema.violation(document):
        code, text = _FIELD_ERRORS[violation.kind]
        text += "s" if len(violation.fields) > 1 else ""
        message = (
            f"{text}: {', '.join(violation.fields)}. See {schema_name} in {PREFIX}/openapi.json."
        )
        raise HTTPProblem(400, code, message, *violation.fields)
    return document


@cache
def _schema(name: str) -> RequestSchema:
    return RequestSchema(control_document(), name)


async def error_response(_: Request, error: Exception) -> Response:
    """Return the response for an HTTPProblem, or for an HTTPException of the router."""
    http_error = cast("HTTPException", error)
    if isinstance(error, HTTPProblem):
        code, message, fields = error.code, error.detail, error.fields
    else:
        (code, message), fields = _ROUTER_ERRORS[http_error.status_code], ()
    body = {"error_code": code, "error_message": message, "fields": list(fields)}
    return JSONResponse(body, http_error.status_code, {**HEADERS, **(http_error.headers or {})})


def json_response(content: object) -> Response:
    """Return *content* as JSON."""
    return JSONResponse(content, headers=HEADERS)


def no_content() -> Response:
    """Return an empty response."""
    return Response(status_code=204, headers=HEADERS)
