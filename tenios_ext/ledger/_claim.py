"""One attempt to start a callback with a key."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

from .._attempt import longest_exchange
from .._checks import is_one_line, shown
from .._clock import running_time
from .._exceptions import (
    InvalidArgumentError,
    LedgerUnavailableError,
    NotPlacedError,
    NotSentError,
    OutcomeUnknownError,
    TeniosError,
)
from .._models import CallbackHandle
from .._threads import LIMIT, NAME, NoThreadError, start
from ._ledger import to_entry

if TYPE_CHECKING:
    import sqlalchemy as sa
    from tenios_client.models import InitCallbackRequest

    from .._attempt import Attempt
    from .._settings import Settings
    from ._ledger import Ledger, LedgerEntry

OnClaim = Callable[["sa.Connection"], None]

MAX_KEY = 200
#: The maximum time from the beginning of a claim to that of the request (seconds).
CLAIM_SECONDS = LIMIT
#: The maximum time to wait for a concurrent call with the same key (seconds).
WAIT_SECONDS = 5.0
_WAIT_PAUSE = 0.1
# The pauses before recording a result is retried, while the program runs (seconds).
_RETRIES = (1, 2, 4, 8, 15, 30, 60, 60, 60, 60)

logger = logging.getLogger("tenios_ext")


class Claim:
    """
    One attempt to start a callback with a key: :meth:`make`, the request, :meth:`record`.

    From the commit of the claim on, the state is ``dialling``, and ``unknown`` after its deadline,
    until a result is recorded. So if nothing is recorded, the outcome is unknown. Each method may
    run in another thread. After an interruption, :meth:`settle` records the known result.

    Raises:
        InvalidArgumentError: The key or *on_claim* is invalid, or there is no ledger.

    Attributes:
        is_open: Whether the entry may belong to this attempt and have no result yet.
        is_over: Whether the call has ended, so that nothing may be claimed.
    """

    is_open = False
    is_over = False
    _is_recording = False

    def __init__(
        self,
        ledger: Ledger | None,
        settings: Settings,
        key: object,
        request: InitCallbackRequest,
        *,
        attempt: Attempt,
        on_claim: OnClaim | None,
    ) -> None:
        if ledger is None:
            raise InvalidArgumentError(
                "A key needs a ledger, so nothing was sent. Create the client with "
                "Tenios(ledger=Ledger('sqlite:///callbacks.db')), or set TENIOS_LEDGER."
            )
        if on_claim is not None and not callable(on_claim):
            raise InvalidArgumentError(
                f"on_claim must be a function, got {type(on_claim).__name__}."
            )
        self._key = _checked_key(key, settings)
        self._attempt = attempt
        self._on_claim = on_claim
        self._database = ledger.database
        self._one_call_per_number = settings.one_call_per_number
        #: Seconds from the claim to the latest beginning and end of the request.
        self._begins_within = CLAIM_SECONDS + longest_exchange(0)
        self._ends_within = CLAIM_SECONDS + longest_exchange(settings.timeout)
        arguments = {name: each for name, each in request.to_dict().items() if name != "access_key"}
        self._values = {
            "number": request.callback_number,
            "arguments": settings.access_key.redact(json.dumps(arguments, sort_keys=True)),
            "delay": request.delay,
        }
        self._token = os.urandom(16).hex()
        self._lock = threading.Lock()  # Interrupted work ends before settle() records its result.

    def make(self) -> CallbackHandle | None:
        """
        Claim the key. Return None if the request is to be sent, else the callback of the key.

        If another call is sending the request, as after a double click, wait for its result.

        Raises:
            BlockedNumberError: The number is blocked.
            InvalidArgumentError: The key was used with other arguments.
            NotSentError: The ledger is not available.
            NumberInUseError: Another call to the number may be in progress, and the client allows
                only one.
            OutcomeUnknownError: Another call is sending the request, or its outcome is unknown.
        """
        give_up_at = running_time() + WAIT_SECONDS
        while (row := self._claim()) is not None:
            entry = self._entry(row)
            if entry.state == "placed" and entry.handle is not None:
                return entry.handle
            # The other attempt may have been recorded as not placed since.
            is_in_progress = entry.state in {"dialling", "not_placed"}
            if not is_in_progress or running_time() >= give_up_at:
                self._raise_unknown(entry)
            _sleep(_WAIT_PAUSE)
        return None

    def _claim(self) -> sa.Row[Any] | None:
        """Claim the key. Return None if it was claimed or the call has ended, else its row."""
        with self._lock:
            self.is_open = True  # Set before is_over is read; start_callback does the reverse.
            if self.is_over:
                self.is_open = False
                return None
            # Earlier than the deadline of the entry, because the database reads its clock later.
            self._attempt.send_before = running_time() + self._begins_within
            try:
                row = self._database.claim(
                    self._key,
                    token=self._token,
                    seconds=self._ends_within,
                    on_claim=self._before_commit,
                    one_call_per_number=self._one_call_per_number,
                    **self._values,
                )
            except LedgerUnavailableError as error:  # It may have been committed.
                reason = error.reason
            except BaseException:  # from _before_commit, or the number is refused: not committed
                self.is_open = False
                raise
            else:
                self.is_open = row.token == self._token
                return None if self.is_open else row
        raise _not_sent(reason)

    def too_late(self, reason: str) -> NoReturn:
        raise _not_sent(reason)

    def _before_commit(self, connection: sa.Connection) -> None:
        result: object = None
        if self._on_claim is not None:
            result = self._on_claim(connection)
        if isinstance(result, Awaitable | Generator):
            raise InvalidArgumentError("on_claim must not be async or a generator.")
        if self.is_over:
            raise _not_sent("the call has ended")

    def _entry(self, row: Any) -> LedgerEntry:
        """Return the entry of another attempt with the same arguments."""
        if row.arguments not in {None, self._values["arguments"]}:
            raise InvalidArgumentError(
                f"The key {self._key!r} was used with other arguments before, so nothing was sent. "
                "Use a separate key for each callback."
            )
        return to_entry(row)

    def _raise_unknown(self, entry: LedgerEntry) -> NoReturn:
        at = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(entry.dialled_at))
        if entry.state in {"dialling", "not_placed"}:
            message = (
                f"Another call has been sending the request for the key {self._key!r} since {at}. "
                "Repeat this call to get its callback."
            )
        elif entry.state == "placed":
            message = (
                f"The call for the key {self._key!r} at {at} was recorded as placed without a "
                "callback id. To add the id, use `tenios ledger resolve` or ledger.resolve()."
            )
        else:
            known = entry.last_error or "The process has not recorded a response."
            message = (
                f"The outcome of the call for the key {self._key!r} at {at} is unknown. {known} "
                "Ask whether there was a call, and record the answer with `tenios ledger resolve` "
                "or ledger.resolve()."
            )
        raise OutcomeUnknownError(f"{message} Nothing was sent now.", reason=entry.last_error)

    def record(self, result: CallbackHandle | TeniosError) -> None:
        """
        Record the result of the request. A failure is logged and retried later, because the caller
        must get the result.
        """
        self._is_recording = True
        with self._lock:
            if self.is_open and not self._is_recorded(result):
                with suppress(RuntimeError):  # No more threads can be started.
                    threading.Thread(target=self._record_later, args=[result], name=NAME).start()

    def record_late(self, reason: str) -> None:
        if self._is_recording:
            logger.warning("the result for key %r is not recorded yet: %s", self._key, reason)
        else:  # No thread could be started.
            self._settle()

    def settle(self) -> None:
        """
        Record the known result in a thread, so that Ctrl-C does not wait for the database. Without
        a thread, it is recorded here.
        """
        try:
            start(threading.Thread(target=self._settle, name=NAME))
        except NoThreadError:
            self._settle()

    def _settle(self) -> None:
        attempt = self._attempt
        error = (
            OutcomeUnknownError("The request was interrupted.")
            if attempt.may_ring
            else NotSentError("The call was interrupted before the request.")
        )
        self.record(attempt.result or error)

    def _record_later(self, result: CallbackHandle | TeniosError) -> None:
        for seconds in _RETRIES:
            end = running_time() + seconds
            while running_time() < end:
                if not threading.main_thread().is_alive():
                    return  # The program is ending. The outcome stays unknown.
                _sleep(min(1.0, seconds))
            with self._lock:
                if self._is_recorded(result):
                    return

    def _is_recorded(self, result: CallbackHandle | TeniosError) -> bool:
        """Record a result. Return False if the database is not available."""
        values: dict[str, object]
        if isinstance(result, CallbackHandle):
            values = {
                "state": "placed",
                "callback_id": str(result.id),
                "started_at": result.started_at,
                "last_error": None,
            }
        else:
            state = "not_placed" if isinstance(result, NotPlacedError) else "unknown"
            values = {"state": state, "last_error": str(result)}
        try:
            is_current = self._database.record(self._key, self._token, **values)
        except LedgerUnavailableError as error:
            logger.warning("the result for key %r could not be recorded: %s", self._key, error)
            return False
        self.is_open = False
        if not is_current and self._attempt.result is not None:
            logger.warning(
                "the late result for key %r is ignored, because the key was resolved: %s",
                self._key,
                result,
            )
        return True


def _checked_key(key: object, settings: Settings) -> str:
    if not isinstance(key, str):
        raise InvalidArgumentError(f"key must be a str, got {type(key).__name__}.")
    if settings.access_key.is_in(key):
        raise InvalidArgumentError(
            "key contains the access key, which must not be stored. Use another key."
        )
    if len(key) > MAX_KEY or not is_one_line(key):
        raise InvalidArgumentError(
            f"key must have 1 to {MAX_KEY} printable characters, without surrounding spaces, got "
            f"{shown(key)}."
        )
    return key


def _sleep(seconds: float) -> None:
    """Sleep, also under libfaketime, where ``time.sleep()`` may raise OSError."""
    threading.Event().wait(seconds)


def _not_sent(reason: str | None) -> NotSentError:
    return NotSentError(
        f"The ledger cannot be used ({reason}), so nothing was sent. Call again later.",
        reason=reason,
    )
