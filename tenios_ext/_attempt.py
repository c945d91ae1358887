"""
What is known of a request while it is made, and how long it may take.

The transports record here what they do, so that "nothing was sent" is a fact that was seen, and not
a guess from the type of an exception that a hook or another library may have raised.
"""

from __future__ import annotations

import math
import os
import sys
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from ._settings import is_tenios

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._settings import Settings

CONNECT_TIMEOUT = 5.0
CONNECT_RETRIES = 2
TOO_LONG = "The whole exchange took too long."


class Attempt:
    """
    What is known of one request while it is made. This, and not the type of an exception, is the
    evidence of what was sent.

    In a ``with`` block, it is the current one, in which the transport records what it does.

    Attributes:
        limit: Seconds that the whole exchange may take, if fewer than the client allows.
        has_hooks: Whether code of the caller's runs before the transport.
        reached_transport: Whether the request got as far as our transport.
        in_library: Whether it was handed on to the HTTP library.
        connecting: Whether our own connections were seen to wait for, or to make, a connection.
            They are not if something else responds in their place, such as a mock.
        may_have_left: Whether a byte of the request may have left this process. A caller's
            transport counts as that.
        http_status: The status of the response, once its headers have been read.
        is_forbidden: Whether nothing may be sent to TENIOS in this process, as in a test run.
    """

    reached_transport = False
    in_library = False
    connecting = False
    may_have_left = False
    http_status: int | None = None
    is_forbidden = False
    _token: Token[Attempt] | None = None

    def __init__(self, limit: float | None = None, *, has_hooks: bool = False) -> None:
        self.limit = limit
        self.has_hooks = has_hooks

    def __enter__(self) -> Self:
        self._token = CURRENT_ATTEMPT.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        if self._token is not None:
            CURRENT_ATTEMPT.reset(self._token)

    @property
    def nothing_sent(self) -> bool:
        """Whether it is certain that nothing was sent."""
        if not self.reached_transport:
            return not self.has_hooks
        return not self.may_have_left and (self.connecting or not self.in_library)

    def seconds(self, timeout: float) -> float:
        """
        Return how long the whole exchange may take, where *timeout* is the client's limit for a
        response.
        """
        longest = CONNECT_TIMEOUT * (CONNECT_RETRIES + 1) + 2 * timeout
        return longest if self.limit is None else min(self.limit, longest)

    def record_trace(self, event: str, info: Mapping[str, Any]) -> None:
        """
        Take note of an event of httpcore's. A proxy is sent a CONNECT request first, which does not
        count.
        """
        if event == "connection.connect_tcp.started":
            self.record_connecting()
        if event == "http11.send_request_headers.started" and info["request"].method != b"CONNECT":
            self.may_have_left = True

    def record_connecting(self) -> None:
        """
        Take note that a connection is needed. Raises RuntimeError if nothing may be sent to TENIOS.

        That is checked here, so that tests which replace connections by mocks are not affected.
        """
        self.connecting = True
        if self.is_forbidden:
            sys.audit("tenios_ext.refused")  # The pytest plugin listens, and fails the test.
            raise RuntimeError(
                "TENIOS_OFFLINE is set, as in a test run, so nothing is sent to TENIOS"
            )


#: When the current exchange of a thread must be over, by ``time.monotonic()``.
DEADLINE: ContextVar[float] = ContextVar("tenios_deadline", default=math.inf)
CURRENT_ATTEMPT: ContextVar[Attempt] = ContextVar("tenios_attempt")


def current_attempt(settings: Settings) -> Attempt:
    """Return the current attempt, which has reached the transport now."""
    current = CURRENT_ATTEMPT.get(None) or Attempt()
    current.reached_transport = True
    current.is_forbidden = bool(os.environ.get("TENIOS_OFFLINE")) and is_tenios(
        urlsplit(settings.base_url).hostname
    )
    return current
