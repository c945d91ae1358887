"""One attempt to dial for a key: what the client does with its ledger."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable
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
from .._threads import LIMIT, NAME
from ._ledger import to_entry

if TYPE_CHECKING:
    import sqlalchemy as sa
    from tenios_client.models import InitCallbackRequest

    from .._attempt import Attempt
    from .._settings import Settings
    from ._ledger import Ledger

OnClaim = Callable[["sa.Connection"], None]

MAX_KEY = 200
#: The longest from the beginning of a claim to the beginning of the request (seconds).
CLAIM_SECONDS = LIMIT
# A result that could not be recorded is tried again after these, while the program runs (seconds).
_RETRIES = (1, 2, 4, 8, 15, 30, 60, 60, 60, 60)

logger = logging.getLogger("tenios_ext")


class Claim:
    """
    One attempt to dial for a key: :meth:`make`, then the request, then :meth:`record`.

    From the commit of the claim on, the entry reads ``dialling``, and ``unknown`` after its
    deadline, until a result is recorded: to record nothing leaves the outcome unknown. Each method
    may be called by a thread of its own. If something interrupts them, :meth:`settle` records what
    the attempt has seen.

    Raises:
        InvalidArgumentError: The key or *on_claim* is wrong, or there is no ledger.

    Attributes:
        is_open: Whether the entry may be this attempt's and without a result.
        is_over: Whether the call has ended, so that nothing is claimed any more.
    """

    is_open = False
    is_over = False

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
                "A key needs a ledger, so nothing was sent. Make the client with "
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
        #: How long after the claim the request may begin, and when it must be over.
        self._begins_within = CLAIM_SECONDS + longest_exchange(0)
        self._ends_within = CLAIM_SECONDS + longest_exchange(settings.timeout)
        arguments = {name: each for name, each in request.to_dict().items() if name != "access_key"}
        self._values = {
            "number": request.callback_number,
            "arguments": settings.access_key.redact(json.dumps(arguments, sort_keys=True)),
            "delay": request.delay,
        }
        self._token = os.urandom(16).hex()
        self._lock = threading.Lock()  # Interrupted work is over before what is known is recorded.

    def make(self) -> CallbackHandle | None:
        """
        Claim the key. Return None if the request is to be sent now, or the callback that was placed
        before.

        Raises:
            BlockedNumberError: The number is blocked.
            InvalidArgumentError: The key was used with other arguments.
            NotSentError: The ledger cannot be used.
            NumberInUseError: The number may be in a call, and the client allows one at a time.
            OutcomeUnknownError: The key is being dialled, or the outcome of that is unknown.
        """
        with self._lock:
            self.is_open = True  # before is_over is read: whoever sets that reads this afterwards
            if self.is_over:
                self.is_open = False
                return None
            # The entry's deadline is later than this: the database reads its clock afterwards.
            self._attempt.send_before = running_time() + self._begins_within
            try:
                row = self._database.claim(
                    self._key,
                    token=self._token,
                    seconds=self._ends_within,
                    on_claim=self._on_claim,
                    one_call_per_number=self._one_call_per_number,
                    **self._values,
                )
            except LedgerUnavailableError as error:  # It may have been committed all the same.
                reason = error.reason
            except BaseException:  # on_claim's, or the number is refused: nothing was committed
                self.is_open = False
                raise
            else:
                self.is_open = row.token == self._token
                return None if self.is_open else self._existing(row)
        raise _not_sent(reason)

    def too_late(self) -> NoReturn:
        """Raise NotSentError, since the ledger takes too long."""
        raise _not_sent(f"it took more than {CLAIM_SECONDS:g} seconds")

    def _existing(self, row: Any) -> CallbackHandle:
        """Return the callback that another attempt has placed."""
        if row.arguments not in {None, self._values["arguments"]}:
            raise InvalidArgumentError(
                f"The key {self._key!r} was used with other arguments before, so nothing was sent. "
                "Use a key of its own for each callback."
            )
        entry = to_entry(row)
        if entry.state == "placed" and entry.handle is not None:
            return entry.handle
        at = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(entry.dialled_at))
        if entry.state in {"dialling", "not_placed"}:  # The other attempt may have ended since.
            message = (
                f"The key {self._key!r} is being dialled by another call since {at}. Call again "
                "to get its callback."
            )
        elif entry.state == "placed":
            message = (
                f"The key {self._key!r} was dialled at {at}, and marked as placed without a "
                "callback id."
            )
        else:
            known = entry.last_error or "The process that dialled recorded no response."
            message = (
                f"The key {self._key!r} was dialled at {at}, and the outcome is unknown. {known} "
                "Ask the agent or the customer, then use `tenios ledger resolve` or "
                "ledger.resolve()."
            )
        raise OutcomeUnknownError(f"{message} Nothing was sent now.", reason=entry.last_error)

    def record(self, result: CallbackHandle | TeniosError) -> None:
        """
        Record the result of the request. If that fails, it is logged, since the caller must get the
        result, and tried again.
        """
        with self._lock:
            if self.is_open and not self._is_recorded(result):
                _start(self._record_later, result)

    def record_late(self) -> None:
        """Log that a result was not recorded in time, since the caller must get it."""
        logger.warning("the result for key %r is not recorded yet", self._key)

    def settle(self) -> None:
        """
        Record what is known, in a thread: neither Ctrl-C nor a cancelled task should wait for a
        database.
        """
        _start(self._settle)

    def _settle(self) -> None:
        attempt = self._attempt
        error = (
            OutcomeUnknownError("The request was interrupted.")
            if attempt.may_ring
            else NotSentError("Interrupted before.")
        )
        self.record(attempt.result or error)

    def _record_later(self, result: CallbackHandle | TeniosError) -> None:
        for seconds in _RETRIES:
            end = running_time() + seconds
            while running_time() < end:
                if not threading.main_thread().is_alive():
                    return  # The program ends. The outcome stays unknown.
                time.sleep(min(1.0, seconds))
            with self._lock:
                if self._is_recorded(result):
                    return

    def _is_recorded(self, result: CallbackHandle | TeniosError) -> bool:
        """Record a result. Return False if the database cannot be used."""
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
        if not is_current:
            logger.warning(
                "key %r: a late result is not recorded, as it was resolved: %s", self._key, result
            )
        return True


def _checked_key(key: object, settings: Settings) -> str:
    if not isinstance(key, str):
        raise InvalidArgumentError(f"key must be a str, got {type(key).__name__}.")
    if settings.access_key.is_in(key):
        raise InvalidArgumentError(
            "key contains the access key, which must not get into the ledger."
        )
    if len(key) > MAX_KEY or not is_one_line(key):
        raise InvalidArgumentError(
            f"key must have 1 to {MAX_KEY} printable characters, none around it, got {shown(key)}."
        )
    return key


def _not_sent(reason: str | None) -> NotSentError:
    return NotSentError(
        f"The ledger cannot be used ({reason}), so nothing was sent. Call again later.",
        reason=reason,
    )


def _start(work: Callable[..., None], *arguments: object) -> None:
    threading.Thread(target=work, args=arguments, name=NAME).start()
