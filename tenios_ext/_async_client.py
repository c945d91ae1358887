"""
The asyncio client: the source from which ``make generate`` writes the client for threads,
``_sync_client.py``.
"""

from __future__ import annotations

import asyncio  # async only
import logging
import sys
import warnings
from collections.abc import AsyncIterable  # async only
from typing import TYPE_CHECKING, Literal, Self

import tenios_client
from tenios_client.api.callback import init_callback

from . import _arguments, _responses
from ._async_poller import AsyncStatusPoller
from ._async_transport import AsyncHttpClient, AsyncTransport
from ._attempt import Attempt
from ._clock import SYSTEM_CLOCK, CheckedClock
from ._connections import Connections, http_options
from ._exceptions import ConfigurationError, NotPlacedError, NotSentError, TeniosError
from ._models import CallbackHandle, Outcome
from ._polling import ANSWER_TIMEOUT, END_TIMEOUT, default_poll_interval
from ._secret import Secret
from ._settings import DEFAULT_TIMEOUT, Settings, ledger_of
from ._threads import async_in_thread
from ._watch_many import MAX_CONCURRENCY, watch_many

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Iterable
    from datetime import timedelta

    import httpx
    import sqlalchemy as sa
    from tenios_client.models import CallbackStatus, InitCallbackRequest

    from ._clock import Clock
    from ._connections import EventHooks
    from ._polling import PollInterval, PollState
    from ._watch_many import StatusUpdate
    from .ledger import Ledger
    from .ledger._claim import Claim

logger = logging.getLogger("tenios_ext")
logger.addHandler(logging.NullHandler())

_CLOSED = "This client is closed, so nothing was sent. Make a new one."


