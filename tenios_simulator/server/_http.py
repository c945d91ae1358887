"""The requests and responses of the control API."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, cast

import yaml
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from .._api import LARGEST_BODY, RequestError, parse_body
from .._schema import RequestSchema

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

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


@cache
def control_document() -> Mapping[str, Any]:
    """Return the OpenAPI description of the control API."""
    return cast(
        "Mapping[str, Any]",
        yaml.safe_load((files(__package__) / "control.yaml").read_text(encoding="utf-8")),
    )


async def read_body(request: Request) -> bytes:
    """
    Return the body of a request, or its beginning if it is longer than :data:`LARGEST_BODY`.

    Raises:
        ClientDisconnect: The client disconnected before the end of the request.
    """
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_BODY:
            break
    return body


async def read_document(request: Request, schema_name: str) -> dict[str, Any]:
    """Return the JSON object in *request*. Raises RequestError if it is invalid."""
    body = await read_body(request)
    schema = _schema(schema_name)
    document = schema.with_integers(parse_body(body, request.headers.get("content-type", "")))
    if violation := schema.violation(document):
        code, text = _FIELD_ERRORS[violation.kind]
        text += "s" if len(violation.fields) > 1 else ""
        message = (
            f"{text}: {', '.join(violation.fields)}. See {schema_name} in {PREFIX}/openapi.json."
        )
        raise RequestError(400, code, *violation.fields, message=message)
    return document


@cache
def _schema(name: str) -> RequestSchema:
    return RequestSchema(control_document(), name)


async def error_response(_: Request, error: Exception) -> Response:
    """Return the response for a RequestError, or for an HTTPException of the router."""
    headers: Mapping[str, str] = {}
    if isinstance(error, HTTPException):
        code, message = _ROUTER_ERRORS[error.status_code]
        headers = error.headers or {}
        error = RequestError(error.status_code, code, message=message)
    response = cast("RequestError", error).response
    return JSONResponse(response.body, response.status, {**HEADERS, **response.headers, **headers})


def json_response(content: object) -> Response:
    """Return *content* as JSON."""
    return JSONResponse(content, headers=HEADERS)


def no_content() -> Response:
    """Return an empty response."""
    return Response(status_code=204, headers=HEADERS)
