"""The simulator's arguments, scenarios, records and reset."""

from __future__ import annotations

import time
from itertools import cycle
from typing import TYPE_CHECKING, Any, cast

import pytest
from support.clients import NUMBER

from tenios_ext import (
    CallbackStatus,
    OutcomeUnknownError,
    RejectedError,
    StatusUnavailableError,
    Tenios,
)
from tenios_simulator import (
    ACCESS_KEY,
    BASE_URL,
    CALLBACK_CONFIG_ID,
    Scenario,
    Simulator,
    VirtualClock,
    _simulator,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

MAGIC_BUSY = "+49 30 23125 201"
OTHER = "+498999998001"


def failed_parties(simulator: Simulator, *numbers: str) -> list[str | None]:
    """Call each number in turn and return the parties that could not be reached."""
    with simulator.client() as tenios:
        return [tenios.start_callback(number).wait().failed_party for number in numbers]


def test_clock_is_virtual_by_default() -> None:
    clock = Simulator().clock
    assert isinstance(clock, VirtualClock)
    assert clock is not Simulator().clock


def test_real_time_is_that_of_clients_without_a_clock() -> None:
    simulator = Simulator(real_time=True)
    with Tenios(*simulator.account, base_url=BASE_URL, transport=simulator.transport) as tenios:
        callback = tenios.start_callback(NUMBER)
    assert callback.handle.started_at == pytest.approx(simulator.callbacks[0].started_at, abs=60)


def test_real_time_does_not_go_back_when_the_wall_clock_is_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Otherwise, a status would also go back."""
    simulator = Simulator(real_time=True)
    before = simulator.clock.now()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert simulator.clock.now() >= before


def test_clock_can_be_given() -> None:
    clock = VirtualClock()
    assert Simulator(clock=clock).clock is clock


def test_real_time_with_a_clock_is_refused() -> None:
    with pytest.raises(ValueError, match=r"real_time=True and clock=.* cannot be combined"):
        Simulator(real_time=True, clock=VirtualClock())


@pytest.mark.parametrize(
    "accounts",
    [
        {},
        {"KEY": "CONFIG"},
        {"KEY": []},
        {"KEY": ["CONFIG"], "OTHER": ()},
        {"": ["CONFIG"]},
        {"KEY": [""]},
    ],
)
def test_accounts_without_config_ids_are_refused(accounts: Any) -> None:
    with pytest.raises(ValueError, match="accounts must map at least one access key to its"):
        Simulator(accounts=accounts)


def test_account_uses_only_its_own_callbacks_and_config_ids() -> None:
    simulator = Simulator(accounts={"KEY-1": ["SALES", "SUPPORT"], "KEY-2": ["OTHER"]})
    with (
        simulator.client() as first,
        Tenios(
            "KEY-2", base_url=BASE_URL, transport=simulator.transport, clock=simulator.clock
        ) as second,
    ):
        callback = first.start_callback(NUMBER, callback_config_id="SUPPORT")
        assert callback.status() is CallbackStatus.REQUESTED
        with pytest.raises(StatusUnavailableError) as unavailable:
            second.callback(callback.id).status()
        assert (unavailable.value.error_code, unavailable.value.fields) == (
            "INVALID_FIELD",
            ("id",),
        )
        with pytest.raises(RejectedError) as rejected:
            second.start_callback(NUMBER, callback_config_id="SUPPORT")
        assert rejected.value.error_code == "BAD_CREDENTIALS"
    assert [callback.callback_config_id for callback in simulator.callbacks] == ["SUPPORT"]


def test_scenario_of_a_number_takes_precedence_over_magic_and_general_ones() -> None:
    simulator = Simulator(scenario=Scenario.agent_busy())
    assert failed_parties(simulator, NUMBER, MAGIC_BUSY) == ["agent", "customer"]
    simulator.set_scenario(Scenario.answered())
    assert failed_parties(simulator, NUMBER, MAGIC_BUSY) == [None, "customer"]
    simulator.set_scenario(Scenario.answered(), number=MAGIC_BUSY)
    simulator.set_scenario(Scenario.customer_declines(), number="0049 221 4710-123")
    assert failed_parties(simulator, NUMBER, MAGIC_BUSY) == ["customer", None]


def test_scenario_none_restores_what_was_there_before() -> None:
    simulator = Simulator(scenario=Scenario.agent_busy())
    simulator.set_scenario(Scenario.answered())
    simulator.set_scenario(Scenario.customer_declines(), number=NUMBER)
    simulator.set_scenario(None, number=NUMBER)
    assert failed_parties(simulator, NUMBER) == [None]
    simulator.set_scenario(None)
    assert failed_parties(simulator, NUMBER) == ["agent"]


@pytest.mark.parametrize("scenario", [Scenario.answered(), None])
def test_set_scenario_refuses_a_wrong_number(scenario: Scenario | None) -> None:
    with pytest.raises(ValueError, match="'0221 4710123' has no country code") as caught:
        Simulator().set_scenario(scenario, number="0221 4710123")
    assert type(caught.value) is ValueError
    with pytest.raises(TypeError, match="A phone number must be a str"):
        Simulator().set_scenario(scenario, number=cast("str", 492214710123))


def test_scenarios_of_an_iterator_are_used_in_turn_and_the_last_one_stays() -> None:
    scenarios = iter([Scenario.answered(), Scenario.agent_busy(), Scenario.customer_busy()])
    assert failed_parties(Simulator(scenario=scenarios), *[NUMBER] * 4) == [
        None,
        "agent",
        "customer",
        "customer",
    ]


def test_scenarios_of_an_endless_iterable_are_used_in_turn() -> None:
    class Alternating:
        """An iterable that is neither an iterator nor a collection."""

        def __iter__(self) -> Iterator[Scenario]:
            return cycle([Scenario.agent_busy(), Scenario.answered()])

    assert failed_parties(Simulator(scenario=Alternating()), *[NUMBER] * 3) == [
        "agent",
        None,
        "agent",
    ]


@pytest.mark.parametrize("make", [list, iter])
def test_reset_and_none_restart_the_initial_scenarios(make: Any) -> None:
    simulator = Simulator(
        scenario=make([Scenario.agent_busy(), Scenario.answered(), Scenario.customer_busy()])
    )
    assert failed_parties(simulator, NUMBER, NUMBER) == ["agent", None]
    simulator.reset()
    assert failed_parties(simulator, NUMBER, NUMBER, NUMBER) == ["agent", None, "customer"]
    simulator.set_scenario(None)
    assert failed_parties(simulator, NUMBER) == ["agent"]


def test_iterator_restarts_with_a_bounded_number_of_its_scenarios(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An endless iterator such as Scenario.random cannot be kept completely."""
    monkeypatch.setattr(_simulator, "_MAX_RESTARTED", 2)
    scenarios = [
        Scenario.agent_busy(),
        Scenario.customer_busy(),
        Scenario.answered(),
        Scenario.answered(),
        Scenario.agent_declines(),
    ]
    simulator = Simulator(scenario=iter(scenarios))
    assert failed_parties(simulator, *[NUMBER] * 4) == ["agent", "customer", None, None]
    simulator.reset()
    assert failed_parties(simulator, *[NUMBER] * 4) == ["agent", "customer", "agent", "agent"]


def test_numbers_with_scenarios_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_simulator, "_MAX_NUMBERS", 2)
    simulator = Simulator()
    simulator.set_scenario(Scenario.agent_busy(), number=NUMBER)
    simulator.set_scenario(Scenario.agent_busy(), number=OTHER)
    with pytest.raises(
        ValueError, match=r"2 numbers already have a scenario\. Remove some with set_scenario\(None"
    ):
        simulator.set_scenario(Scenario.answered(), number=MAGIC_BUSY)
    simulator.set_scenario(Scenario.answered(), number=NUMBER)  # replaces one
    simulator.set_scenario(None, number=OTHER)
    simulator.set_scenario(Scenario.answered(), number=MAGIC_BUSY)
    assert failed_parties(simulator, NUMBER, OTHER, MAGIC_BUSY) == [None, None, None]


