"""
Phone numbers with a fixed scenario or fault, for clients in any language.

They are from the range +49 30 23125 000 to 999, which the German regulator reserves for films and
books.
"""

from __future__ import annotations

from attrs import frozen

from . import faults
from .faults import Injection
from .scenario import Scenario

_RANGE = "+493023125"


@frozen
class MagicNumber:
    """
    A number with a fixed scenario or fault.

    Attributes:
        number: The number in E.164 format.
        description: What happens, in a few words.
        scenario: The scenario of its callbacks.
        faults: The faults of its requests.
    """

    number: str
    description: str
    scenario: Scenario
    faults: tuple[Injection, ...] = ()

    @property
    def display(self) -> str:
        """The number with spaces."""
        return f"+49 30 23125 {self.number[-3:]}"


def _call(digits: str, description: str, scenario: Scenario) -> MagicNumber:
    return MagicNumber(_RANGE + digits, description, scenario)


def _init(digits: str, description: str, fault: faults.Fault) -> MagicNumber:
    injection = Injection(fault, on="init", times=None)
    return MagicNumber(_RANGE + digits, f"init: {description}", Scenario.answered(), (injection,))


def _status(
    digits: str, description: str, fault: faults.Fault, *, nth: int = 1, times: int | None = 1
) -> MagicNumber:
    injection = Injection(fault, nth=nth, times=times)
    return MagicNumber(_RANGE + digits, f"status: {description}", Scenario.answered(), (injection,))


_BAD_GATEWAY = faults.HttpError(502, accepted=True)
_UNOFFICIAL = faults.HttpError(520, accepted=True)
_RATE_LIMITED = faults.HttpError(429, retry_after=5)

MAGIC_NUMBERS = {
    each.number: each
    for each in (
        _call("100", "both answer and talk", Scenario.answered()),
        _call("101", "agent is busy", Scenario.agent_busy()),
        _call("102", "agent declines", Scenario.agent_declines()),
        _call("103", "agent does not answer", Scenario.agent_no_answer()),
        _call("201", "customer is busy", Scenario.customer_busy()),
        _call("202", "customer declines", Scenario.customer_declines()),
        _call("203", "customer does not answer", Scenario.customer_no_answer()),
        _call("300", "agent's phone rings until you perform an action", Scenario.manual()),
        _init("429", "429, retry after 5 seconds", _RATE_LIMITED),
        _init("500", "500", faults.HttpError(500)),
        _init("502", "502, but the callback was started", _BAD_GATEWAY),
        _init("503", "503, retry after 5 seconds", faults.HttpError(503, retry_after=5)),
        _init("520", "520, but the callback was started", _UNOFFICIAL),
        _init("601", "connection closed after the request", faults.Drop()),
        _init("602", "connection reset after the request", faults.Reset()),
        _init("603", "response a minute late", faults.Delay(60)),
        _init("604", "response is not JSON", faults.Malformed()),
        _init("605", "response is truncated", faults.Truncated()),
        _status("701", "connection closed at the first two requests", faults.Drop(), times=2),
        _status("702", "connection reset at the first two requests", faults.Reset(), times=2),
        _status("703", "first response ten seconds late", faults.Delay(10)),
        _status("704", "first two responses are not JSON", faults.Malformed(), times=2),
        _status("705", "first two responses are truncated", faults.Truncated(), times=2),
        _status(
            "706", "first two responses are 429, retry after 5 seconds", _RATE_LIMITED, times=2
        ),
        _status("707", "first two responses are 503", faults.HttpError(503), times=2),
        _status(
            "708",
            "third and fourth response are ON_HOLD, an unknown status",
            faults.UnknownStatus(),
            nth=3,
            times=2,
        ),
        _status("709", "second response is two statuses ahead", faults.SkippedStatus(), nth=2),
        _status("710", "fourth response is one status behind", faults.StaleStatus(), nth=4),
        _status("711", "all responses are 500", faults.HttpError(500), times=None),
    )
}
