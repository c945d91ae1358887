"""The twin for threads of _async_client.py: change that and run "make generate"."""

from __future__ import annotations

import logging
import sys
import warnings
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Self

from tenios_client.api.callback import init_callback

from . import _arguments, _responses
from ._attempt import Attempt
from ._clock import SYSTEM_CLOCK, CheckedClock, Clock
from ._connections import Connections, EventHooks, http_options
from ._exceptions import (
    ConfigurationError,
    NotPlacedError,
    NotSentError,
    OutcomeUnknownError,
    TeniosError,
)
from ._models import CallbackHandle, Outcome
from ._poller import StatusPoller
from ._polling import ANSWER_TIMEOUT, END_TIMEOUT, PollInterval, PollState, default_poll_interval
from ._secret import Secret
from ._settings import DEFAULT_TIMEOUT, ClientSettings, ledger_of, read_settings
from ._threads import in_thread
from ._transport import HttpClient, Sender, Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from datetime import timedelta

    import httpx
    import sqlalchemy as sa
    from tenios_client.models import CallbackStatus, InitCallbackRequest

    from .ledger import Ledger
    from .ledger._claim import Claim

logger = logging.getLogger("tenios_ext")
logger.addHandler(logging.NullHandler())

_CLOSED = "The client is closed, so nothing was sent. Create a new client."


