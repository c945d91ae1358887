"""The Arazzo document, run by Redocly on a served simulator."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import yaml
from support.faults import FaultServer, drop, in_turn, respond, respond_error
from support.prism import ROOT
from support.serving import serving

import tenios_ext
from tenios_ext._settings import SERVICE
from tenios_simulator import Simulator
from tenios_simulator._clocks import ScaledClock

if TYPE_CHECKING:
    from collections.abc import Iterator

WORKFLOW = (ROOT / "callback.arazzo.yaml").read_text(encoding="utf-8")
CONTRACT = (ROOT / "openapi.yaml").read_text(encoding="utf-8")
SIMULATOR = yaml.safe_load(CONTRACT)["servers"][1]["url"]
REDOCLY = str(ROOT / "tools/node_modules/.bin/redocly")
MAGIC = "+493023125"
NUMBER = f"{MAGIC}100"


#: The last three digits of a magic number, and the status that its callback ends with.
FINAL = {
    "100": "DISCONNECTED",
    "101": "CALL_A_FAILED",
    "203": "CALL_B_FAILED",
    "701": "DISCONNECTED",
    "706": "DISCONNECTED",
    "707": "DISCONNECTED",
    "708": "DISCONNECTED",
}
#: The last three digits of the magic numbers whose init request fails.
FAILING = ["429", "502", "503", "601", "604"]
REFUSALS = {
    "400": respond_error("400 Bad Request", "BAD_CREDENTIALS"),
    "401": respond_error("401 Unauthorized"),
    "403": respond_error("403 Forbidden"),
}
STARTED, ENDED = respond("200 OK", {"id": 10}), respond("200 OK", {"status": "DISCONNECTED"})


def redocly(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run the workflows in *folder*. Return the exit code and the output."""
    command = [REDOCLY, "respect", "--verbose", "--json-output", "log.json", *arguments]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return ran.returncode, ran.stdout + ran.stderr


def write(
    folder: Path, name: str = "callback", *, server: str = SIMULATOR, number: str = NUMBER
) -> str:
    """Write the workflow with a shorter pause and other default values. Return the file's name."""
    changed = WORKFLOW
    for before, after in (
        ("retryAfter: 2", "retryAfter: 0.05"),
        (f"x-serverUrl: {SIMULATOR}", f"x-serverUrl: {server}"),
        (f"default: '{NUMBER}'", f"default: '{number}'"),
    ):
        assert changed.count(before) == 1
        changed = changed.replace(before, after)
    (folder / f"{name}.arazzo.yaml").write_text(changed, encoding="utf-8")
    return f"{name}.arazzo.yaml"


