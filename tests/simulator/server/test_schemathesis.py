"""
schemathesis with all checks: the contract's examples, boundary values, random input and links.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import settings
from schemathesis.specs.openapi.checks import positive_data_acceptance
from support.serving import serving

from tenios_simulator import ACCESS_KEY, CALLBACK_CONFIG_ID, Scenario, Simulator, faults

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[3]
CONTRACT = schemathesis.openapi.from_path(ROOT / "openapi.yaml")
CONTROL = schemathesis.openapi.from_path(ROOT / "tenios_simulator/server/control.yaml")


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    """A served simulator with one callback, and with its address in the contract."""
    simulator = Simulator()
    with serving(simulator) as server, simulator.client() as tenios:
        CONTRACT.config.update(base_url=server.address)
        tenios.start_callback("+492214710123")
        yield simulator


@CONTRACT.hook
def filter_body(_: Any, body: Any) -> bool:
    # The server accepts integers as strings, against the contract, because TENIOS's own Java client
    # sends them.
    return not isinstance(body, dict) or not any(
        _is_decimal(body.get(name)) for name in ("delay", "id")
    )


def _is_decimal(value: object) -> bool:
    return isinstance(value, str) and value.isascii() and value.isdecimal()


def use_existing_values(case: Any, simulator: Simulator) -> None:
    """
    Replace well-formed keys, configurations and ids with existing ones, which no schema can
    describe.
    """
    body = case.body
    if not isinstance(body, dict):
        return
    for name, existing in {
        "access_key": ACCESS_KEY,
        "callback_config_id": CALLBACK_CONFIG_ID,
    }.items():
        if isinstance(body.get(name), str) and body[name]:
            body[name] = existing
    ids = [callback.id for callback in simulator.callbacks]
    match body.get("id"):
        case bool():
            pass
        case int() | float() as number if (
            number % 1 == 0 and 0 <= number < 2**63 and number not in ids
        ):
            body["id"] = ids[0]


@CONTRACT.parametrize()
@settings(max_examples=50, deadline=None)
def test_operations_conform_to_contract(simulator: Simulator, case: Any) -> None:
    use_existing_values(case, simulator)
    case.call_and_validate(base_url=CONTRACT.config.base_url)


def test_operations_conform_to_contract_along_links(simulator: Simulator) -> None:
    class Machine(CONTRACT.as_state_machine()):  # type: ignore[misc] # a class made at run time
        def before_call(self, case: Any) -> None:
            use_existing_values(case, simulator)

    before = len(simulator.requests)
    Machine.run(settings=settings(max_examples=15, stateful_step_count=6, deadline=None))
    queried = {
        request.callback_id
        for request in simulator.requests[before:]
        if request.operation == "status"
    }
    assert queried - {10, None}  # The link was followed with the id of a new callback.


@pytest.fixture(scope="module")
def control_address() -> Iterator[str]:
    """The address of another served simulator, with a manual callback and some faulty requests."""
    simulator = Simulator(scenario=Scenario.manual())
    with serving(simulator) as server, simulator.client() as tenios:
        callback = tenios.start_callback("+492214710123", agent_announcement="Hello", dtmf_key="1")
        simulator.inject(faults.HttpError(503, retry_after=1))
        simulator.inject(faults.Drop(), nth=2)
        callback.status()
        simulator.clock.sleep(5)
        yield server.address


@CONTROL.parametrize()
@settings(max_examples=20, deadline=None)
def test_control_api_conforms_to_its_document(control_address: str, case: Any) -> None:
    # The schemas list the fields of all faults and scenarios. Only the descriptions say which
    # belong together.
    case.call_and_validate(base_url=control_address, excluded_checks=[positive_data_acceptance])
