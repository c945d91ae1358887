"""
Each field, status and operation of the contract is wherever it must be repeated. One failure names
all missing places.
"""

from __future__ import annotations

import copy
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
from support.prism import ROOT

from tenios_cli.commands.call import call
from tenios_ext import AsyncTenios, Tenios
from tenios_simulator._engine import SimulatedCallback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CLIENTS = {
    "TypeScript": "clients/typescript/src/callback.ts",
    "Java": "clients/java/src/main/java/example/Callback.java",
    "Go": "clients/go/main.go",
    "PHP": "clients/php/src/Tenios.php",
}
#: The Python names of fields that have another name in requests.
NAMES = {"callback_number": "number", "dtmf_key_to_trigger_customer_call": "dtmf_key"}
#: The settings of a client, which the command reads from the environment.
OF_THE_CLIENT = {"access_key", "callback_config_id"}
#: The files that name each status.
OF_STATUSES = (
    "tenios_ext/_models.py",
    "tenios_cli/_output.py",
    "tenios_simulator/scenario.py",
    "tenios_simulator/server/console/console.js",
    "clients/typescript/src/callback.ts",
    "conformance/poll.json",
    "docs/watching.md",
)
#: The files that name each path.
OF_PATHS = (
    "tenios_simulator/_api.py",
    "conformance/vector.schema.json",
    "tests/contract/test_prism_mock.py",
    "clients/php/src/Tenios.php",
)


def text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def parameters(function: Callable[..., Any]) -> set[str]:
    return set(inspect.signature(function).parameters)


def missing(contract: dict[str, Any]) -> Iterator[str]:
    """Yield each part of the contract that is missing from a place, with the place."""
    schemas = contract["components"]["schemas"]
    vectors = "".join(path.read_text() for path in Path(ROOT / "conformance").glob("[!v]*.json"))
    for field in schemas["InitCallbackRequest"]["properties"]:
        name = NAMES.get(field, field)
        first, *others = field.split("_")
        spelled = {field, first + "".join(map(str.title, others)), field.title().replace("_", "")}
        spelled.add(field.title().replace("_", "").replace("Id", "ID"))
        places = {
            f"the {language} client, {path}": any(each in text(path) for each in spelled)
            for language, path in CLIENTS.items()
        }
        places["the record of the simulator, SimulatedCallback"] = name in attrs.fields_dict(
            SimulatedCallback
        )
        places["the conformance vectors"] = f'"{field}"' in vectors
        if field not in OF_THE_CLIENT:
            options = {each.name for each in call.params}
            places["the options of `tenios call`"] = name in options
        if field != "access_key":
            for client in (Tenios, AsyncTenios):
                of_start = name in parameters(client.start_callback)
                places[f"the parameters of {client.__name__}.start_callback"] = of_start
        yield from (f"{field}: {place}" for place, is_there in places.items() if not is_there)
    for status in schemas["CallbackStatus"]["x-extensible-enum"]:
        yield from (f"{status}: {path}" for path in OF_STATUSES if status not in text(path))
    for path in contract["paths"]:
        yield from (f"{path}: {file}" for file in OF_PATHS if path not in text(file))


def test_everything_in_the_contract_is_in_its_places(contract: dict[str, Any]) -> None:
    assert list(missing(contract)) == []


def test_all_places_of_something_new_are_named(contract: dict[str, Any]) -> None:
    changed = copy.deepcopy(contract)
    schemas = changed["components"]["schemas"]
    schemas["InitCallbackRequest"]["properties"]["label_of_call"] = {"type": "string"}
    schemas["CallbackStatus"]["x-extensible-enum"].append("PARKED")
    changed["paths"]["/makecall"] = {}
    assert list(missing(changed)) == [
        *(f"label_of_call: the {language} client, {path}" for language, path in CLIENTS.items()),
        "label_of_call: the record of the simulator, SimulatedCallback",
        "label_of_call: the conformance vectors",
        "label_of_call: the options of `tenios call`",
        "label_of_call: the parameters of Tenios.start_callback",
        "label_of_call: the parameters of AsyncTenios.start_callback",
        *(f"PARKED: {path}" for path in OF_STATUSES),
        *(f"/makecall: {path}" for path in OF_PATHS),
    ]
