"""What happens in a callback, and who may change it."""

from __future__ import annotations

from itertools import cycle, islice
from typing import TYPE_CHECKING, Any, cast

import pytest
from support.dialling import NUMBER

from tenios_ext import CallbackStatus, InvalidRequestError, OutcomeUnknownError, Tenios
from tenios_ext.simulator import (
    ACCESS_KEY,
    BASE_URL,
    CALLBACK_CONFIG_ID,
    ImpossibleMoveError,
    Journey,
    Move,
    Simulator,
    UnknownCallbackError,
)
from tenios_ext.simulator.journey import Ending, Leg

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAGIC_BUSY = "+49 30 23125 201"


def outcomes(simulator: Simulator, *numbers: str) -> list[str | None]:
    """Whose leg failed, for a callback to each number in turn."""
    with simulator.client() as tenios:
        return [tenios.start_callback(number).wait().failed_party for number in numbers]


def test_number_has_the_journey_that_was_set_for_it() -> None:
    """A number's own journey goes before its magic, and that before the one for all."""
    simulator = Simulator(journey=Journey.agent_busy())
    assert outcomes(simulator, NUMBER, MAGIC_BUSY) == ["agent", "customer"]
    simulator.set_journey(Journey.answered())
    assert outcomes(simulator, NUMBER, MAGIC_BUSY) == [None, "customer"]
    simulator.set_journey(Journey.answered(), number=MAGIC_BUSY)
    simulator.set_journey(Journey.customer_declines(), number="0049 221 4710-123")
    assert outcomes(simulator, NUMBER, MAGIC_BUSY) == ["customer", None]
    simulator.set_journey(None, number=NUMBER)
    simulator.set_journey(None)
    assert outcomes(simulator, NUMBER) == ["agent"]


def test_journey_of_a_number_without_country_is_refused() -> None:
    """A journey that no callback would ever follow is a mistake."""
    with pytest.raises(InvalidRequestError):
        Simulator().set_journey(Journey.answered(), number="0221 4710123")


def test_journeys_in_turn() -> None:
    """One for each callback; the last one stays."""
    journeys = iter([Journey.answered(), Journey.agent_busy(), Journey.customer_busy()])
    assert outcomes(Simulator(journey=journeys), *[NUMBER] * 4) == [None, "agent", "customer", "customer"]


def test_journeys_without_end_are_made_one_by_one() -> None:
    """Also by what is no iterator itself."""

    class Alternating:
        def __iter__(self) -> Iterator[Journey]:
            return cycle([Journey.agent_busy(), Journey.answered()])

    assert outcomes(Simulator(journey=Alternating()), *[NUMBER] * 3) == ["agent", None, "agent"]


@pytest.mark.parametrize("make", [list, iter])
def test_reset_begins_journeys_anew(make: Any) -> None:
    """A list of journeys begins again with its first, and so does an iterator; also without a reset, where somebody says so."""
    simulator = Simulator(journey=make([Journey.agent_busy(), Journey.answered(), Journey.customer_busy()]))
    assert outcomes(simulator, NUMBER, NUMBER) == ["agent", None]
    simulator.reset()
    assert outcomes(simulator, NUMBER, NUMBER, NUMBER) == ["agent", None, "customer"]
    simulator.set_journey(None)
    assert outcomes(simulator, NUMBER) == ["agent"]


@pytest.mark.parametrize(
    "journey",
    [
        *(iter([]), [], Journey.answered, "answered", iter(["x"]), [None], 3, {"name": "answered"}),
        *([Journey, Journey.answered()], [Journey.answered(), "x"], (Journey.answered(), Journey.answered(), None)),
    ],
)
def test_what_is_no_journey_is_refused(journey: Any) -> None:
    """A mistake is said where it is made, not in the middle of a call."""
    with pytest.raises(ValueError, match="journey"):
        Simulator(journey=journey)
    with pytest.raises(ValueError, match="journey"):
        Simulator().set_journey(journey)