class Tenios:
    """
    A client for the TENIOS Callback API.

    Create one client, share it between threads, and close it at the end; ``with`` closes it.
    Each setting comes from its keyword argument, else from the environment variable, else from the
    default.

    Args:
        access_key: The access key of the API (``TENIOS_ACCESS_KEY``, or ``TENIOS_ACCESS_KEY_FILE``
            for the path of a file with the key).
        callback_config_id: The default callback configuration (``TENIOS_CALLBACK_CONFIG_ID``).
        base_url: The URL of the API (``TENIOS_BASE_URL``): HTTPS, or HTTP to this machine.
        insecure_hosts: Other hosts to allow plain HTTP for, such as a simulator in another
            container (``TENIOS_INSECURE_HOSTS``, separated by commas).
        region: The country of numbers without a country code, such as "DE" (``TENIOS_REGION``).
            None to refuse such numbers.
        allowed_numbers: The numbers that may be called, for example on a staging system
            (``TENIOS_ALLOWED_NUMBERS``, separated by commas). None for all.
        allowed_regions: The countries that may be called, such as ["DE", "AT"]
            (``TENIOS_ALLOWED_REGIONS``, separated by commas). None for all.
        allow_special_numbers: Whether to call premium-rate, shared-cost, personal, pager and
            satellite numbers (``TENIOS_ALLOW_SPECIAL_NUMBERS``, 1 or 0). Default: False.
        one_call_per_number: Whether to refuse a call with a key while a callback to its number with
            another key may be in progress (``TENIOS_ONE_CALL_PER_NUMBER``, 1 or 0). Default: False.
        timeout: Seconds to wait for a response. To connect, at most 5 seconds or *timeout*, if that
            is shorter.
        poll_interval: The interval between status requests: seconds, or a function that returns
            seconds, such as :func:`default_poll_interval`. At least 0.25 seconds.
        proxy: The URL of a proxy. Default: ``HTTPS_PROXY``, else ``ALL_PROXY``.
        transport: An httpx transport to use instead of the default one. It must not retry requests.
            It sees the access key in their bodies. If it raises, the outcome is unknown.
        event_hooks: httpx event hooks. They do not see the access key. If one raises, the outcome
            is unknown.
        clock: The clock to use in tests instead of the system clock.
        ledger: The :class:`.Ledger` for calls with a key (``TENIOS_LEDGER``, the URL of its
            database). The client closes it only if it comes from the variable. False for no ledger,
            even if the variable is set.

    Raises:
        ConfigurationError: A setting is missing or invalid.
    """

    def __init__(
        self,
        access_key: str | None = None,
        callback_config_id: str | None = None,
        *,
        base_url: str | None = None,
        insecure_hosts: Collection[str] | None = None,
        region: str | None = None,
        allowed_numbers: Collection[str] | None = None,
        allowed_regions: Collection[str] | None = None,
        allow_special_numbers: bool | None = None,
        one_call_per_number: bool | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        poll_interval: PollInterval | float = default_poll_interval,
        proxy: str | None = None,
        transport: httpx.BaseTransport | None = None,
        event_hooks: EventHooks | None = None,
        clock: Clock = SYSTEM_CLOCK,
        ledger: Ledger | Literal[False] | None = None,
    ) -> None:
        key = None if access_key is None else Secret(access_key)
        access_key = None  # Tracebacks show this variable.
        settings = self._settings = read_settings(
            access_key=key,
            callback_config_id=callback_config_id,
            base_url=base_url,
            insecure_hosts=insecure_hosts,
            region=region,
            allowed_numbers=allowed_numbers,
            allowed_regions=allowed_regions,
            allow_special_numbers=allow_special_numbers,
            one_call_per_number=one_call_per_number,
            timeout=timeout,
            poll_interval=poll_interval,
        )
        self._clock = clock if clock is SYSTEM_CLOCK else CheckedClock(clock)
        own_transport = Transport(Connections(settings, proxy), transport)
        options = http_options(settings, event_hooks)
        self._ledger, self._owns_ledger = ledger_of(ledger)
        self._http = HttpClient(transport=own_transport, **options)
        self._poller = StatusPoller(self._http, settings, self._clock, self._ledger)

    def __repr__(self) -> str:
        # A traceback may show a client whose __init__ has failed.
        settings = vars(self).get("_settings")
        return f"{type(self).__name__}({settings.base_url!r})" if settings else "Tenios()"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self, warn: Callable[..., None] = warnings.warn) -> None:
        http = vars(self).get("_http")  # None if __init__ has failed.
        if http is not None and not http.is_closed:
            warn(f"{self!r} was not closed", ResourceWarning, stacklevel=2, source=self)

    def close(self) -> None:
        """Close the connections. You may call it more than once."""
        self._http.close()
        if self._ledger is not None and self._owns_ledger:
            self._ledger.close()

    @property
    def settings(self) -> ClientSettings:
        """The settings in use."""
        return self._settings

    @property
    def ledger(self) -> Ledger | None:
        """The ledger for calls with a key."""
        return self._ledger

    def start_callback(
        self,
        number: str,
        *,
        delay: float | timedelta = 0,
        agent_announcement: str | None = None,
        dtmf_key: str | None = None,
        callback_config_id: str | None = None,
        key: str | None = None,
        on_claim: Callable[[sa.Connection], None] | None = None,
    ) -> Callback:
        """
        Start a callback: TENIOS calls the agent, then *number*, and connects them.

        At most one request is sent. With a *key*, this applies to all calls with the same key and
        ledger, in any process: the first call starts the callback, and later calls return it, even
        if they are made while the first is in progress, for which they wait up to 5 seconds. If
        TENIOS rejected the request or it was not sent, the next call sends it again. While the
        outcome is unknown, each call raises OutcomeUnknownError and sends nothing.

        Args:
            number: The customer's phone number, in any usual spelling.
            delay: Seconds until the agent is called, a whole number; or a timedelta.
            agent_announcement: A text to read to the agent first, at most 5,000 characters.
            dtmf_key: The key that the agent must press before the customer is called: "0" to "9",
                "*" or "#".
            callback_config_id: The callback configuration to use instead of the client's.
            key: The purpose of the call, such as an order or a submitted form: 1 to 200 printable
                characters. Requires a ledger.
            on_claim: A function to call in the transaction that records the key, with its
                SQLAlchemy connection and in another thread. What it writes is committed together
                with the key. It is not called if no request will be sent. If it raises, nothing is
                recorded or sent.

        Raises:
            NotPlacedError: No callback was started. You may call again; see its subclasses for the
                reason.
            OutcomeUnknownError: Phones may be ringing. Do not call again.
        """
        attempt = Attempt()
        claim: Claim | None = None
        try:
            started_at = self._now()
            request = _arguments.init_request(
                self._settings,
                number,
                delay=delay,
                agent_announcement=agent_announcement,
                dtmf_key=dtmf_key,
                callback_config_id=callback_config_id,
            )
            if key is not None or on_claim is not None:
                from .ledger import _claim  # Most calls have no key.

                claim = _claim.Claim(
                    self._ledger, self._settings, key, request, attempt=attempt, on_claim=on_claim
                )
                if placed := in_thread(claim.make, late=claim.too_late):
                    return Callback(placed, self._poller)
            result = self._send_init(request, started_at, attempt)
            if claim is not None:
                in_thread(claim.record, result, late=claim.record_late)
            if isinstance(result, TeniosError):
                extra = {"error": type(result).__name__}
                what = "not placed" if isinstance(result, NotPlacedError) else "not confirmed"
                logger.warning("callback %s: %s", what, result, extra=extra)
                raise attempt.foreign or result  # noqa: TRY301 - what is raised must lose its frames
            logger.info("callback %d started", result.id, extra={"callback_id": result.id})
            return Callback(result, self._poller)
        # Calls no functions where possible: an interruption may occur in any of them.
        except BaseException as error:
            attempt.send_before = 0.0  # Nothing may be sent from now on.
            if attempt.may_ring and not isinstance(error, OutcomeUnknownError):
                error.add_note(_responses.UNKNOWN_HINT)
            # The frames of the HTTP library contain the access key.
            error.__cause__ = error.__context__ = error.__traceback__ = None
            if claim is not None:
                claim.is_over = True
                if claim.is_open:
                    claim.settle()
            if attempt.may_ring and isinstance(error, NotPlacedError):
                # It concerns another call, as of a signal handler or a log handler.
                message = f"The call was interrupted ({error}). {_responses.UNKNOWN_HINT}"
                raise OutcomeUnknownError(message) from None
            raise

    def _now(self) -> float:
        """Return the current time. Raises NotSentError if nothing can be sent."""
        if self._http.is_closed:
            raise NotSentError(_CLOSED)
        try:
            return self._clock.now()
        except (ConfigurationError, RuntimeError) as error:
            reason = f"{type(error).__name__}: {error}"
        raise NotSentError(f"Nothing was sent ({reason}).", reason=reason)

    def _send_init(
        self, request: InitCallbackRequest, started_at: float, attempt: Attempt
    ) -> CallbackHandle | TeniosError:
        """Return errors instead of raising them, so that no traceback contains the response."""
        result: CallbackHandle | TeniosError
        if self._http.is_closed:  # It was open before the claim.
            return NotSentError(_CLOSED)
        outside = sys.exception()
        attempt.may_ring = True  # Our own transport resets it when it receives the request.
        try:
            sender: Any = Sender(self._http, attempt)
            response = init_callback.sync_detailed(client=sender, body=request)
            callback_id = _responses.callback_id(response)
            result = CallbackHandle(callback_id, delay=request.delay, started_at=started_at)
        except Exception as error:  # noqa: BLE001 - each is mapped to one of two branches
            result = _responses.map_init_error(error, self._settings, attempt)
            attempt.foreign = _responses.foreign_exception(error, outside=outside)
        if isinstance(result, NotPlacedError):
            attempt.may_ring = False
        attempt.result = result
        return result

    def callback(self, callback: int | str | CallbackHandle) -> Callback:
        """
        Return a callback that was started earlier or in another process. Sends nothing.

        Args:
            callback: Its handle, or its id as an int or as digits. With a handle, the limits of
                ``wait`` count from the start of the callback; with an id, from now.

        Raises:
            TypeError: *callback* is neither a handle nor an id.
            ValueError: *callback* is not a valid id.
        """
        return Callback(_arguments.to_handle(callback, self._clock), self._poller)


