"""The clients: :class:`Tenios` for threads, :class:`AsyncTenios` for asyncio. Same names; only the waiting differs."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING, NoReturn, Self

import httpx
import tenios_client
from tenios_client.api.callback import get_callback_status, init_callback

from . import wire
from .callback import AsyncCallback, Callback
from .clock import SYSTEM_CLOCK
from .errors import InvalidRequestError, NotSentError, StatusUnavailableError
from .following import ANSWERED_WITHIN, ENDED_WITHIN, Follower
from .outcome import CallbackHandle
from .pacing import back_off, default_pacing
from .settings import Secret, Settings
from .transport import Network, Transport, async_refuse_unless_ok, http_options, refuse_unless_ok

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterable
    from datetime import timedelta

    from tenios_client.models import CallbackStatus, InitCallbackRequest

    from .clock import Clock
    from .outcome import Update
    from .pacing import Pacing
    from .transport import EventHooks

TIMEOUT = 30.0
IN_FLIGHT = 20
PER_SECOND = 100.0

# How often Callback.status() asks before it gives up, and the seconds before its second question.
_ATTEMPTS = 3
_FIRST_PAUSE = 0.5
_TOO_MANY_REQUESTS, _SERVER_ERROR = 429, 500

_log = logging.getLogger("tenios_ext")
_log.addHandler(logging.NullHandler())


class Tenios:
    """
    A client of the TENIOS Callback API. Make one, keep it, share it between threads, close it (or use it with ``with``).

    Each setting is taken from the keyword, else from the environment variable, else from the default.

    Args:
        access_key: The API's access key (``TENIOS_ACCESS_KEY``).
        callback_config_id: The callback configuration to use where a call names none (``TENIOS_CALLBACK_CONFIG_ID``).
        base_url: Where TENIOS is (``TENIOS_BASE_URL``); HTTPS, or HTTP to this machine.
        region: The country whose spelling of numbers is understood, such as "DE" (``TENIOS_REGION``); else only numbers with
            their country code are.
        allowed_numbers: The only numbers that may be called (``TENIOS_ALLOWED_NUMBERS``, separated by commas), so that a
            staging system cannot ring strangers; None for all.
        timeout: Seconds to wait for an answer; a connection must be made in 5 of them.
        pacing: When to ask about a running callback; see :func:`default_pacing`.
        proxy: The address of an HTTP proxy, else the one that ``HTTPS_PROXY`` names.
        transport: An httpx transport to use for everything instead of our own; it must not repeat requests itself.
        event_hooks: httpx's event hooks; a request's body contains the access key.
        clock: Another clock, for tests.

    Raises:
        InvalidRequestError: A setting is missing or wrong.
    """

    def __init__(
        self,
        access_key: str | None = None,
        callback_config_id: str | None = None,
        *,
        base_url: str | None = None,
        region: str | None = None,
        allowed_numbers: Collection[str] | None = None,
        timeout: float = TIMEOUT,
        pacing: Pacing = default_pacing,
        proxy: str | None = None,
        transport: httpx.BaseTransport | None = None,
        event_hooks: EventHooks | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        access_key = Secret(access_key) if isinstance(access_key, str) else access_key  # Tracebacks show this variable.
        self._settings = Settings.of(
            access_key=access_key,
            callback_config_id=callback_config_id,
            base_url=base_url,
            region=region,
            allowed_numbers=allowed_numbers,
            timeout=timeout,
            pacing=pacing,
        )
        self._clock = clock
        options = http_options(self._settings, event_hooks, refuse_unless_ok)
        self._http = httpx.Client(transport=Transport(Network(self._settings, proxy), transport), **options)
        self._api = tenios_client.Client(base_url=self._settings.base_url).set_httpx_client(self._http)

    def __repr__(self) -> str:
        return _shown(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        _warn_if_open(self, getattr(self, "_http", None))

    def close(self) -> None:
        """Close the connections. A second call does nothing."""
        self._http.close()

    def start_callback(
        self,
        number: str,
        *,
        delay: float | timedelta = 0,
        agent_announcement: str | None = None,
        dtmf_key: str | None = None,
        callback_config_id: str | None = None,
    ) -> Callback:
        """
        Have the agent called, then *number*, and both joined. Dials once, whatever happens.

        Args:
            number: The customer's telephone number, in any usual spelling.
            delay: Whole seconds, or a timedelta of such, before the agent is called.
            agent_announcement: A text that is read aloud to the agent first.
            dtmf_key: The key that the agent must press to have the customer called: "0" to "9", "*" or "#".
            callback_config_id: Another callback configuration than the client's.

        Raises:
            NotPlacedError: No callback was started (see its subclasses for why); it may be tried again.
            OutcomeUnknownError: The telephones may be ringing; do not simply call again.
        """
        _refuse_if_closed(self._http)
        request = wire.init_request(
            self._settings,
            number,
            delay=delay,
            agent_announcement=agent_announcement,
            dtmf_key=dtmf_key,
            callback_config_id=callback_config_id,
        )
        started_at = self._clock.now()
        try:
            answer = init_callback.sync_detailed(client=self._api, body=request)
            return Callback(_started(wire.callback_id(answer.parsed), request, started_at), self)
        except Exception as error:  # noqa: BLE001 - each failure of a dial must be told apart from every other
            failure = wire.dial_failure(error, self._settings.access_key)
        except BaseException as interruption:  # noqa: BLE001 - handed on at once
            _hand_on(interruption, note=wire.UNKNOWN_HINT)
        # Raised out here, where the original, which holds the request with the key in it, is no longer chained.
        _log.warning("callback not confirmed: %s", failure, extra={"error": type(failure).__name__})
        raise failure

    def callback(self, callback: int | CallbackHandle) -> Callback:
        """Pick up a callback that was started before, or elsewhere: by its id or, better, by its handle."""
        return Callback(_handle(callback, self._clock), self)

    def _ask(self, callback_id: int, *, attempt: int) -> CallbackStatus:
        try:
            request = wire.status_request(self._settings, callback_id)
            return wire.callback_status(get_callback_status.sync_detailed(client=self._api, body=request).parsed)
        except Exception as error:  # noqa: BLE001 - a failed question is no news, whatever failed
            failure = wire.status_failure(error, self._settings.access_key)
        except BaseException as interruption:  # noqa: BLE001 - handed on at once
            _hand_on(interruption)
        _log.info("status unavailable: %s", failure, extra={"callback_id": callback_id, "attempt": attempt})
        raise failure

    def _status(self, callback_id: int) -> CallbackStatus:
        for attempt in range(1, _ATTEMPTS):
            try:
                return self._ask(callback_id, attempt=attempt)
            except StatusUnavailableError as error:
                if not _is_passing(error):
                    raise
                pause = back_off(_FIRST_PAUSE, failures=attempt - 1, retry_after=error.retry_after)
            self._clock.sleep(pause)
        return self._ask(callback_id, attempt=_ATTEMPTS)

    def _poll(self, follower: Follower) -> CallbackStatus | None:
        try:
            status = self._ask(follower.handle.id, attempt=follower.failures + 1)
        except StatusUnavailableError as error:
            follower.failed(error, self._clock.now())
            return None
        return _note(follower, status, self._clock.now())

    def _follower(self, handle: CallbackHandle, answered: float | None, ended: float | None) -> Follower:
        return Follower(handle, self._settings.pacing, answered_within=answered, ended_within=ended)


class AsyncTenios:
    """
    The same for asyncio: share it between tasks; each event loop has connections of its own.

    Takes the arguments of :class:`Tenios`, and:

    Args:
        aiohttp: Whether to use aiohttp under httpx, which costs less with many callbacks (the extra ``aiohttp``); None to
            use it where it is installed.
    """

    def __init__(
        self,
        access_key: str | None = None,
        callback_config_id: str | None = None,
        *,
        base_url: str | None = None,
        region: str | None = None,
        allowed_numbers: Collection[str] | None = None,
        timeout: float = TIMEOUT,
        pacing: Pacing = default_pacing,
        proxy: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        event_hooks: EventHooks | None = None,
        clock: Clock = SYSTEM_CLOCK,
        aiohttp: bool | None = None,
    ) -> None:
        from .async_transport import AsyncTransport  # noqa: PLC0415 - imports asyncio

        access_key = Secret(access_key) if isinstance(access_key, str) else access_key  # Tracebacks show this variable.
        self._settings = Settings.of(
            access_key=access_key,
            callback_config_id=callback_config_id,
            base_url=base_url,
            region=region,
            allowed_numbers=allowed_numbers,
            timeout=timeout,
            pacing=pacing,
        )
        self._clock = clock
        options = http_options(self._settings, event_hooks, async_refuse_unless_ok)
        own = AsyncTransport(Network(self._settings, proxy), transport, aiohttp=aiohttp)
        self._http = httpx.AsyncClient(transport=own, **options)
        self._api = tenios_client.Client(base_url=self._settings.base_url).set_async_httpx_client(self._http)

    def __repr__(self) -> str:
        return _shown(self)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __del__(self) -> None:
        _warn_if_open(self, getattr(self, "_http", None))

    async def aclose(self) -> None:
        """Close the connections. A second call does nothing."""
        await self._http.aclose()

    async def start_callback(
        self,
        number: str,
        *,
        delay: float | timedelta = 0,
        agent_announcement: str | None = None,
        dtmf_key: str | None = None,
        callback_config_id: str | None = None,
    ) -> AsyncCallback:
        """As :meth:`Tenios.start_callback`."""
        _refuse_if_closed(self._http)
        request = wire.init_request(
            self._settings,
            number,
            delay=delay,
            agent_announcement=agent_announcement,
            dtmf_key=dtmf_key,
            callback_config_id=callback_config_id,
        )
        started_at = self._clock.now()
        try:
            answer = await init_callback.asyncio_detailed(client=self._api, body=request)
            return AsyncCallback(_started(wire.callback_id(answer.parsed), request, started_at), self)
        except Exception as error:  # noqa: BLE001 - each failure of a dial must be told apart from every other
            failure = wire.dial_failure(error, self._settings.access_key)
        except BaseException as interruption:  # noqa: BLE001 - handed on at once
            _hand_on(interruption, note=wire.UNKNOWN_HINT)
        # Raised out here, where the original, which holds the request with the key in it, is no longer chained.
        _log.warning("callback not confirmed: %s", failure, extra={"error": type(failure).__name__})
        raise failure

    def callback(self, callback: int | CallbackHandle) -> AsyncCallback:
        """As :meth:`Tenios.callback`."""
        return AsyncCallback(_handle(callback, self._clock), self)

    def watch_many(
        self,
        callbacks: Iterable[int | CallbackHandle],
        *,
        answered_within: float | None = ANSWERED_WITHIN,
        ended_within: float | None = ENDED_WITHIN,
        in_flight: int = IN_FLIGHT,
        per_second: float = PER_SECOND,
    ) -> AsyncIterator[Update]:
        """
        Follow any number of callbacks at once and yield what changes, in the order in which it is seen.

        One callback's trouble is an update of its own with ``error`` set, and the last one of that callback.

        Args:
            callbacks: Ids or handles.
            answered_within: As in :meth:`AsyncCallback.watch`, for each of them.
            ended_within: As in :meth:`AsyncCallback.watch`, for each of them.
            in_flight: How many questions may be under way at once.
            per_second: How many questions may be asked in a second.
        """
        from .many import watch_many  # noqa: PLC0415 - imports asyncio

        handles = [_handle(callback, self._clock) for callback in callbacks]
        followers = [self._follower(handle, answered_within, ended_within) for handle in handles]
        return watch_many(followers, self._poll, self._clock, in_flight=in_flight, per_second=per_second)

    async def _ask(self, callback_id: int, *, attempt: int) -> CallbackStatus:
        try:
            request = wire.status_request(self._settings, callback_id)
            answer = await get_callback_status.asyncio_detailed(client=self._api, body=request)
            return wire.callback_status(answer.parsed)
        except Exception as error:  # noqa: BLE001 - a failed question is no news, whatever failed
            failure = wire.status_failure(error, self._settings.access_key)
        except BaseException as interruption:  # noqa: BLE001 - handed on at once
            _hand_on(interruption)
        _log.info("status unavailable: %s", failure, extra={"callback_id": callback_id, "attempt": attempt})
        raise failure

    async def _status(self, callback_id: int) -> CallbackStatus:
        for attempt in range(1, _ATTEMPTS):
            try:
                return await self._ask(callback_id, attempt=attempt)
            except StatusUnavailableError as error:
                if not _is_passing(error):
                    raise
                pause = back_off(_FIRST_PAUSE, failures=attempt - 1, retry_after=error.retry_after)
            await self._clock.async_sleep(pause)
        return await self._ask(callback_id, attempt=_ATTEMPTS)

    async def _poll(self, follower: Follower) -> CallbackStatus | None:
        try:
            status = await self._ask(follower.handle.id, attempt=follower.failures + 1)
        except StatusUnavailableError as error:
            follower.failed(error, self._clock.now())
            return None
        return _note(follower, status, self._clock.now())

    def _follower(self, handle: CallbackHandle, answered: float | None, ended: float | None) -> Follower:
        return Follower(handle, self._settings.pacing, answered_within=answered, ended_within=ended)


def _shown(client: Tenios | AsyncTenios) -> str:
    settings: Settings | None = getattr(client, "_settings", None)  # A traceback may show one that could not be made.
    return f"{type(client).__name__}({settings.base_url!r})" if settings else f"{type(client).__name__}()"


def _started(callback_id: int, request: InitCallbackRequest, started_at: float) -> CallbackHandle:
    _log.info("callback %d started", callback_id, extra={"callback_id": callback_id})
    return CallbackHandle(callback_id, delay=request.delay, started_at=started_at)


def _handle(callback: object, clock: Clock) -> CallbackHandle:
    if isinstance(callback, CallbackHandle):
        return callback
    if isinstance(callback, bool) or not isinstance(callback, int) or callback < 0:
        raise InvalidRequestError(
            f"A callback is named by its id, a whole number, or by its handle, not by {callback!r}."
        )
    return CallbackHandle(callback, started_at=clock.now())


def _note(follower: Follower, status: CallbackStatus, now: float) -> CallbackStatus | None:
    if not follower.heard(status, now):
        return None
    callback_id = follower.handle.id
    extra = {"callback_id": callback_id, "callback_status": str(status)}
    _log.info("callback %d is %s", callback_id, status, extra=extra)
    return status


def _is_passing(error: StatusUnavailableError) -> bool:
    status = error.http_status
    return status is None or status == _TOO_MANY_REQUESTS or status >= _SERVER_ERROR


def _refuse_if_closed(http: httpx.Client | httpx.AsyncClient) -> None:
    if http.is_closed:
        raise NotSentError("This client is closed, and nothing was sent. Make another one.")


def _hand_on(interruption: BaseException, *, note: str | None = None) -> NoReturn:
    """Let Ctrl-C and cancellation through, without the frames of the HTTP library, whose variables hold the key."""
    interruption.__context__ = None
    if note is not None:
        interruption.add_note(note)
    raise interruption.with_traceback(None)


def _warn_if_open(client: object, http: httpx.Client | httpx.AsyncClient | None) -> None:
    if http is not None and not http.is_closed:
        warnings.warn(f"{client!r} was not closed", ResourceWarning, stacklevel=3, source=client)