class Ran(NamedTuple):
    """
    The results of all workflows, which one process has run one after another.

    Attributes:
        simulator: The simulator of the workflows with a magic number.
        servers: The servers of the other workflows, by name.
        live: The server in place of the live service.
        last: The body of the last response, by name.
        passed: The names of the workflows that succeeded.
        output: The output of the process.
    """

    simulator: Simulator
    servers: dict[str, FaultServer]
    live: FaultServer
    last: dict[str, Any]
    passed: set[str]
    output: str

    def init_requests(self, ending: str) -> int:
        """Return the number of init requests for a magic number."""
        requests = [each for each in self.simulator.requests if each.operation == "init"]
        numbers = [each.body["callback_number"] for each in requests if each.body]
        return numbers.count(MAGIC + ending)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    folder = tmp_path_factory.mktemp("workflows")
    with ExitStack() as stack:
        # As fast as the polls allow: 5 simulated seconds pass between two of them.
        simulated = stack.enter_context(serving(Simulator(clock=ScaledClock(100))))
        faults = {name: in_turn(STARTED, others=refused) for name, refused in REFUSALS.items()}
        faults["again"] = in_turn(STARTED, respond_error("400 Bad Request"), ENDED, ENDED)
        servers = {name: stack.enter_context(FaultServer(fault)) for name, fault in faults.items()}
        live = stack.enter_context(FaultServer(drop))
        # The live service is the first server of the contract. Here, a server on this machine
        # replaces it.
        assert SERVICE in CONTRACT
        (folder / "openapi.yaml").write_text(CONTRACT.replace(SERVICE, live.url), encoding="utf-8")
        files = [
            write(folder, ending, server=simulated.address, number=MAGIC + ending)
            for ending in (*FINAL, *FAILING)
        ]
        files += [write(folder, name, server=server.url) for name, server in servers.items()]
        never_again = (
            folder / write(folder, "once", server=simulated.address, number=MAGIC + "102")
        ).read_text()
        once = re.sub(
            r"type: retry\n( +)retryAfter: .*\n +retryLimit: .*",
            r"type: goto\n\1stepId: end",
            never_again,
        )
        assert once != never_again
        (folder / "once.arazzo.yaml").write_text(once)
        files.append("once.arazzo.yaml")
        _, output = redocly(folder, *files)
        log = json.loads((folder / "log.json").read_text(encoding="utf-8"))
        workflows = {
            Path(file).name.partition(".")[0]: each["executedWorkflows"][0]
            for file, each in log["files"].items()
        }
        last = {
            name: each["executedSteps"][-1].get("response", {}).get("body")
            for name, each in workflows.items()
        }
        passed = {name for name, each in workflows.items() if each["status"] == "success"}
        yield Ran(simulated.simulator, servers, live, last, passed, output)


def test_workflow_polls_callback_to_its_final_status(ran: Ran) -> None:
    assert {ending: ran.last[ending] for ending in FINAL} == {
        ending: {"status": status} for ending, status in FINAL.items()
    }
    assert ran.passed >= set(FINAL), ran.output
    assert {ending: ran.init_requests(ending) for ending in FINAL} == dict.fromkeys(FINAL, 1)


def test_workflow_sends_init_request_once_if_it_fails(ran: Ran) -> None:
    assert ran.passed.isdisjoint(FAILING)
    assert {ending: ran.init_requests(ending) for ending in FAILING} == dict.fromkeys(FAILING, 1)


def test_workflow_stops_polling_if_the_access_key_is_refused(ran: Ran) -> None:
    assert ran.passed.isdisjoint(REFUSALS)
    for name in REFUSALS:
        assert ran.servers[name].paths == ["/callback/init", "/callback/status"]


def test_workflow_polls_again_after_another_400(ran: Ran) -> None:
    assert "again" in ran.passed
    assert ran.last["again"] == {"status": "DISCONNECTED"}


def test_workflow_fails_in_a_runner_that_does_not_repeat_a_step(ran: Ran) -> None:
    """Such a runner continues with the next step, as arazzo-runner 0.9 does."""
    assert "once" not in ran.passed


def test_workflow_calls_the_simulator_if_no_server_is_named(ran: Ran) -> None:
    assert ran.simulator.dialled
    assert ran.live.paths == []


def test_access_key_is_masked(tmp_path: Path) -> None:
    key = "SECRET-KEY-1234"
    shutil.copy(ROOT / "openapi.yaml", tmp_path)
    inputs = json.dumps({"access_key": key})
    with FaultServer(respond_error("500 Internal Server Error")) as server:
        named = f"tenios={server.url}"
        exit_code, output = redocly(
            tmp_path, write(tmp_path), "--server", named, "--input", inputs, "--max-steps", "3"
        )
    assert exit_code == 1
    assert json.loads(server.bodies[0])["access_key"] == key
    assert key not in output + (tmp_path / "log.json").read_text(encoding="utf-8")


def test_version_and_server_are_those_of_the_contract() -> None:
    document = yaml.safe_load(WORKFLOW)
    assert document["info"]["version"] == tenios_ext.__version__
    assert document["sourceDescriptions"][0]["x-serverUrl"] == SIMULATOR
