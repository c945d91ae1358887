"""A key is dialled once, also by racing threads and processes, and by processes that are killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

import pytest
import sqlalchemy as sa
from support.clients import CONFIG_ID, NUMBER
from support.faults import FaultServer, respond
from support.postgresql import new_database, pgbouncer

from tenios_ext import OutcomeUnknownError, Tenios
from tenios_ext.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.faults import Connection

INIT = "/callback/init"
KEYS = 100

RACER = """
import sys
from tenios_ext import OutcomeUnknownError, Tenios
from tenios_ext.ledger import Ledger

url, base_url, keys = sys.argv[1], sys.argv[2], int(sys.argv[3])
with (
    Ledger(url) as ledger,
    Tenios("ACCESS-KEY", "CONFIG", base_url=base_url, ledger=ledger) as tenios,
):
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(keys):
        try:
            callback = tenios.start_callback("+492214710123", key=f"key-{number}")
            print(number, callback.id, flush=True)
        except OutcomeUnknownError as error:
            assert "is being dialled by another call" in str(error), error
"""


class Placing:
    """Places each callback with an id of its own."""

    def __init__(self) -> None:
        self._ids = iter(range(1, 1_000_000))
        self._lock = threading.Lock()

    def __call__(self, connection: Connection) -> None:
        """Respond."""
        with self._lock:
            callback_id = next(self._ids)
        respond("200 OK", {"id": callback_id})(connection)


@pytest.fixture
def tenios() -> Iterator[FaultServer]:
    with FaultServer(Placing()) as server:
        yield server


def check_one_dial_per_key(ledger: Ledger, server: FaultServer, seen: dict[str, set[int]]) -> None:
    """Fail unless each key has dialled once, and each caller saw that callback."""
    assert server.received == {INIT: KEYS}
    entries = ledger.entries()
    assert {(entry.state, entry.attempts) for entry in entries} == {("placed", 1)}
    placed = {entry.key: {entry.handle.id} for entry in entries if entry.handle is not None}
    assert len(placed) == len(set().union(*placed.values())) == KEYS
    assert {key: ids for key, ids in seen.items() if ids != placed[key]} == {}
    assert len(seen) == KEYS


def race_threads(ledger: Ledger, tenios: FaultServer) -> None:
    """Let 16 threads start callbacks with the same keys at once."""
    seen: dict[str, set[int]] = {}
    together = threading.Barrier(16)

    def race(client: Tenios) -> None:
        together.wait()
        for number in range(KEYS):
            key = f"key-{number}"
            try:
                callback = client.start_callback(NUMBER, key=key)
            except OutcomeUnknownError as error:
                assert "is being dialled by another call" in str(error)  # noqa: PT017 - the callback is no error either
            else:
                seen.setdefault(key, set()).add(callback.id)

    with (
        Tenios("ACCESS-KEY", CONFIG_ID, base_url=tenios.url, ledger=ledger) as client,
        ThreadPoolExecutor(16) as threads,
    ):
        list(threads.map(race, [client] * 16))
    check_one_dial_per_key(ledger, tenios, seen)


def test_threads_that_race_for_keys_dial_once_each(ledger: Ledger, tenios: FaultServer) -> None:
    race_threads(ledger, tenios)


def test_threads_that_race_behind_pgbouncer_dial_once_each(
    server: str, tenios: FaultServer
) -> None:
    """
    Each transaction may get another connection, so nothing may be kept in a session: no setting, no
    prepared statement.
    """
    with pgbouncer(new_database(server)) as url, Ledger(url) as ledger:
        race_threads(ledger, tenios)
        ledger.forget(older_than=timedelta())
        with pytest.raises(ValueError, match="its state is placed"):
            ledger.resolve("key-1", placed=False)
        for entry in ledger.entries(state="placed"):
            assert ledger.get(entry.key) == entry


def test_processes_that_race_for_keys_dial_once_each(
    url: str, ledger: Ledger, tenios: FaultServer
) -> None:
    command = [sys.executable, "-c", RACER, url, tenios.url, str(KEYS)]
    racers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("\n")
        racer.stdin.flush()
    seen: dict[str, set[int]] = {}
    for racer in racers:
        for line in racer.communicate()[0].splitlines():
            number, callback_id = line.split()
            seen.setdefault(f"key-{number}", set()).add(int(callback_id))
    assert [racer.returncode for racer in racers] == [0] * 4
    check_one_dial_per_key(ledger, tenios, seen)


# A process is killed.

VICTIM = """
import os, signal, sys
from tenios_ext import Tenios
from tenios_ext.ledger._database import Database
from tenios_ext.ledger import Ledger
import tenios_ext._mapping, tenios_ext._sync_client

