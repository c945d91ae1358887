"""
The example clients in other languages: built from the contract and run against the vectors, the
simulator and Prism. ``make clients`` runs these tests, which need Node.js, Go, a JDK with Maven,
and PHP.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, NamedTuple

import pytest
from support.clients import NUMBER
from support.faults import FaultServer, in_turn, respond, respond_raw
from support.prism import ROOT, Prism, prism_mock
from support.serving import serving
from support.vectors import ACCESS_KEY, CALLBACK_CONFIG_ID, Vector, vectors

from conformance.run import EXIT_CODES, check, groups
from tenios_simulator import Simulator
from tenios_simulator._clocks import ScaledClock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tenios_simulator import Server

# Before a fixture removes the proxies, which may be needed to download packages.
ENVIRONMENT = dict(os.environ)
SETTINGS = {
    "TENIOS_ACCESS_KEY": ACCESS_KEY,
    "TENIOS_CALLBACK_CONFIG_ID": CALLBACK_CONFIG_ID,
    "POLL_SECONDS": "0.02",
}
STARTED = respond("200 OK", {"id": 10})
ENDED = respond("200 OK", {"status": "DISCONNECTED"})

# Short-lived programs need no optimizing compiler, and their classes can be kept.
ARCHIVE = "target/callback.jsa"
QUICK_START = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", f"-XX:SharedArchiveFile={ARCHIVE}")


class ExampleClient(NamedTuple):
    """
    A client in another language.

    Attributes:
        name: The name of its folder.
        tools: The programs that are needed to build it.
        command: The command that runs it, in its folder.
    """

    name: str
    tools: tuple[str, ...]
    command: tuple[str, ...]

    @property
    def folder(self) -> Path:
        return ROOT / "clients" / self.name

    def build(self) -> None:
        """Build it unless it is up to date."""
        with (self.folder / "Makefile").open() as makefile:
            # Other test processes wait here until it has been built.
            fcntl.flock(makefile, fcntl.LOCK_EX)
            command = ["make", "-C", str(self.folder)]
            built = subprocess.run(
                command, env=ENVIRONMENT, capture_output=True, text=True, check=False
            )
            assert built.returncode == 0, built.stdout + built.stderr
            if self.name == "java":
                self._archive_classes()

    def _archive_classes(self) -> None:
        """Keep the classes that a call loads, unless those of this build are kept."""
        archive, jar = self.folder / ARCHIVE, self.folder / "target/callback.jar"
        if archive.exists() and archive.stat().st_mtime > jar.stat().st_mtime:
            return
        with FaultServer(in_turn(STARTED, ENDED)) as server:
            settings = {**SETTINGS, "TENIOS_BASE_URL": server.url}
            command: list[str | Path] = [
                "java",
                f"-XX:ArchiveClassesAtExit={ARCHIVE}",
                "-jar",
                jar,
                NUMBER,
            ]
            subprocess.run(
                command,
                cwd=self.folder,
                env={**os.environ, **settings},
                capture_output=True,
                check=True,
            )

    def call(self, url: str, *arguments: str, key: str = ACCESS_KEY, **variables: str) -> list[str]:
        """
        Run it and return its output lines. Fail if its exit code does not match the last line, or
        if it shows *key*.
        """
        settings = {**SETTINGS, "TENIOS_BASE_URL": url, "TENIOS_ACCESS_KEY": key}
        ran = subprocess.run(
            [*self.command, *arguments],
            cwd=self.folder,
            env={**os.environ, **settings, **variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        # Nor its beginning, which a JSON parser's error may quote.
        assert key[:8] not in ran.stdout + ran.stderr
        lines = ran.stdout.splitlines()
        assert lines, ran.stderr
        assert ran.returncode == EXIT_CODES[lines[-1]], ran.stderr
        return lines


CLIENTS = [
    ExampleClient("typescript", ("node", "npm"), ("node", "build/callback.js")),
    ExampleClient("java", ("java", "mvn"), ("java", *QUICK_START, "-jar", "target/callback.jar")),
    ExampleClient("go", ("go",), ("build/callback",)),
    ExampleClient("php", ("php",), ("php", "callback.php")),
]


@pytest.fixture(scope="module", params=CLIENTS, ids=lambda client: client.name)
def client(request: pytest.FixtureRequest) -> ExampleClient:
    """
    Return a client that has been built. If a tool is missing, its tests are skipped, or fail in CI.
    """
    client: ExampleClient = request.param
    missing = [tool for tool in client.tools if shutil.which(tool) is None]
    if missing:
        text = (
            f"{' and '.join(missing)} not found. Install what the {client.name} client needs, "
            "then run: make clients"
        )
        pytest.fail(text) if os.environ.get("CI") else pytest.skip(text)
    client.build()
    return client


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A served simulator, 200 times faster than real time."""
    simulator = Simulator(clock=ScaledClock(200), accounts={ACCESS_KEY: [CALLBACK_CONFIG_ID]})
    with serving(simulator) as server:
        yield server


