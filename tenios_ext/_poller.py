"""The twin for threads of _async_poller.py: change that and run "make generate"."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

from attrs import define
from tenios_client.api.callback import get_callback_status

from . import _arguments, _responses
from ._attempt import Attempt
from ._exceptions import StatusUnavailableError
from ._polling import PollState, retry_pause
from ._threads import in_thread
from ._transport import HttpClient, Sender

if TYPE_CHECKING:
    from tenios_client.models import CallbackStatus

    from ._clock import Clock
    from ._models import CallbackHandle
    from ._settings import Settings
    from .ledger import Ledger

# The maximum number of requests of Callback.status().
_STATUS_ATTEMPTS = 3

logger = logging.getLogger("tenios_ext")


@define(eq=False, repr=False, slots=False)
class StatusPoller:
    _http: HttpClient
    _settings: Settings
    clock: Clock
    _ledger: Ledger | None

    def fetch(self, callback_id: int) -> CallbackStatus:
        """Return the status. Transient failures are retried."""
        for number in range(1, _STATUS_ATTEMPTS):
            try:
                return self._request(callback_id, number=number)
            except StatusUnavailableError as error:
                if self._http.is_closed:
                    raise
                pause = retry_pause(error, number)
            self.clock.sleep(pause)
        return self._request(callback_id, number=_STATUS_ATTEMPTS)

    def new_state(
        self, handle: CallbackHandle, answer_timeout: float | None, end_timeout: float | None
    ) -> PollState:
        """Return the initial state. Raises TypeError or ValueError if a limit is invalid."""
        return PollState(
            handle,
            self._settings.poll_interval,
            answer_timeout=answer_timeout,
            end_timeout=end_timeout,
            wall_time=self.clock.now(),
            now=self.clock.monotonic(),
        )

    def poll(self, state: PollState) -> CallbackStatus | None:
        """Poll once; return a new status. Raises StatusUnavailableError if polling should end."""
        callback_id = state.handle.id
        limit = state.time_limit(self.clock.monotonic())
        try:
            status = self._request(callback_id, number=state.failures + 1, limit=limit)
        except StatusUnavailableError as error:
            if self._http.is_closed:
                raise
            state.record_failure(error, self.clock.monotonic())
            return None
        if not state.record_status(status, self.clock.monotonic()):
            return None
        extra = {"callback_id": callback_id, "callback_status": str(status)}
        logger.info("callback %d is %s", callback_id, status, extra=extra)
        if self._ledger is not None:
            in_thread(self._ledger.record_status, callback_id, status, late=lambda _: None)
        return status

    def raise_if_closed(self) -> None:
        if self._http.is_closed:
            raise StatusUnavailableError(
                "The client is closed, so no status was fetched. Create a new client and resume "
                "with its method callback()."
            )

    def _request(
        self, callback_id: int, *, number: int, limit: float | None = None
    ) -> CallbackStatus:
        self.raise_if_closed()
        attempt = Attempt(limit, is_poll=True)
        try:
            result = self._send(callback_id, attempt)
        except BaseException as error:
            # The frames of the HTTP library contain the access key.
            error.__cause__ = error.__context__ = error.__traceback__ = None
            raise
        if isinstance(result, StatusUnavailableError):
            extra = {"callback_id": callback_id, "attempt": number}
            logger.info("status unavailable: %s", result, extra=extra)
            raise result
        return result

    def _send(self, callback_id: int, attempt: Attempt) -> CallbackStatus | StatusUnavailableError:
        """Return errors instead of raising them, so that no traceback contains the response."""
        key, outside = self._settings.access_key, sys.exception()
        try:
            request = _arguments.status_request(callback_id)
            sender: Any = Sender(self._http, attempt)
            response = get_callback_status.sync_detailed(client=sender, body=request)
            return _responses.callback_status(response.parsed, key)
        except Exception as error:  # noqa: BLE001 - each is one failed poll, or raised
            foreign = _responses.foreign_exception(error, outside=outside)
            if foreign is not None:
                raise foreign from None
            return _responses.map_status_error(error, self._settings, attempt)