url, base_url, point = sys.argv[1:]

def kill(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def then_kill(function):
    def run(*args, **kwargs):
        function(*args, **kwargs)
        kill()
    return run

# Between the statement and its commit.
def kill_in_transaction(self, work, **_):
    with self._begin() as connection:
        work(connection)
        kill()

ledger = Ledger(url)
if point == "before the claim":
    Database.claim = kill
elif point == "in the claim":
    Database.run = kill_in_transaction
elif point == "after the claim":
    Database.claim = then_kill(Database.claim)
elif point == "response received":
    tenios_ext._mapping.callback_id = kill
elif point == "before recording":
    Database.record = kill
elif point == "in the recording":
    def record(self, *args, **kwargs):
        self.run = lambda work, **_: kill_in_transaction(self, work)
        recorded(self, *args, **kwargs)
    recorded, Database.record = Database.record, record
elif point == "after recording":
    Database.record = then_kill(Database.record)
with Tenios("ACCESS-KEY", "CONFIG", base_url=base_url, ledger=ledger) as tenios:
    tenios.start_callback("+492214710123", key="key")
"""


class Point(NamedTuple):
    """
    Where a process is killed.

    Attributes:
        name: The point.
        dials: How many requests it has sent by then.
        state: The state of the key afterwards; None if it has no entry.
        second: What the next call with the key does: "dials", "returns" the callback, or "raises"
            OutcomeUnknownError.
    """

    name: str
    dials: int
    state: str | None
    second: str


POINTS = [
    Point("before the claim", 0, None, "dials"),
    Point("in the claim", 0, None, "dials"),
    Point("after the claim", 0, "dialling", "raises"),
    Point("request sent", 1, "dialling", "raises"),
    Point("response received", 1, "dialling", "raises"),
    Point("before recording", 1, "dialling", "raises"),
    Point("in the recording", 1, "dialling", "raises"),
    Point("after recording", 1, "placed", "returns"),
]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no kill -9")
@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.name)
def test_killed_process_leads_to_no_second_dial(point: Point, url: str, ledger: Ledger) -> None:
    def place(connection: Connection) -> None:
        if point.name == "request sent" and server.received[INIT] == 1:
            victim.kill()
            return
        respond("200 OK", {"id": 10})(connection)

    with FaultServer(place) as server:
        command = [sys.executable, "-c", VICTIM, url, server.url, point.name]
        victim = subprocess.Popen(command, stderr=subprocess.PIPE)
        error = victim.communicate()[1].decode()
        assert victim.returncode == -signal.SIGKILL, error
        assert server.received[INIT] == point.dials
        entry = ledger.get("key")
        assert (entry and entry.state) == point.state

        outcomes = Counter(next_call(ledger, server) for _ in range(2))
        with ledger._database._begin() as connection:
            connection.execute(sa.text("UPDATE tenios_ledger SET deadline = 0"))
        outcomes.update(next_call(ledger, server) for _ in range(2))
        entry = ledger.get("key")
        assert entry is not None
        if point.second == "raises":
            assert (entry.state, entry.attempts) == ("unknown", 1)
            assert outcomes == {"unknown": 4}
            assert server.received[INIT] == point.dials
        else:
            assert (entry.state, entry.attempts) == ("placed", 1)
            assert outcomes == {"10": 4}
            assert server.received[INIT] == 1


def next_call(ledger: Ledger, server: FaultServer) -> str:
    """Return the id of the callback that another process gets for the key."""
    with Tenios("ACCESS-KEY", CONFIG_ID, base_url=server.url, ledger=ledger) as client:
        try:
            return str(client.start_callback(NUMBER, key="key").id)
        except OutcomeUnknownError:
            return "unknown"