@pytest.mark.parametrize("group", groups(vectors()), ids=lambda group: group[0].name)
def test_client_conforms_to_vectors(client: ExampleClient, group: list[Vector]) -> None:
    """One process runs each group of vectors, which is named after the first."""
    checked = check(client.command, group, cwd=str(client.folder))
    assert {vector.name: problems for vector, problems in checked if problems} == {}


@pytest.mark.parametrize(
    ("number", "outcome"),
    [
        ("+493023125100", "connected"),
        ("+493023125103", "agent_failed"),
        ("+493023125202", "customer_failed"),
        ("+493023125429", "rejected"),
        ("+493023125502", "unknown"),
        ("+493023125601", "unknown"),
        ("+493023125604", "unknown"),
        ("+493023125701", "connected"),
        ("+493023125708", "connected"),
    ],
)
def test_client_calls_magic_number_of_simulator_at_most_once(
    client: ExampleClient, server: Server, number: str, outcome: str
) -> None:
    before = server.simulator.dialled.count(number)
    assert client.call(server.address, number)[-1] == outcome
    assert server.simulator.dialled.count(number) - before == (0 if outcome == "rejected" else 1)


def test_client_reports_wrong_key_as_rejected(client: ExampleClient, server: Server) -> None:
    assert client.call(server.address, "+493023125100", key="WRONG-KEY-1234") == ["rejected"]


@pytest.mark.parametrize("callback_id", [2**53 + 1, 2**63 - 1])
def test_client_polls_large_id_exactly_or_not_at_all(
    client: ExampleClient, callback_id: int
) -> None:
    """JavaScript would round these ids, so the TypeScript client must not poll them."""
    with FaultServer(in_turn(respond("200 OK", {"id": callback_id}), ENDED)) as server:
        outcome = client.call(server.url, NUMBER)[-1]
    polled = [json.loads(body)["id"] for body in server.bodies[1:]]
    expected = ("unknown", []) if client.name == "typescript" else ("connected", [callback_id])
    assert (outcome, polled) == expected


@pytest.mark.parametrize(
    ("variable", "seconds"),
    [
        *(
            ("POLL_SECONDS", text)
            for text in ("NaN", "-1", "Infinity", "99999999999", "soon", "5m")
        ),
        ("MAX_PAUSE_SECONDS", "soon"),
        ("TIMEOUT_SECONDS", "soon"),
    ],
)
def test_client_sends_nothing_if_a_setting_is_invalid(
    client: ExampleClient, variable: str, seconds: str
) -> None:
    with FaultServer(STARTED) as server:
        assert client.call(server.url, NUMBER, **{variable: seconds}) == ["rejected"]
    assert server.bodies == []


def test_client_sends_nothing_if_no_number_is_given(client: ExampleClient) -> None:
    with FaultServer(STARTED) as server:
        assert client.call(server.url) == ["rejected"]
    assert server.bodies == []


def test_client_calls_nobody_if_it_cannot_connect(client: ExampleClient) -> None:
    with FaultServer(STARTED) as server:
        closed = server.url
    assert client.call(closed, NUMBER) == ["rejected"]


@pytest.mark.parametrize("retry_after", ["-5", "NaN", "Infinity", "1e3", "1h", "soon"])
def test_client_ignores_invalid_retry_after(client: ExampleClient, retry_after: str) -> None:
    unavailable = respond_raw("503 Service Unavailable", b"", f"Retry-After: {retry_after}")
    with FaultServer(in_turn(STARTED, unavailable, ENDED)) as server:
        assert client.call(server.url, NUMBER) == ["DISCONNECTED", "connected"]


@pytest.fixture(scope="module")
def prism(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prism]:
    """A server that responds with the first example. Its callbacks end at the first poll."""
    contract = (ROOT / "openapi.yaml").read_text()
    ended = contract.replace(
        "                status: REQUESTED\n", "                status: DISCONNECTED\n", 1
    )
    assert ended != contract
    changed = tmp_path_factory.mktemp("contract") / "openapi.yaml"
    changed.write_text(ended)
    with prism_mock(changed, "--errors") as prism:
        yield prism


def test_client_sends_requests_that_prism_accepts(client: ExampleClient, prism: Prism) -> None:
    lines = client.call(prism.url, "+492214710123", "30", "Hello", "#")
    assert lines == ["DISCONNECTED", "connected"]