class AsyncTenios:
    """
    A client for the TENIOS Callback API, for asyncio.

    Make one, share it between tasks, and close it at the end, as ``async with`` does. Each setting
    is taken from its keyword, else from the environment variable, else from the default.

    Each event loop has its own connections.

    Args:
        access_key: The API's access key (``TENIOS_ACCESS_KEY``, or ``TENIOS_ACCESS_KEY_FILE`` for
            the name of a file).
        callback_config_id: The callback configuration for calls that name none
            (``TENIOS_CALLBACK_CONFIG_ID``).
        base_url: The address of TENIOS (``TENIOS_BASE_URL``); HTTPS, or HTTP to this machine.
        insecure_hosts: Other hosts that plain HTTP may be used to, such as a simulator in a
            neighbouring container (``TENIOS_INSECURE_HOSTS``, separated by commas).
        region: The country of numbers without a country code, such as "DE" (``TENIOS_REGION``). By
            default they are refused.
        allowed_numbers: The only numbers that may be called (``TENIOS_ALLOWED_NUMBERS``, separated
            by commas), so that a staging system cannot call strangers; None for all.
        allowed_regions: The only countries whose numbers may be called, such as ["DE", "AT"]
            (``TENIOS_ALLOWED_REGIONS``, separated by commas); None for all.
        allow_special_numbers: Whether to call premium-rate, shared-cost, personal, pager and
            satellite numbers (``TENIOS_ALLOW_SPECIAL_NUMBERS``, 1 or 0). By default they are
            refused.
        one_call_per_number: Whether a call with a key is refused while a callback to its number may
            be in progress under another key (``TENIOS_ONE_CALL_PER_NUMBER``, 1 or 0).
        timeout: Seconds to wait for a response. A connection must be made within 5 of them.
        poll_interval: When to poll a running callback: a function, or a number of seconds, of which
            the least is 0.25. See :func:`default_poll_interval`.
        proxy: The URL of an HTTP proxy. By default the one that ``HTTPS_PROXY`` names.
        transport: An httpx transport to use instead of ours. It must not retry requests, and sees
            the access key in their bodies. An exception in it makes the outcome unknown.
        event_hooks: httpx event hooks. They see requests without the access key. An exception in
            one makes the outcome unknown.
        clock: Replaces the system's clock in tests.
        ledger: Where callbacks that are started with a key are recorded (``TENIOS_LEDGER``, the URL
            of its database); see :class:`.Ledger`. The client closes it only if it comes from the
            variable. False for none, whatever the variable says.
        aiohttp: Whether to use aiohttp's connections, which take less CPU for many callbacks (the
            extra ``aiohttp``).

    Raises:
        ConfigurationError: A setting is missing or wrong.
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
        transport: httpx.AsyncBaseTransport | None = None,
        event_hooks: EventHooks | None = None,
        clock: Clock = SYSTEM_CLOCK,
        ledger: Ledger | Literal[False] | None = None,
        aiohttp: bool = False,  # async only
    ) -> None:
        key = None if access_key is None else Secret(access_key)
        access_key = None  # Tracebacks show this variable.
        self._settings = Settings.from_environment(
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
        own_transport = AsyncTransport(
            Connections(self._settings, proxy),
            transport,
            aiohttp=aiohttp,  # async only
        )
        options = http_options(self._settings, event_hooks)
        self._ledger, self._owns_ledger = ledger_of(ledger)
        self._http = AsyncHttpClient(transport=own_transport, **options)
        self._api = tenios_client.Client(base_url=self._settings.base_url).set_async_httpx_client(
            self._http
        )
        self._poller = AsyncStatusPoller(
            self._api, self._http, self._settings, self._clock, self._ledger
        )

    def __repr__(self) -> str:
        # Also while a traceback shows a client that could not be made.
        settings = vars(self).get("_settings")
        return f"{type(self).__name__}({settings.base_url!r})" if settings else "AsyncTenios()"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __del__(self, warn: Callable[..., None] = warnings.warn) -> None:
        http = vars(self).get("_http")  # There is none if the client could not be made.
        if http is not None and not http.is_closed:
            warn(f"{self!r} was not closed", ResourceWarning, stacklevel=2, source=self)

    async def aclose(self) -> None:
        """Close the connections. Calling it again does nothing."""
        await self._http.aclose()
        if self._ledger is not None and self._owns_ledger:
            self._ledger.close()

    @property
    def base_url(self) -> str:
        """The address of TENIOS, without a trailing slash."""
        return self._settings.base_url

    @property
    def region(self) -> str | None:
        """The country of numbers without a country code; None if they are refused."""
        return self._settings.region

    @property
    def allowed_numbers(self) -> frozenset[str] | None:
        """The only numbers that may be called, as E.164; None for all."""
        return self._settings.allowed_numbers

    @property
    def allowed_regions(self) -> frozenset[str] | None:
        """The only countries whose numbers may be called, such as "DE"; None for all."""
        return self._settings.allowed_regions

    @property
    def allow_special_numbers(self) -> bool:
        """Whether premium-rate, shared-cost, personal, pager and satellite numbers are called."""
        return self._settings.allow_special_numbers

    @property
    def one_call_per_number(self) -> bool:
        """Whether a call with a key is refused while another one to its number is in progress."""
        return self._settings.one_call_per_number

    @property
    def callback_config_id(self) -> str | None:
        """The callback configuration for calls that name none; None if each call must name one."""
        return self._settings.callback_config_id

    @property
    def ledger(self) -> Ledger | None:
        """Where callbacks that are started with a key are recorded."""
        return self._ledger

    async def start_callback(
        self,
        number: str,
        *,
        delay: float | timedelta = 0,
        agent_announcement: str | None = None,
        dtmf_key: str | None = None,
        callback_config_id: str | None = None,
        key: str | None = None,
        on_claim: Callable[[sa.Connection], None] | None = None,
    ) -> AsyncCallback:
        """
        Have TENIOS call the agent, then *number*, and connect them. At most one request is sent,
        whatever happens.

        With a *key*, that holds for all calls with this key and ledger, in any process: the first
        one starts the callback, and the others return it. If a callback was refused or not sent,
        the next call tries again. While the outcome is unknown, each call raises
        OutcomeUnknownError and sends nothing.

        Args:
            number: The customer's phone number, in any usual spelling.
            delay: Seconds before the agent is called, a whole number or a timedelta of such.
            agent_announcement: A text that is read to the agent first.
            dtmf_key: The key the agent must press before the customer is called: "0" to "9", "*" or
                "#".
            callback_config_id: Use this callback configuration instead of the client's.
            key: What the call is for, such as an order or the submission of a form: 1 to 200
                printable characters. Needs a ledger.
            on_claim: Called with a SQLAlchemy connection in the transaction that claims the key,
                before that and in another thread: what it writes there is committed with the
                claim. If it raises, nothing is claimed or sent, and that is raised.

        Raises:
            NotPlacedError: No callback was started (its subclasses say why). You may call again.
            OutcomeUnknownError: Phones may be ringing. Do not simply call again.
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
            if key is not None:
                from .ledger import _claim  # most calls have no key

                claim = _claim.Claim(
                    self._ledger, self._settings, key, request, attempt=attempt, on_claim=on_claim
                )
                if placed := await async_in_thread(claim.make, late=claim.too_late):
                    return AsyncCallback(placed, self._poller)
            result = await self._send_init(request, started_at, attempt)
            if claim is not None:
                await async_in_thread(claim.record, result, late=claim.record_late)
            if isinstance(result, TeniosError):
                extra = {"error": type(result).__name__}
                logger.warning("callback not confirmed: %s", result, extra=extra)
                raise attempt.foreign or result  # noqa: TRY301 - what is raised must lose its frames
            logger.info("callback %d started", result.id, extra={"callback_id": result.id})
            return AsyncCallback(result, self._poller)
        # Reads attributes only: an interruption may strike whenever a function is called.
        except BaseException as error:
            attempt.send_before = 0.0  # Nothing may leave from now on.
            if attempt.may_ring and not isinstance(error, TeniosError):
                error.add_note(_responses.UNKNOWN_HINT)
            # The frames of the HTTP library hold the access key.
            error.__cause__ = error.__context__ = error.__traceback__ = None
            if claim is not None:
                claim.is_over = True
                if claim.is_open:
                    claim.settle()
            raise

    def _now(self) -> float:
        """Return the time, before a claim. Raises NotSentError if nothing can be sent."""
        if self._http.is_closed:
            raise NotSentError(_CLOSED)
        try:
            asyncio.get_running_loop()  # async only
            return self._clock.now()
        except (ConfigurationError, RuntimeError) as error:
            reason = f"{type(error).__name__}: {error}"
        raise NotSentError(f"Nothing was sent ({reason}).", reason=reason)

    async def _send_init(
        self, request: InitCallbackRequest, started_at: float, attempt: Attempt
    ) -> CallbackHandle | TeniosError:
        """
        Send one init request. Errors are returned, so that no traceback has the frames that hold
        the response.
        """
        result: CallbackHandle | TeniosError
        if self._http.is_closed:  # since the claim was made
            return NotSentError(_CLOSED)
        outside = sys.exception()
        attempt.may_ring = True  # Our transport takes it back when it has the request.
        with attempt:
            try:
                response = await init_callback.asyncio_detailed(client=self._api, body=request)
                callback_id = _responses.callback_id(response)
                result = CallbackHandle(callback_id, delay=request.delay, started_at=started_at)
            except Exception as error:  # noqa: BLE001 - each is mapped to one of two branches
                result = _responses.map_init_error(error, self._settings.access_key, attempt)
                attempt.foreign = _responses.foreign_exception(error, outside=outside)
        if isinstance(result, NotPlacedError):
            attempt.may_ring = False
        attempt.result = result
        return result

    def callback(self, callback: int | str | CallbackHandle) -> AsyncCallback:
        """
        Pick up a callback that was started before or elsewhere. Sends nothing.

        Args:
            callback: Its handle, or its id as a number or in digits. A handle also knows when the
                limits of ``wait`` began.

        Raises:
            TypeError: *callback* is neither.
            ValueError: *callback* is not a valid id.
        """
        return AsyncCallback(_arguments.to_handle(callback, self._clock), self._poller)

    # async only: begin
    def watch_many(
        self,
        callbacks: Iterable[int | str | CallbackHandle] | AsyncIterable[int | str | CallbackHandle],
        *,
        answer_timeout: float | None = ANSWER_TIMEOUT,
        end_timeout: float | None = END_TIMEOUT,
        max_concurrency: int = MAX_CONCURRENCY,
        max_requests_per_second: float | None = None,
    ) -> AsyncIterator[StatusUpdate]:
        """
        Watch any number of callbacks at once and yield each change as it is seen.

        An error of one callback is an update with ``error`` set, and the last one for that
        callback. The others go on.

        Args:
            callbacks: Handles or ids. An async iterable may yield more of them while others are
                watched. It is read in a task of its own, closed at the end if it is a generator,
                and what it raises is raised here.
            answer_timeout: As in :meth:`AsyncCallback.watch`, for each callback.
            end_timeout: As in :meth:`AsyncCallback.watch`, for each callback.
            max_concurrency: The most requests at the same time.
            max_requests_per_second: The most requests per second; None for no limit.

        Raises:
            TypeError: One of *callbacks* is neither a handle nor an id.
            ValueError: A limit or an id is not valid.
        """
        self._poller.raise_if_closed()

        def new_state(callback: int | str | CallbackHandle) -> PollState:
            handle = _arguments.to_handle(callback, self._clock)
            return self._poller.new_state(handle, answer_timeout, end_timeout)

        return watch_many(
            [] if isinstance(callbacks, AsyncIterable) else list(map(new_state, callbacks)),
            self._poller.poll,
            self._clock,
            later=callbacks if isinstance(callbacks, AsyncIterable) else None,
            new_state=new_state,
            max_concurrency=max_concurrency,
            max_requests_per_second=max_requests_per_second,
        )

    # async only: end


