"""A callback that was started: ask how far it is, watch it, wait for its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .following import ANSWERED_WITHIN, ENDED_WITHIN
from .outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tenios_client.models import CallbackStatus

    from .client import AsyncTenios, Tenios
    from .following import Follower
    from .outcome import CallbackHandle


class Callback:
    """
    A callback that TENIOS has accepted; :meth:`Tenios.start_callback` and :meth:`Tenios.callback` make it.

    Attributes:
        handle: Its id, delay and start, without a secret; keep it to pick the callback up later or elsewhere.
        outcome: What the newest :meth:`watch` or :meth:`wait` has seen up to now.
    """

    def __init__(self, handle: CallbackHandle, client: Tenios) -> None:
        self.handle = handle
        self.outcome = Outcome(handle)
        self._client = client

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.id})"

    @property
    def id(self) -> int:
        """What TENIOS calls the callback."""
        return self.handle.id

    def status(self) -> CallbackStatus:
        """
        Ask how far the callback is; a question that fails is repeated a little.

        Raises:
            StatusUnavailableError: There was no usable answer.
        """
        return self._client._status(self.id)

    def watch(
        self,
        *,
        answered_within: float | None = ANSWERED_WITHIN,
        ended_within: float | None = ENDED_WITHIN,
    ) -> Iterator[CallbackStatus]:
        """
        Yield each status once, in order, as it is seen, up to a final one. Short ones may not be seen.

        Args:
            answered_within: Seconds from the end of the delay until both must have answered; None for no limit.
            ended_within: Seconds from the end of the delay until the conversation must have ended; None for no limit.

        Raises:
            CallbackTimeoutError: A limit has passed; the callback itself goes on.
            StatusUnavailableError: TENIOS refuses to answer, so that asking again is of no use. Other failures are waited out.
            ValueError: A limit is negative.
        """
        return self._follow(self._client._follower(self.handle, answered_within, ended_within))

    def wait(
        self,
        *,
        answered_within: float | None = ANSWERED_WITHIN,
        ended_within: float | None = ENDED_WITHIN,
    ) -> Outcome:
        """Wait until the callback is over and say how it went. Limits and errors are those of :meth:`watch`."""
        follower = self._client._follower(self.handle, answered_within, ended_within)
        for _ in self._follow(follower):
            pass
        return follower.outcome

    def _follow(self, follower: Follower) -> Iterator[CallbackStatus]:
        clock = self._client._clock
        while not follower.outcome.over:
            clock.sleep(follower.pause(clock.now()))
            if follower.may_ask(clock.now()) and (news := self._client._poll(follower)):
                self.outcome = follower.outcome
                yield news
            follower.check(clock.now())


class AsyncCallback:
    """
    A callback that TENIOS has accepted; :meth:`AsyncTenios.start_callback` and :meth:`AsyncTenios.callback` make it.

    Attributes:
        handle: Its id, delay and start, without a secret; keep it to pick the callback up later or elsewhere.
        outcome: What the newest :meth:`watch` or :meth:`wait` has seen up to now.
    """

    def __init__(self, handle: CallbackHandle, client: AsyncTenios) -> None:
        self.handle = handle
        self.outcome = Outcome(handle)
        self._client = client

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.id})"

    @property
    def id(self) -> int:
        """What TENIOS calls the callback."""
        return self.handle.id

    async def status(self) -> CallbackStatus:
        """As :meth:`Callback.status`."""
        return await self._client._status(self.id)

    def watch(
        self,
        *,
        answered_within: float | None = ANSWERED_WITHIN,
        ended_within: float | None = ENDED_WITHIN,
    ) -> AsyncIterator[CallbackStatus]:
        """As :meth:`Callback.watch`, for ``async for``."""
        return self._follow(self._client._follower(self.handle, answered_within, ended_within))

    async def wait(
        self,
        *,
        answered_within: float | None = ANSWERED_WITHIN,
        ended_within: float | None = ENDED_WITHIN,
    ) -> Outcome:
        """As :meth:`Callback.wait`. Cancelling it leaves the callback as it is."""
        follower = self._client._follower(self.handle, answered_within, ended_within)
        async for _ in self._follow(follower):
            pass
        return follower.outcome

    async def _follow(self, follower: Follower) -> AsyncIterator[CallbackStatus]:
        clock = self._client._clock
        while not follower.outcome.over:
            await clock.async_sleep(follower.pause(clock.now()))
            if follower.may_ask(clock.now()) and (news := await self._client._poll(follower)):
                self.outcome = follower.outcome
                yield news
            follower.check(clock.now())
