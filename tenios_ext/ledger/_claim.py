"""One attempt to dial for a key: what the client does with its ledger."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from typing import TYPE_CHECKING, Any, Self

from .._attempt import Attempt
from .._exceptions import (
    ConfigurationError,
    InvalidArgumentError,
    LedgerUnavailableError,
    NotPlacedError,
    NotSentError,
    OutcomeUnknownError,
    TeniosError,
)
from .._models import FINAL, RANK, CallbackHandle

if TYPE_CHECKING:
    from tenios_client.models import CallbackStatus, InitCallbackRequest

    from .._settings import Settings
    from ._ledger import Ledger

MAX_KEY = 200
#: The longest from the beginning of a claim to the beginning of the request (seconds).
CLAIM_SECONDS = 10.0

logger = logging.getLogger("tenios_ext")


def check_key(key: object, settings: Settings) -> str:
    """Return a key if it is valid. Raises InvalidArgumentError."""
    if not isinstance(key, str):
        raise InvalidArgumentError(f"key must be a str, got {type(key).__name__}.")
    if settings.access_key.redact(key) != key:
        raise InvalidArgumentError(
            "key contains the access key, which must not get into the ledger."
        )
    if not 0 < len(key) <= MAX_KEY or not key.isprintable() or key != key.strip():
        raise InvalidArgumentError(
            f"key must have 1 to {MAX_KEY} printable characters, none around it, got "
            f"{key[:MAX_KEY]!r}."
        )
    return key


def ledger_of(ledger: object) -> tuple[Ledger | None, bool]:
    """
    Return a client's ledger, else the one that ``TENIOS_LEDGER`` names; and whether it is the
    client's own. False is none.
    """
    url = os.environ.get("TENIOS_LEDGER") if ledger is None else None
    if not url and (ledger is None or ledger is False):
        return None, False
    from ._ledger import Ledger  # most programs have none

    if url:
        return Ledger(url), True
    if not isinstance(ledger, Ledger):
        raise ConfigurationError(f"ledger must be a Ledger, got {type(ledger).__name__}.")
    return ledger, False


class Claim:
    """
    One attempt to dial for a key.

    Used as a context manager around :meth:`make`, the request, and :meth:`record`. If something
    interrupts these, what is known by then is recorded by a thread, since neither Ctrl-C nor a
    cancelled task should wait for a database.

    Raises:
        InvalidArgumentError: The key is not valid, or there is no ledger.

    Attributes:
        may_have_left: Whether a byte of the request may have left this process.
    """

    def __init__(
        self, ledger: Ledger | None, settings: Settings, key: object, request: InitCallbackRequest
    ) -> None:
        if ledger is None:
            raise InvalidArgumentError(
                "A key needs a ledger, so nothing was sent. Make the client with "
                "Tenios(ledger=Ledger('sqlite:///callbacks.db')), or set TENIOS_LEDGER."
            )
        self.may_have_left = False
        self._key = check_key(key, settings)
        self._database = ledger._database  # noqa: SLF001 - the client's side of the ledger
        self._seconds = Attempt().seconds(settings.timeout) + CLAIM_SECONDS
        arguments = {
            name: value for name, value in request.to_dict().items() if name != "access_key"
        }
        self._values = {
            "number": request.callback_number,
            "arguments": settings.access_key.redact(json.dumps(arguments, sort_keys=True)),
            "delay": request.delay,
        }
        self._token = os.urandom(16).hex()
        # so that interrupted work is over before what is known is recorded
        self._lock = threading.Lock()
        self._is_open = False
        self._is_over = False
        self._result: CallbackHandle | TeniosError | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._is_over = True
        if kind is not None and (self._is_open or not issubclass(kind, TeniosError)):
            threading.Thread(target=self._settle, name="tenios-ledger").start()

    def make(self) -> CallbackHandle | None:
        """
        Claim the key. Return None if the request is to be sent now, or the callback that was placed
        before.

        Raises:
            InvalidArgumentError: The key was used with other arguments.
            NotSentError: The ledger cannot be used.
            OutcomeUnknownError: The key is being dialled, or the outcome of that is unknown.
        """
        with self._lock:
            if self._is_over:
                return None
            began = time.monotonic()
            self._is_open = True
            try:
                row = self._database.claim(
                    self._key, token=self._token, seconds=self._seconds, **self._values
                )
            except LedgerUnavailableError as error:
                reason = error.reason
            else:
                self._is_open = row.token == self._token
                if not self._is_open:
                    return self._existing(row)
                if time.monotonic() - began < CLAIM_SECONDS:
                    return None
                reason = f"it took more than {CLAIM_SECONDS:g} seconds"
        raise NotSentError(
            f"The ledger cannot be used ({reason}), so nothing was sent. Call again later.",
            reason=reason,
        )

    def _existing(self, row: Any) -> CallbackHandle:
        """Return the callback that another attempt has placed."""
        if row.arguments not in {None, self._values["arguments"]}:
            raise InvalidArgumentError(
                f"The key {self._key!r} was used with other arguments before, so nothing was sent. "
                "Use a key of its own for each callback."
            )
        from ._ledger import to_entry

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
        result.
        """
        self._result = result
        with self._lock:
            self._record(result)

    def _record(self, result: CallbackHandle | TeniosError) -> None:
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
        else:
            self._is_open = False
            if not is_current:
                logger.warning(
                    "key %r: a late result is not recorded, as it was resolved: %s",
                    self._key,
                    result,
                )

    def _settle(self) -> None:
        with self._lock:
            if self._is_open:
                left = self.may_have_left
                error = (
                    OutcomeUnknownError("The request was interrupted.")
                    if left
                    else NotSentError("Interrupted before.")
                )
                self._record(self._result or error)


def record_status(ledger: Ledger, callback_id: int, status: CallbackStatus) -> None:
    """Record a status change. If that fails, it is logged, since watching must go on."""
    rank = RANK.get(status, -1)
    later = {*FINAL, status, *(each for each in RANK if RANK[each] > rank >= 0)}
    try:
        ledger._database.record_status(  # noqa: SLF001 - as above
            callback_id, str(status), later=[str(each) for each in later]
        )
    except LedgerUnavailableError as error:
        logger.warning("the status of callback %d could not be recorded: %s", callback_id, error)
