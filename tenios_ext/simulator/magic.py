"""
Numbers that stand for what happens when they are called, so that a client in any language can ask for it by dialling.

They are from +49 30 23125 000 to 999, one of the ranges that the German regulator keeps free for films and books. The last three
digits are the scenario's; all other numbers follow the simulator's journey.
"""

from __future__ import annotations

from attrs import frozen

from . import faults
from .faults import Injection
from .journey import Journey

_RANGE = "+493023125"


@frozen
class MagicNumber:
    """
    A number and what calling it leads to.

    Attributes:
        number: As E.164.
        meaning: A line about it.
        journey: What happens in the call.
        faults: What goes wrong on the way.
    """

    number: str
    meaning: str
    journey: Journey
    faults: tuple[Injection, ...] = ()

    @property
    def shown(self) -> str:
        """The number as people write it."""
        return f"+49 30 23125 {self.number[-3:]}"


def _journey(digits: str, meaning: str, journey: Journey) -> MagicNumber:
    return MagicNumber(_RANGE + digits, meaning, journey)


def _dial(digits: str, meaning: str, fault: faults.Fault) -> MagicNumber:
    return MagicNumber(_RANGE + digits, meaning, Journey.answered(), (Injection(fault, on="init", times=None),))


def _question(digits: str, meaning: str, fault: faults.Fault, *, nth: int = 1, times: int | None = 1) -> MagicNumber:
    return MagicNumber(_RANGE + digits, meaning, Journey.answered(), (Injection(fault, nth=nth, times=times),))


_TAKEN = faults.HttpError(502, accepted=True)

#: By number.
MAGIC_NUMBERS = {
    each.number: each
    for each in (
        _journey("100", "both answer and talk", Journey.answered()),
        _journey("101", "agent is busy", Journey.agent_busy()),
        _journey("102", "agent declines", Journey.agent_declines()),
        _journey("103", "agent does not answer", Journey.agent_does_not_answer()),
        _journey("201", "customer is busy", Journey.customer_busy()),
        _journey("202", "customer declines", Journey.customer_declines()),
        _journey("203", "customer does not answer", Journey.customer_does_not_answer()),
        _journey(
            "300", "agent's telephone rings; then nothing moves until a party is played by hand", Journey.by_hand()
        ),
        _dial("429", "dial: 429, try again in 5 seconds", faults.HttpError(429, retry_after=5)),
        _dial("500", "dial: 500", faults.HttpError(500)),
        _dial("502", "dial: 502, though the callback was started", _TAKEN),
        _dial("503", "dial: 503, try again in 5 seconds", faults.HttpError(503, retry_after=5)),
        _dial("520", "dial: 520, though the callback was started", faults.HttpError(520, accepted=True)),
        _dial("601", "dial: connection closed after the request", faults.Drop()),
        _dial("602", "dial: connection reset after the request", faults.Reset()),
        _dial("603", "dial: answer a minute late", faults.Delay(60)),
        _dial("604", "dial: answer is no JSON", faults.Malformed()),
        _dial("605", "dial: answer is cut short", faults.Truncated()),
        _question("701", "status: first two questions, connection closed", faults.Drop(), times=2),
        _question("702", "status: first two questions, connection reset", faults.Reset(), times=2),
        _question("703", "status: first question answered ten seconds late", faults.Delay(10)),
        _question("704", "status: first two answers are no JSON", faults.Malformed(), times=2),
        _question("705", "status: first two answers are cut short", faults.Truncated(), times=2),
        _question("706", "status: 429 twice, try again in 5 seconds", faults.HttpError(429, retry_after=5), times=2),
        _question("707", "status: 503 twice", faults.HttpError(503), times=2),
        _question("708", "status: third and fourth answers unknown, ON_HOLD", faults.UnknownStatus(), nth=3, times=2),
        _question("709", "status: second answer two statuses ahead", faults.Jump(), nth=2),
        _question("710", "status: fourth answer one status behind", faults.Lag(), nth=4),
        _question("711", "status: never answered but with 500", faults.HttpError(500), times=None),
    )
}
