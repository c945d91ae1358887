"""An answer of the simulator, before it is HTTP."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

from attrs import field, frozen

if TYPE_CHECKING:
    from collections.abc import Mapping


@frozen
class Reply:
    """
    An answer, or what becomes of it.

    Attributes:
        status: HTTP's number for it.
        body: What becomes JSON.
        headers: Those beside ``Content-Length``, and a content type of ``application/json``.
        raw: Bytes that are sent in place of *body*.
        wait: Seconds until it is sent.
        lost: The end that the connection takes instead: closed, or reset.
    """

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(factory=dict)
    raw: bytes | None = None
    wait: float = 0
    lost: Literal["dropped", "reset"] | None = None

    @property
    def content(self) -> bytes:
        """The bytes of the body."""
        return self.raw if self.raw is not None else json.dumps(self.body).encode()