def test_mistake_among_journeys_that_are_made_on_the_way_is_said() -> None:
    """At the dial whose turn it is: nobody is called then, and those behind it have their turns."""
    simulator = Simulator(journey=iter([Journey.agent_busy(), cast("Journey", "x"), Journey.answered()]))
    with simulator.client() as tenios:
        first = tenios.start_callback(NUMBER)
        with pytest.raises(OutcomeUnknownError, match="A journey is made by a constructor"):
            tenios.start_callback(NUMBER)
        assert tenios.start_callback(NUMBER).wait().connected
        assert tenios.start_callback(NUMBER).wait().connected
        assert first.wait().failed_party == "agent"
    assert len(simulator.dialled) == 3


@pytest.mark.parametrize(
    "make",
    [
        lambda: Journey(cast("Leg", "x")),
        lambda: Journey(cast("Leg", None), cast("Leg", None)),
        lambda: Journey(Leg(Ending.ANSWERS, 1), cast("Leg", Ending.ANSWERS)),
        lambda: Leg(cast("Ending", "answers"), 1),
    ],
)
def test_leg_that_is_none_is_refused(make: Callable[[], object]) -> None:
    """A call that nobody could follow is not made."""
    with pytest.raises(ValueError, match=r"is a (Leg|Ending), not"):
        make()


@pytest.mark.parametrize(
    "accounts",
    [
        *({}, {"KEY": "CONFIG"}, {"KEY": []}, {"KEY": ["CONFIG"], "OTHER": ()}, {5: ["CONFIG"]}, {"": ["CONFIG"]}),
        *({"KEY": [""]}, {"KEY": [5, "CONFIG"]}, {"KEY": [["CONFIG"]]}, {"KEY": 5}, {"KEY": None}, ["KEY"], "KEY", 5),
    ],
)
def test_account_that_nobody_could_use_is_refused(accounts: Any) -> None:
    """A text is no collection of configurations, and an account without any starts nothing."""
    with pytest.raises(ValueError, match="accounts"):
        Simulator(accounts=accounts)


def test_population_is_repeatable_and_mixed() -> None:
    """The same seed gives the same people; of many, some answer, some are busy, decline or do not answer, on both sides."""
    people = list(islice(Journey.population(7), 1000))
    assert people == list(islice(Journey.population(7), 1000))
    assert people != list(islice(Journey.population(8), 1000))
    assert {journey.agent.ending for journey in people} == set(Ending)
    assert {journey.customer.ending for journey in people} == set(Ending)
    assert 500 < sum(journey.agent.answered and journey.customer.answered for journey in people) < 700


@pytest.mark.parametrize("seconds", [-1, float("nan"), "soon", None, True])
def test_impossible_seconds_are_refused(seconds: Any) -> None:
    """Nobody answers before the telephone rings."""
    with pytest.raises(ValueError, match="after"):
        Journey.answered(agent_after=seconds)
    with pytest.raises(ValueError, match="talking"):
        Journey.answered(talking=seconds)


def test_journey_is_readable() -> None:
    """A failed assertion shows what happens."""
    assert repr(Journey.customer_busy()) == (
        "Journey(agent=Leg(ending=<Ending.ANSWERS: 'answers'>, after=3), "
        "customer=Leg(ending=<Ending.BUSY: 'is busy'>, after=1), talking=6.0)"
    )
    assert Journey.customer_busy().customer == Leg(Ending.BUSY, 1)


def started(journey: Journey) -> tuple[Simulator, int]:
    """A simulator in which the agent's telephone has just begun to ring."""
    simulator = Simulator(journey=journey)
    with simulator.client() as tenios:
        callback = tenios.start_callback(NUMBER)
    simulator.clock.sleep(2.5)
    assert simulator.status(callback.id) is CallbackStatus.CALLING_A
    return simulator, callback.id


def test_parties_are_played_by_hand() -> None:
    """Nothing moves until somebody makes a move, and each move leads on at once."""
    simulator, callback = started(Journey.by_hand())
    simulator.clock.sleep(10_000)
    assert simulator.play(callback, Move.AGENT_ANSWERS) is CallbackStatus.CALLING_B
    simulator.clock.sleep(10_000)
    assert simulator.play(callback, Move.CUSTOMER_ANSWERS) is CallbackStatus.CONNECTED
    simulator.clock.sleep(10_000)
    assert simulator.play(callback, Move.HANG_UP) is CallbackStatus.DISCONNECTED


