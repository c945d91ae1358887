"""
Schemathesis sends the server all that it can think of: the contract's examples, each boundary, random input, and sequences along
the contract's links. All of its checks are on.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import settings
from schemathesis.specs.openapi.checks import positive_data_acceptance
from support.serving import serving

from tenios_ext.simulator import ACCESS_KEY, CALLBACK_CONFIG_ID, Journey, Simulator

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = schemathesis.openapi.from_path(ROOT / "openapi.yaml")
CONTROL = schemathesis.openapi.from_path(ROOT / "tenios_ext/simulator/control.yaml")


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    """A running simulator with one callback; the contract under test is told where it is."""
    simulator = Simulator()
    with serving(simulator) as server, simulator.client() as tenios:
        SCHEMA.config.update(base_url=server.address)
        tenios.start_callback("+492214710123")
        yield simulator


@SCHEMA.hook
def filter_body(_: Any, body: Any) -> bool:
    # Numbers as text break the contract and are taken on purpose: TENIOS's own Java client sends them.
    return not isinstance(body, dict) or not any(_is_decimal(body.get(name)) for name in ("delay", "id"))


def adopt(case: Any, simulator: Simulator) -> None:
    """Replace a well-formed key, configuration and id by some that exist: no schema can say which do."""
    body = case.body
    if not isinstance(body, dict):
        return
    for name, known in {"access_key": ACCESS_KEY, "callback_config_id": CALLBACK_CONFIG_ID}.items():
        if isinstance(body.get(name), str) and body[name]:
            body[name] = known
    ids = [callback.id for callback in simulator.callbacks]
    match body.get("id"):
        case bool():
            pass
        case int() | float() as number if number % 1 == 0 and 0 <= number < 2**63 and number not in ids:
            body["id"] = ids[0]


def _is_decimal(value: object) -> bool:
    return isinstance(value, str) and value.isascii() and value.isdecimal()


@SCHEMA.parametrize()
@settings(max_examples=100, deadline=None)
def test_server_keeps_the_contract(simulator: Simulator, case: Any) -> None:
    """Whatever is sent, the answer is one that the contract documents, and valid requests are taken."""
    adopt(case, simulator)
    case.call_and_validate(base_url=SCHEMA.config.base_url)


def test_server_keeps_the_contract_along_its_links(simulator: Simulator) -> None:
    """A callback that was started can be asked about with the id that was answered."""

    class Machine(SCHEMA.as_state_machine()):  # type: ignore[misc] # a class made at run time
        def before_call(self, case: Any) -> None:
            adopt(case, simulator)

    before = len(simulator.asked)
    Machine.run(settings=settings(max_examples=30, stateful_step_count=6, deadline=None))
    linked = [asked.callback_id for asked in list(simulator.asked)[before:] if asked.operation == "status"]
    assert set(linked) - {10, None}


@pytest.fixture(scope="module")
def controlled() -> Iterator[str]:
    """The address of another running simulator, with one callback that waits to be played."""
    simulator = Simulator(journey=Journey.by_hand())
    with serving(simulator) as server, simulator.client() as tenios:
        tenios.start_callback("+492214710123")
        simulator.clock.sleep(5)
        yield server.address


@CONTROL.parametrize()
@settings(max_examples=50, deadline=None)
def test_control_api_keeps_its_description(controlled: str, case: Any) -> None:
    """Whatever is sent to the control API, the answer is one that its own document names."""
    # Its schema lists the fields of all faults and journeys; which of them go together is said in words only.
    case.call_and_validate(base_url=controlled, excluded_checks=[positive_data_acceptance])