class AsyncCallback:
    """
    A callback that TENIOS has accepted. Returned by :meth:`AsyncTenios.start_callback` and
    :meth:`AsyncTenios.callback`.

    Attributes:
        handle: Its id, delay and start. Store it to pick the callback up later or in another
            process.
        outcome: What the newest :meth:`watch` or :meth:`wait` has seen so far.
    """

    def __init__(self, handle: CallbackHandle, poller: AsyncStatusPoller) -> None:
        self.handle = handle
        self.outcome = Outcome(handle)
        self._poller = poller

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.id})"

    @property
    def id(self) -> int:
        """The id TENIOS gave the callback."""
        return self.handle.id

    async def status(self) -> CallbackStatus:
        """
        Return the current status. Transient failures are retried up to twice.

        Raises:
            StatusUnavailableError: The status could not be fetched.
        """
        return await self._poller.fetch(self.id)

    def watch(
        self,
        *,
        answer_timeout: float | None = ANSWER_TIMEOUT,
        end_timeout: float | None = END_TIMEOUT,
    ) -> AsyncIterator[CallbackStatus]:
        """
        Yield each status once, in order, as it is seen, up to the final one. Short ones may be
        missed.

        Failed status requests are retried and do not change the reported status.

        Args:
            answer_timeout: Seconds from the end of the delay until both must have answered; None
                for no limit.
            end_timeout: Seconds from the end of the delay until the call must have ended; None for
                no limit.

        Raises:
            CallbackTimeoutError: A limit has passed. The callback itself goes on.
            StatusUnavailableError: TENIOS refuses to return the status, so polling again is of no
                use.
            ValueError: A limit is negative.
        """
        return self._follow(self._poller.new_state(self.handle, answer_timeout, end_timeout))

    async def wait(
        self,
        *,
        answer_timeout: float | None = ANSWER_TIMEOUT,
        end_timeout: float | None = END_TIMEOUT,
    ) -> Outcome:
        """
        Wait until the callback has ended, and return its outcome.

        Args:
            answer_timeout: Seconds from the end of the delay until both must have answered; None
                for no limit.
            end_timeout: Seconds from the end of the delay until the call must have ended; None for
                no limit.

        Raises:
            CallbackTimeoutError: A limit has passed. The callback itself goes on.
            StatusUnavailableError: TENIOS refuses to return the status, so polling again is of no
                use.
            ValueError: A limit is negative.
        """
        state = self._poller.new_state(self.handle, answer_timeout, end_timeout)
        async for _ in self._follow(state):
            pass
        return state.outcome

    async def _follow(self, state: PollState) -> AsyncIterator[CallbackStatus]:
        clock = self._poller.clock
        while not state.outcome.ended:
            await clock.async_sleep(state.pause(clock.monotonic()))
            now = clock.monotonic()
            if state.may_poll(now) and (status := await self._poller.poll(state)):
                self.outcome = state.outcome
                yield status
            state.raise_if_expired(now)
