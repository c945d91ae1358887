"""
What is known of one request while it is made, and until when it may be sent.

The transports record here what they do, so that "nothing was sent" is a fact that was seen, and not
a guess from the type of an exception that a hook or another library may have raised.
"""

from __future__ import annotations

import math
import os
import sys
from contextlib import suppress
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from ._clock import running_time
from ._hosts import is_tenios

if TYPE_CHECKING:
    from ._exceptions import TeniosError
    from ._models import CallbackHandle
    from ._settings import Settings

CONNECT_TIMEOUT = 5.0
CONNECT_RETRIES = 2
_ADDRESS_SECONDS, _LEAST_SECONDS = 1.0, 0.001
TOO_LONG = "The whole exchange took too long."
# What a proxy is sent before the request.
_HANDSHAKES = (b"CONNECT ", b"\x05", b"\x01")


class ExpiredError(Exception):
    """The request may not be sent any more."""


class ForbiddenError(Exception):
    """Nothing may be sent to TENIOS in this process, as in a test run."""


class Attempt:
    """
    What is known of one request while it is made. This, and not the type of an exception, is the
    evidence of what was sent.

    In a ``with`` block, it is the current one, in which the transport records what it does. What an
    interruption may strike in the middle of is read as plain attributes, without a call.

    Attributes:
        may_ring: Whether a phone may ring because of this request. True from the moment at which
            it is handed to code that could send it, unless something was seen that rules it out.
        send_before: When the request must have begun to leave, by :func:`.running_time`.
        deadline: When the whole exchange must be over, by the same clock.
        http_status: The status of the response, once its headers have been read.
        result: What has come of the request, once that is known.
        foreign: An exception that has nothing to do with the request, such as a time limit of the
            program's own, and has ended it.
        is_forbidden: Whether nothing may be sent to TENIOS in this process, as in a test run.
    """

    may_ring = False
    send_before = math.inf
    deadline = math.inf
    http_status: int | None = None
    result: CallbackHandle | TeniosError | None = None
    foreign: BaseException | None = None
    is_forbidden = False
    _has_left = False
    _connect_seconds = math.inf
    _connect_by = math.inf
    _token: Token[Attempt] | None = None

    def __init__(self, limit: float | None = None) -> None:
        self._limit = limit

    def __enter__(self) -> Self:
        self._token = CURRENT_ATTEMPT.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        if self._token is not None:
            with suppress(ValueError):  # A coroutine that nobody waits for is closed elsewhere.
                CURRENT_ATTEMPT.reset(self._token)

    def arrive(self, settings: Settings) -> float:
        """
        Take note that our transport has the request, and nothing else. Return how many seconds the
        exchange may take.
        """
        self.may_ring = self._has_left
        self.is_forbidden = bool(os.environ.get("TENIOS_OFFLINE")) and is_tenios(
            urlsplit(settings.base_url).hostname
        )
        seconds = longest_exchange(settings.timeout)
        if self._limit is not None:
            seconds = min(seconds, self._limit)
        self._connect_seconds = min(CONNECT_TIMEOUT, settings.timeout)
        self.deadline = running_time() + seconds
        return seconds

    def connect(self) -> None:
        """
        Take note that a connection is needed, over which nothing was sent yet.

        Raises:
            ForbiddenError: Nothing may be sent to TENIOS. That is checked here, so that tests which
                replace connections by mocks are not affected.
        """
        self.may_ring = self._has_left
        self._connect_by = running_time() + self._connect_seconds
        if self.is_forbidden:
            sys.audit("tenios_ext.refused")  # The pytest plugin listens, and fails the test.
            raise ForbiddenError(
                "TENIOS_OFFLINE is set, as in a test run, so nothing is sent to TENIOS"
            )

    def leave(self, data: bytes) -> None:
        """
        Take note that *data* is about to be sent.

        Raises:
            ExpiredError: It is the beginning of the request, which may not be sent any more.
        """
        if not self._has_left and not data.startswith(_HANDSHAKES):
            if running_time() >= min(self.send_before, self.deadline):
                raise ExpiredError("it took too long until the request could be sent")
            self.may_ring = self._has_left = True
            self._connect_by = math.inf

    def limit(self, timeout: float | None, error: type[Exception]) -> float | None:
        """
        Return *timeout*, or the seconds until the deadline, or until the connection must be made,
        proxies included, if that is less. Raises *error* if nothing is left.
        """
        left = min(self.deadline, self._connect_by) - running_time()
        if left <= 0:
            raise error(TOO_LONG)
        return timeout if math.isinf(left) else left if timeout is None else min(timeout, left)


CURRENT_ATTEMPT: ContextVar[Attempt] = ContextVar("tenios_attempt")


def current_attempt() -> Attempt:
    """Return the current attempt; a new one for a request that was made in another way."""
    return CURRENT_ATTEMPT.get(None) or Attempt()


def longest_exchange(timeout: float) -> float:
    """Return how long an exchange may take, where *timeout* is the limit for a response."""
    return CONNECT_TIMEOUT * (CONNECT_RETRIES + 1) + 2 * timeout


def share(end: float | None, addresses: int) -> float | None:
    """
    Return how many seconds the next one of so many addresses may take: a second while there are
    others, so that one that does not respond leaves time for them.
    """
    if end is None:
        return None
    left = max(end - running_time(), _LEAST_SECONDS)
    return left if addresses == 1 else min(left / addresses, _ADDRESS_SECONDS)
