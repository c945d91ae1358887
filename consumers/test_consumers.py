"""
The clients in other languages: built from the contract by one command; tried through the vectors, on the simulator, on Prism.

Not part of `make test`: they need Go, and a JDK with Maven. `make consumers` runs them.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from support.dialling import NUMBER
from support.faults import FaultServer, answer, in_turn, raw
from support.prism import prism_mock
from support.serving import serving
from support.vectors import ACCESS_KEY, CALLBACK_CONFIG_ID, Vector, vectors

from tenios_ext.simulator import Simulator
from tenios_ext.simulator.server import FastClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.faults import Fault

    from tenios_ext.simulator.server import Server

ROOT = Path(__file__).resolve().parent.parent
EXIT_CODES = {"connected": 0, "agent_failed": 1, "customer_failed": 1, "rejected": 2, "unknown": 3, "lost_sight": 4}
STARTED = answer("200 OK", {"id": 10})
OVER = answer("200 OK", {"status": "DISCONNECTED"})
TELLTALE = {"error_code": "INVALID_VALUE", "error_message": f"{ACCESS_KEY} is wrong", "fields": []}


class Consumer(NamedTuple):
    """
    A client in another language.

    Attributes:
        folder: Where it is.
        tools: The programs that building it needs.
        command: What runs it there.
    """

    folder: str
    tools: tuple[str, ...]
    command: tuple[str, ...]

    def call(self, url: str, *arguments: str, key: str = ACCESS_KEY, pause: str = "0.02") -> list[str]:
        """Run it; give the lines that it printed, once its exit code has agreed with the last of them."""
        settings = {"TENIOS_BASE_URL": url, "TENIOS_ACCESS_KEY": key, "TENIOS_CALLBACK_CONFIG_ID": CALLBACK_CONFIG_ID}
        ran = subprocess.run(
            [*self.command, *arguments],
            cwd=ROOT / "consumers" / self.folder,
            env={**os.environ, **settings, "POLL_SECONDS": pause},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        # Nor its beginning, such as an error may quote.
        assert key[:8] not in ran.stdout + ran.stderr
        lines = ran.stdout.splitlines()
        assert lines, ran.stderr
        assert ran.returncode == EXIT_CODES[lines[-1]], ran.stderr
        return lines


CONSUMERS = [
    Consumer("typescript", ("node", "npm"), ("node", "build/callback.js")),
    Consumer("java", ("java", "mvn"), ("java", "-jar", "target/callback.jar")),
    Consumer("go", ("go",), ("build/callback",)),
]


@pytest.fixture(scope="module", params=CONSUMERS, ids=lambda consumer: consumer.folder)
def consumer(request: pytest.FixtureRequest) -> Consumer:
    """Built; where a tool chain is missing, its tests are skipped on a desk and fail in CI."""
    consumer: Consumer = request.param
    missing = [tool for tool in consumer.tools if shutil.which(tool) is None]
    if missing:
        text = f"The {consumer.folder} client needs {' and '.join(missing)}, which this machine does not have."
        pytest.fail(text) if os.environ.get("CI") else pytest.skip(text)
    folder = ROOT / "consumers" / consumer.folder
    with (folder / "Makefile").open() as makefile:
        # Whoever comes second, in another process, finds it built.
        fcntl.flock(makefile, fcntl.LOCK_EX)
        built = subprocess.run(["make", "-C", folder], capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    return consumer


@pytest.fixture(scope="module")
def simulator() -> Iterator[Server]:
    """A simulator on which a callback takes half a second."""
    simulator = Simulator(clock=FastClock(30), accounts={ACCESS_KEY: [CALLBACK_CONFIG_ID]})
    with serving(simulator) as server:
        yield server


@pytest.mark.parametrize("vector", vectors(), ids=lambda vector: vector.name)
def test_consumer_conforms(consumer: Consumer, vector: Vector) -> None:
    """What goes over the wire, and what is told in the end, are what the vector says."""
    call = vector.call
    arguments = [
        call["number"],
        str(call.get("delay", 0)),
        call.get("agent_announcement", ""),
        call.get("dtmf_key", ""),
    ]
    with vector.server() as server:
        *statuses, word = consumer.call(server.url, *arguments)
    assert word == vector.expect["outcome"]
    assert statuses == vector.expect.get("statuses", statuses)
    vector.check(server)


@pytest.mark.parametrize(
    ("number", "word"),
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
def test_consumer_on_the_simulator(consumer: Consumer, simulator: Server, number: str, word: str) -> None:
    """Each magic number ends as its meaning says, and is dialled at most once."""
    before = simulator.simulator.dialled.count(number)
    assert consumer.call(simulator.address, number)[-1] == word
    assert simulator.simulator.dialled.count(number) - before == (0 if word == "rejected" else 1)


def test_consumer_with_a_wrong_key(consumer: Consumer, simulator: Server) -> None:
    """Bad credentials are a refusal, and the key is not shown."""
    assert consumer.call(simulator.address, "+493023125100", key="WRONG-KEY-1234") == ["rejected"]


@pytest.mark.parametrize("callback_id", [2**53 + 1, 2**63 - 1])
def test_consumer_with_a_large_id(consumer: Consumer, callback_id: int) -> None:
    """It is asked for exactly. JavaScript, whose numbers are not exact there, does not ask for another callback instead."""
    answers = in_turn(answer("200 OK", {"id": callback_id}), OVER)
    with FaultServer(answers) as server:
        word = consumer.call(server.url, NUMBER)[-1]
    asked = [json.loads(body)["id"] for body in server.bodies[1:]]
    assert (word, asked) == (("unknown", []) if consumer.folder == "typescript" else ("connected", [callback_id]))


@pytest.mark.parametrize(
    ("answers", "word"),
    [
        ([answer("400 Bad Request", TELLTALE)], "rejected"),
        ([raw("200 OK", f"{ACCESS_KEY} is wrong".encode())], "unknown"),
        (
            [
                STARTED,
                raw("200 OK", f"{ACCESS_KEY} is wrong".encode()),
                answer("503 Service Unavailable", TELLTALE),
                answer("200 OK", {"status": f"SEEN_BY_{ACCESS_KEY}"}),
                OVER,
            ],
            "connected",
        ),
    ],
    ids=["refusal", "no JSON", "while following"],
)
def test_consumer_hides_a_key_that_is_answered(consumer: Consumer, answers: list[Fault], word: str) -> None:
    """What is shown of an answer is shown without the key."""
    with FaultServer(in_turn(*answers)) as server:
        assert consumer.call(server.url, NUMBER)[-1] == word
    assert len(server.bodies) == len(answers)


@pytest.mark.parametrize("pause", ["NaN", "-1", "Infinity", "99999999999", "soon", "5m"])
def test_consumer_with_an_impossible_pause(consumer: Consumer, pause: str) -> None:
    """It is refused before anybody is dialled."""
    with FaultServer(STARTED) as server:
        assert consumer.call(server.url, NUMBER, pause=pause) == ["rejected"]
    assert server.bodies == []


@pytest.mark.parametrize("after", ["-5", "NaN", "Infinity", "1e3", "1h", "soon"])
def test_consumer_with_an_impossible_retry_after(consumer: Consumer, after: str) -> None:
    """It is as if it were not there."""
    busy = raw("503 Service Unavailable", b"", f"Retry-After: {after}")
    with FaultServer(in_turn(STARTED, busy, OVER)) as server:
        assert consumer.call(server.url, NUMBER) == ["DISCONNECTED", "connected"]


def test_consumer_on_prism(consumer: Consumer, tmp_path: Path) -> None:
    """Prism, which judges each request by the contract, has nothing to complain about; its callback is over at once."""
    text = (ROOT / "openapi.yaml").read_text()
    over = text.replace("                status: REQUESTED\n", "                status: DISCONNECTED\n", 1)
    assert over != text
    (tmp_path / "openapi.yaml").write_text(over)
    with prism_mock(tmp_path / "openapi.yaml", "--errors") as prism:
        assert consumer.call(prism.url, "+492214710123", "30", "Hello", "#") == ["DISCONNECTED", "connected"]
