"""
The evidence of what one request has sent, and its time limits.

The transports record it here. The type of an exception proves nothing, because a hook or another
library may have raised it.
"""

from __future__ import annotations

import math
import os
import sys
from typing import TYPE_CHECKING

from ._clock import running_time
from ._hosts import is_tenios

if TYPE_CHECKING:
    from ._exceptions import TeniosError
    from ._models import CallbackHandle
    from ._settings import Settings

CONNECT_TIMEOUT = 5.0
CONNECT_RETRIES = 2
TOO_LONG = "The whole exchange took too long."
# The beginnings of what is sent to a proxy before the request.
_HANDSHAKES = (b"CONNECT ", b"\x05", b"\x01")


class ExpiredError(Exception):
    """It is too late to send the request."""


class ForbiddenError(Exception):
    """Nothing may be sent to TENIOS in this process."""


class Attempt:
    """
    The evidence of what one request has sent.

    It travels with the request. These are plain attributes, because an interruption may occur in
    any function call.

    Args:
        limit: The maximum duration of the exchange in seconds; None for that of the client.
        is_poll: Whether the request only asks for a status, so that it may use a kept connection.

    Attributes:
        is_poll: As the argument.
        may_ring: Whether a phone may ring because of this request. True as soon as code that could
            send it has the request, unless evidence rules it out.
        send_before: The latest time to begin to send the request, by :func:`.running_time`.
        deadline: The latest end of the whole exchange, by the same clock.
        http_status: The status of the response, once its headers have been read.
        result: The result of the request, once it is known.
        foreign: An unrelated exception that has ended the request, such as a time limit of the
            program itself.
        is_forbidden: Whether nothing may be sent to TENIOS in this process.
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

    def __init__(self, limit: float | None = None, *, is_poll: bool = False) -> None:
        self._limit = limit
        self.is_poll = is_poll

    def arrive(self, host: str, settings: Settings) -> float:
        """Record that our own transport has the request. Return its time limit in seconds."""
        self.may_ring = self._has_left
        self.is_forbidden = bool(os.environ.get("TENIOS_OFFLINE")) and is_tenios(host)
        seconds = longest_exchange(settings.timeout)
        if self._limit is not None:
            seconds = min(seconds, self._limit)
        self._connect_seconds = min(CONNECT_TIMEOUT, settings.timeout)
        self.deadline = running_time() + seconds
        return seconds

    def connect(self) -> None:
        """
        Record that a connection is needed, so nothing has been sent yet.

        Raises:
            ForbiddenError: Nothing may be sent to TENIOS. It is checked here, so that tests with
                mocked connections are not affected.
        """
        self.may_ring = self._has_left
        self._connect_by = running_time() + self._connect_seconds
        if self.is_forbidden:
            sys.audit("tenios_ext.refused")  # The pytest plugin listens and fails the test.
            raise ForbiddenError(
                "TENIOS_OFFLINE is set, as in a test run, so nothing is sent to TENIOS"
            )

    def leave(self, data: bytes) -> None:
        """
        Record that *data* is about to be sent.

        Raises:
            ExpiredError: It is too late to begin to send the request.
        """
        if not self._has_left and not data.startswith(_HANDSHAKES):
            if running_time() >= min(self.send_before, self.deadline):
                raise ExpiredError("the request could not be sent in time")
            self.may_ring = self._has_left = True
            self._connect_by = math.inf

    def limit(self, timeout: float | None, error: type[Exception]) -> float:
        """
        Return *timeout*, reduced to the time until the deadline or the latest connection, proxies
        included. Raises *error* if no time is left.
        """
        left = min(self.deadline, self._connect_by) - running_time()
        if left <= 0:
            raise error(TOO_LONG)
        return left if timeout is None else min(timeout, left)


def longest_exchange(timeout: float) -> float:
    """Return the maximum duration of an exchange with this *timeout* for a response."""
    return CONNECT_TIMEOUT * (CONNECT_RETRIES + 1) + 2 * timeout
