"""What is known about a callback: the handle that names it, and the outcome as far as it was seen."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

from attrs import asdict, field, frozen, validators

from .status import FAILED_PARTY, FINAL, TALKED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tenios_client.models import CallbackStatus

    from .errors import TeniosError
    from .status import Party


@frozen
class CallbackHandle:
    """
    Names a callback, without any secret: keep it, send it to another process, pick the callback up there.

    Attributes:
        id: What TENIOS calls the callback.
        delay: Seconds that TENIOS was asked to wait before the first call.
        started_at: When the callback was started, in seconds since the epoch by the clock of the machine that did it.
    """

    id: int = field(validator=[validators.instance_of(int), validators.ge(0)])
    delay: int = field(default=0, kw_only=True, validator=[validators.instance_of(int), validators.ge(0)])
    started_at: float = field(kw_only=True, converter=float)

    @started_at.validator
    def _check(self, _: object, seconds: float) -> None:
        if not 0 <= seconds < math.inf:
            raise ValueError(f"started_at is in seconds since the epoch, not {seconds!r}.")

    def to_json(self) -> str:
        """This handle as a JSON object; :meth:`from_json` reads it."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> CallbackHandle:
        """Read what :meth:`to_json` wrote. Raises ValueError where *text* is something else."""
        try:
            return cls(**json.loads(text))
        except (TypeError, ValueError) as error:
            raise ValueError(f"This is no callback handle as to_json() writes it: {error}") from error


@frozen
class Sighting:
    """
    A status was seen for the first time.

    Attributes:
        status: The status.
        at: When it was seen, in seconds since the epoch; it began at some time since the question before.
    """

    status: CallbackStatus
    at: float


@frozen
class Outcome:
    """
    What was seen of a callback.

    Attributes:
        handle: Which callback.
        sightings: Each status that was seen, in order. Short ones may be missing: only what was seen is here.
    """

    handle: CallbackHandle
    sightings: tuple[Sighting, ...] = ()

    @property
    def status(self) -> CallbackStatus | None:
        """The newest status that was seen; None where none was."""
        return self.sightings[-1].status if self.sightings else None

    @property
    def connected(self) -> bool:
        """Whether agent and customer have talked, or are talking."""
        return any(sighting.status in TALKED for sighting in self.sightings)

    @property
    def failed_party(self) -> Party | None:
        """Who was not reached: "agent" or "customer"; None where neither failed."""
        return FAILED_PARTY.get(self.status) if self.status is not None else None

    @property
    def over(self) -> bool:
        """Whether the callback has ended."""
        return self.status in FINAL

    @property
    def durations(self) -> Mapping[CallbackStatus, float]:
        """
        Seconds from the sighting of each status to the sighting of the next one.

        Exact to the interval between two questions; the newest status has no duration yet.
        """
        pairs = zip(self.sightings, self.sightings[1:], strict=False)
        return {earlier.status: later.at - earlier.at for earlier, later in pairs}


@frozen
class Update:
    """
    Something changed in one of many callbacks.

    Attributes:
        outcome: What was seen of the callback up to now; ``outcome.handle`` names it.
        status: The new status; None where *error* says why there will be no more of this callback.
        error: CallbackTimeoutError or StatusUnavailableError; None where all is well.
    """

    outcome: Outcome
    status: CallbackStatus | None = None
    error: TeniosError | None = None
