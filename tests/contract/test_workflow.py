"""The Arazzo document, run by Redocly on a served simulator."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from support.faults import Fault, FaultServer, drop, in_turn, respond, respond_error
from support.prism import ROOT
from support.serving import serving

import tenios_ext
from tenios_ext._settings import SERVICE
from tenios_simulator import Simulator
from tenios_simulator._clocks import ScaledClock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tenios_simulator import Server

WORKFLOW = (ROOT / "callback.arazzo.yaml").read_text(encoding="utf-8")
CONTRACT = (ROOT / "openapi.yaml").read_text(encoding="utf-8")
SIMULATOR = yaml.safe_load(CONTRACT)["servers"][1]["url"]
REDOCLY = ROOT / "tools/node_modules/.bin/redocly"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Serve a simulator that is 30 times as fast as real time."""
    with serving(Simulator(clock=ScaledClock(30))) as server:
        yield server


def init_requests(server: Server, number: str) -> int:
    """Return how many init requests for *number* have arrived."""
    bodies = [
        request.body or {} for request in server.simulator.requests if request.operation == "init"
    ]
    return sum(body.get("callback_number") == number for body in bodies)


def run(
    folder: Path, *arguments: str, workflow: str = WORKFLOW, contract: str = CONTRACT
) -> tuple[int, str]:
    """
    Run the workflow with a shorter pause between polls. Return the exit code and all that was
    printed.
    """
    faster = workflow.replace("retryAfter: 2", "retryAfter: 0.05")
    assert faster != workflow
    (folder / "callback.arazzo.yaml").write_text(faster, encoding="utf-8")
    (folder / "openapi.yaml").write_text(contract, encoding="utf-8")
    command: list[str | Path] = [
        REDOCLY,
        "respect",
        "callback.arazzo.yaml",
        "--verbose",
        "--json-output",
        "log.json",
        *arguments,
    ]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return ran.returncode, ran.stdout + ran.stderr


def call(folder: Path, server: Server, number: str) -> int:
    """Run the workflow for *number* on *server* and return the exit code."""
    exit_code, output = run(
        folder,
        "--server",
        f"tenios={server.address}",
        "--input",
        json.dumps({"callback_number": number}),
    )
    assert number in output, output
    return exit_code


def last_response(folder: Path) -> Any:
    """Return the body of the last response of the last run."""
    log = json.loads((folder / "log.json").read_text(encoding="utf-8"))
    [file] = log["files"].values()
    [workflow] = file["executedWorkflows"]
    return workflow["executedSteps"][-1]["response"]["body"]


@pytest.mark.parametrize(
    ("ending", "status"),
    [
        ("100", "DISCONNECTED"),
        ("101", "CALL_A_FAILED"),
        ("203", "CALL_B_FAILED"),
        ("701", "DISCONNECTED"),
        ("706", "DISCONNECTED"),
        ("707", "DISCONNECTED"),
        ("708", "DISCONNECTED"),
    ],
)
def test_workflow_polls_callback_to_its_final_status(
    ending: str, status: str, server: Server, tmp_path: Path
) -> None:
    number = f"+493023125{ending}"
    assert call(tmp_path, server, number) == 0
    assert last_response(tmp_path) == {"status": status}
    assert init_requests(server, number) == 1


@pytest.mark.parametrize("ending", ["429", "502", "503", "601", "604"])
def test_workflow_sends_init_request_once_if_it_fails(
    ending: str, server: Server, tmp_path: Path
) -> None:
    number = f"+493023125{ending}"
    assert call(tmp_path, server, number) == 1
    assert init_requests(server, number) == 1


@pytest.mark.parametrize(
    "refused",
    [
        respond_error("400 Bad Request", "BAD_CREDENTIALS"),
        respond_error("401 Unauthorized"),
        respond_error("403 Forbidden"),
    ],
    ids=["400", "401", "403"],
)
def test_workflow_stops_polling_if_the_access_key_is_refused(
    refused: Fault, tmp_path: Path
) -> None:
    with FaultServer(in_turn(respond("200 OK", {"id": 10}), others=refused)) as server:
        exit_code, _ = run(tmp_path, "--server", f"tenios={server.url}", "--max-steps", "10")
    assert (exit_code, server.paths) == (1, ["/callback/init", "/callback/status"])


def test_workflow_polls_again_after_another_400(tmp_path: Path) -> None:
    started, ended = respond("200 OK", {"id": 10}), respond("200 OK", {"status": "DISCONNECTED"})
    with FaultServer(in_turn(started, respond_error("400 Bad Request"), ended)) as server:
        exit_code, output = run(tmp_path, "--server", f"tenios={server.url}")
    assert exit_code == 0, output


def test_workflow_calls_the_simulator_if_no_server_is_named(server: Server, tmp_path: Path) -> None:
    """
    The live service is the first server of the contract. Here it is another one of this machine.
    """
    default = WORKFLOW.replace(SIMULATOR, server.address)
    assert default != WORKFLOW
    before = len(server.simulator.dialled)
    with FaultServer(drop) as live:
        exit_code, output = run(
            tmp_path, workflow=default, contract=CONTRACT.replace(SERVICE, live.url)
        )
        assert exit_code == 0, output
    assert len(server.simulator.dialled) == before + 1
    assert live.paths == []


def test_access_key_is_masked(tmp_path: Path) -> None:
    key = "SECRET-KEY-1234"
    with FaultServer(respond_error("500 Internal Server Error")) as server:
        _, output = run(
            tmp_path,
            "--server",
            f"tenios={server.url}",
            "--input",
            json.dumps({"access_key": key}),
            "--max-steps",
            "3",
        )
    assert json.loads(server.bodies[0])["access_key"] == key
    assert key not in output + (tmp_path / "log.json").read_text(encoding="utf-8")


def test_version_and_server_are_those_of_the_contract() -> None:
    document = yaml.safe_load(WORKFLOW)
    assert document["info"]["version"] == tenios_ext.__version__
    assert document["sourceDescriptions"][0]["x-serverUrl"] == SIMULATOR