class Callback:
    """
    A callback that TENIOS has accepted. Returned by :meth:`Tenios.start_callback` and
    :meth:`Tenios.callback`.

    Attributes:
        handle: Its id, delay and start. Store it to follow the callback in another process.
        outcome: The outcome so far, as seen by the newest :meth:`watch` or :meth:`wait`.
    """

    def __init__(self, handle: CallbackHandle, poller: StatusPoller) -> None:
        self.handle = handle
        self.outcome = Outcome(handle)
        self._poller = poller

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.id})"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"A {type(self).__name__} cannot be pickled or copied. Store its handle.")

    @property
    def id(self) -> int:
        """The id that TENIOS assigned to the callback."""
        return self.handle.id

    def status(self) -> CallbackStatus:
        """
        Return the current status. A transient failure is retried up to twice.

        Raises:
            StatusUnavailableError: The status could not be fetched.
        """
        return self._poller.fetch(self.id)

    def watch(
        self,
        *,
        answer_timeout: float | None = ANSWER_TIMEOUT,
        end_timeout: float | None = END_TIMEOUT,
    ) -> Iterator[CallbackStatus]:
        """
        Yield each new status, in order, up to the final one.

        A status that is shorter than the poll interval may be missed. Failed status requests are
        retried.

        Args:
            answer_timeout: Seconds from the end of the delay until agent and customer must have
                answered; None for no limit.
            end_timeout: Seconds from the end of the delay until the call must have ended; None for
                no limit.

        Raises:
            CallbackTimeoutError: A limit has passed. The callback is still running.
            StatusUnavailableError: TENIOS rejects the status requests. Do not poll again.
            ValueError: A limit is negative.
        """
        return self._follow(self._poller.new_state(self.handle, answer_timeout, end_timeout))

    def wait(
        self,
        *,
        answer_timeout: float | None = ANSWER_TIMEOUT,
        end_timeout: float | None = END_TIMEOUT,
    ) -> Outcome:
        """
        Wait until the callback has ended and return its outcome.

        Args:
            answer_timeout: Seconds from the end of the delay until agent and customer must have
                answered; None for no limit.
            end_timeout: Seconds from the end of the delay until the call must have ended; None for
                no limit.

        Raises:
            CallbackTimeoutError: A limit has passed. The callback is still running.
            StatusUnavailableError: TENIOS rejects the status requests. Do not poll again.
            ValueError: A limit is negative.
        """
        state = self._poller.new_state(self.handle, answer_timeout, end_timeout)
        for _ in self._follow(state):
            pass
        return state.outcome

    def _follow(self, state: PollState) -> Iterator[CallbackStatus]:
        clock = self._poller.clock
        while not state.outcome.ended:
            clock.sleep(state.pause(clock.monotonic()))
            now = clock.monotonic()
            if state.may_poll(now) and (status := self._poller.poll(state)):
                self.outcome = state.outcome
                yield status
            state.raise_if_expired(now)