@pytest.mark.parametrize(
    ("moves", "end"),
    [
        ([Move.AGENT_DECLINES], CallbackStatus.CALL_A_FAILED),
        ([Move.HANG_UP], CallbackStatus.CALL_A_FAILED),
        ([Move.AGENT_ANSWERS, Move.CUSTOMER_DECLINES], CallbackStatus.CALL_B_FAILED),
        ([Move.AGENT_ANSWERS, Move.HANG_UP], CallbackStatus.CALL_B_FAILED),
    ],
)
def test_moves_that_end_a_callback(moves: list[Move], end: CallbackStatus) -> None:
    """Each leg can be declined."""
    simulator, callback = started(Journey.by_hand())
    assert [simulator.play(callback, move) for move in moves][-1] is end


def test_move_changes_the_course_of_a_journey() -> None:
    """An agent who would have been busy answers, and the customer still does what the journey says."""
    simulator, callback = started(Journey.agent_does_not_answer())
    assert simulator.play(callback, Move.AGENT_ANSWERS) is CallbackStatus.CALLING_B
    simulator.clock.sleep(4)
    assert simulator.status(callback) is CallbackStatus.CONNECTED


@pytest.mark.parametrize("move", [Move.CUSTOMER_ANSWERS, Move.CUSTOMER_DECLINES])
def test_impossible_moves_are_refused(move: Move) -> None:
    """A telephone that does not ring cannot be answered, and the error says where the callback is."""
    simulator, callback = started(Journey.by_hand())
    with pytest.raises(ImpossibleMoveError, match="CALLING_A"):
        simulator.play(callback, move)
    with pytest.raises(UnknownCallbackError, match="999"):
        simulator.play(999, move)


def test_what_was_dialled_is_on_record() -> None:
    """Which numbers, how often, in what order, what was asked for; and whose telephone rang."""
    simulator = Simulator(journey=iter([Journey.answered(), Journey.agent_busy()]))
    other = "+498999998001"
    with simulator.client() as tenios:
        tenios.start_callback(NUMBER, delay=5, agent_announcement="Hello", dtmf_key="1").wait()
        tenios.start_callback(other).wait()
        tenios.start_callback(NUMBER)
    assert simulator.dialled == [NUMBER, other, NUMBER]
    assert simulator.dialled.count(NUMBER) == 2
    assert simulator.rung == [NUMBER]
    first = simulator.callbacks[0]
    assert (first.delay, first.announcement, first.dtmf_key, first.config_id) == (5, "Hello", "1", CALLBACK_CONFIG_ID)
    assert [asked.operation for asked in simulator.asked].count("init") == 3
    assert simulator.asked[0].request == {
        "access_key": "***",
        "callback_config_id": CALLBACK_CONFIG_ID,
        "callback_number": NUMBER,
        "delay": 5,
        "agent_announcement": "Hello",
        "dtmf_key_to_trigger_customer_call": "1",
    }
    assert ACCESS_KEY not in repr([simulator.asked, simulator.callbacks])


def test_reset_forgets_all_but_ids() -> None:
    """After a reset nothing is on record, everything goes well, and an old id is not a new callback."""
    simulator = Simulator()
    simulator.set_journey(Journey.agent_busy())
    outcomes(simulator, NUMBER)
    simulator.reset()
    assert (simulator.dialled, simulator.asked, simulator.injections) == ([], [], [])
    assert outcomes(simulator, NUMBER) == [None]
    assert simulator.callbacks[0].id == 11


def test_accounts_have_their_own_callbacks_and_configurations() -> None:
    """One account cannot ask about another's callback, nor use its configuration."""
    simulator = Simulator(accounts={"KEY-1": ["SALES", "SUPPORT"], "KEY-2": ["OTHER"]})
    with (
        simulator.client() as first,
        Tenios("KEY-2", base_url=BASE_URL, transport=simulator.transport, clock=simulator.clock) as second,
    ):
        callback = first.start_callback(NUMBER, callback_config_id="SUPPORT")
        assert callback.status() is CallbackStatus.REQUESTED
        with pytest.raises(Exception, match="id"):
            second.callback(callback.id).status()
        with pytest.raises(Exception, match="Bad credentials"):
            second.start_callback(NUMBER, callback_config_id="SUPPORT")
    assert [each.config_id for each in simulator.callbacks] == ["SUPPORT"]