@pytest.mark.parametrize(
    "scenario",
    [
        *(
            iter([]),
            [],
            Scenario.answered,
            "answered",
            iter(["x"]),
            [None],
            3,
            {"name": "answered"},
        ),
        [Scenario, Scenario.answered()],
        [Scenario.answered(), "x"],
        (Scenario.answered(), Scenario.answered(), None),
    ],
)
def test_scenario_of_another_type_is_refused(scenario: Any) -> None:
    with pytest.raises(ValueError, match=r"^scenario (must be a Scenario|is an empty iterable)"):
        Simulator(scenario=scenario)
    with pytest.raises(ValueError, match=r"^scenario (must be a Scenario|is an empty iterable)"):
        Simulator().set_scenario(scenario)


def test_wrong_item_of_an_iterator_fails_only_the_callback_whose_turn_it_is() -> None:
    simulator = Simulator(
        scenario=iter([Scenario.agent_busy(), cast("Scenario", "x"), Scenario.answered()])
    )
    with simulator.client() as tenios:
        first = tenios.start_callback(NUMBER)
        with pytest.raises(OutcomeUnknownError, match="scenario must be a Scenario"):
            tenios.start_callback(NUMBER)
        assert tenios.start_callback(NUMBER).wait().connected
        assert tenios.start_callback(NUMBER).wait().connected
        assert first.wait().failed_party == "agent"
    assert len(simulator.dialled) == 3


def test_dialled_has_each_callback_and_rung_only_those_whose_agent_answered() -> None:
    simulator = Simulator(scenario=iter([Scenario.answered(), Scenario.agent_busy()]))
    with simulator.client() as tenios:
        tenios.start_callback(NUMBER).wait()
        tenios.start_callback(OTHER).wait()
        tenios.start_callback(NUMBER)
    assert simulator.dialled == [NUMBER, OTHER, NUMBER]
    assert simulator.rung == [NUMBER]


def test_callbacks_have_the_arguments_of_start_callback() -> None:
    simulator = Simulator()
    with simulator.client() as tenios:
        tenios.start_callback(NUMBER, delay=5, agent_announcement="Hello", dtmf_key="1")
    (callback,) = simulator.callbacks
    assert simulator.callback(10) is callback
    assert (callback.id, callback.number, callback.delay) == (10, NUMBER, 5)
    assert (callback.agent_announcement, callback.dtmf_key) == ("Hello", "1")
    assert callback.callback_config_id == CALLBACK_CONFIG_ID
    assert ACCESS_KEY not in repr(callback)


def test_reset_removes_everything_but_continues_ids_and_indexes() -> None:
    simulator = Simulator()
    simulator.set_scenario(Scenario.agent_busy())
    failed_parties(simulator, NUMBER)
    requests = len(simulator.requests)
    simulator.reset()
    assert (simulator.dialled, simulator.requests, simulator.injections) == ([], [], [])
    assert failed_parties(simulator, NUMBER) == [None]
    assert simulator.callbacks[0].id == 11
    assert simulator.requests[0].index == requests + 1
