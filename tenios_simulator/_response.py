"""A response of the simulator, before it becomes HTTP."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

from attrs import field, frozen

if TYPE_CHECKING:
    from collections.abc import Mapping


@frozen
class Response:
    """
    A response, including the effects of a fault.

    Attributes:
        status: The HTTP status code.
        body: The body, which is sent as JSON.
        headers: Headers besides ``Content-Length`` and ``Content-Type: application/json``.
        raw_body: Bytes to send instead of *body*; None to send *body*.
        delay: Seconds to wait before sending.
        disconnect: "close" or "reset" to end the connection instead of responding, or None.
    """

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(factory=dict)
    raw_body: bytes | None = None
    delay: float = 0
    disconnect: Literal["close", "reset"] | None = None

    @property
    def content(self) -> bytes:
        """The body as it is sent."""
        return self.raw_body if self.raw_body is not None else json.dumps(self.body).encode()
