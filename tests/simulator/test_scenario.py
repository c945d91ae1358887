from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, cast

import pytest

from tenios_simulator import Ending, Leg, Scenario

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Scenario(cast("Leg", "x")), "agent must be of type Leg, got 'x'."),
        (
            lambda: Scenario(cast("Leg", None), cast("Leg", None)),
            "agent must be of type Leg, got None.",
        ),
        (
            lambda: Scenario(Leg(Ending.ANSWERS, 1), cast("Leg", Ending.ANSWERS)),
            f"customer must be of type Leg, got {Ending.ANSWERS!r}.",
        ),
        (
            lambda: Leg(cast("Ending", "answers"), 1),
            "ending must be of type Ending, got 'answers'.",
        ),
    ],
)
def test_scenario_refuses_values_of_other_types(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match="must be") as caught:
        make()
    assert str(caught.value) == message


@pytest.mark.parametrize("seconds", [-1, float("nan"), "soon", None, True])
def test_scenario_refuses_invalid_seconds(seconds: Any) -> None:
    with pytest.raises(ValueError, match="after must be a number of at least 0, got "):
        Scenario.answered(agent_after=seconds)
    with pytest.raises(ValueError, match="after must be a number of at least 0, got "):
        Scenario.agent_busy(after=seconds)
    with pytest.raises(ValueError, match="talking must be a number of at least 0, got "):
        Scenario.answered(talking=seconds)


def test_random_scenarios_are_reproducible_and_mixed() -> None:
    scenarios = list(islice(Scenario.random(7), 1000))
    assert scenarios == list(islice(Scenario.random(7), 1000))
    assert scenarios != list(islice(Scenario.random(8), 1000))
    assert {scenario.agent.ending for scenario in scenarios} == set(Ending)
    assert {scenario.customer.ending for scenario in scenarios} == set(Ending)
    assert (
        500
        < sum(scenario.agent.answered and scenario.customer.answered for scenario in scenarios)
        < 700
    )


def test_repr_shows_both_legs() -> None:
    """So a failed assertion shows the scenario."""
    assert repr(Scenario.customer_busy()) == (
        "Scenario(agent=Leg(ending=<Ending.ANSWERS: 'answers'>, after=3), "
        "customer=Leg(ending=<Ending.BUSY: 'busy'>, after=1), talking=6.0)"
    )
    assert Scenario.customer_busy().customer == Leg(Ending.BUSY, 1)
