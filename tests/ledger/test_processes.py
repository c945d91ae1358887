"""One request per key, even with racing threads and processes and with killed processes."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from support.clients import CONFIG_ID
from support.faults import INIT, FaultServer, respond
from support.forks import FORKS
from support.ledgers import (
    KEY,
    expire,
    outcome,
    race,
    race_for_numbers,
    start_and_die,
    start_each,
)
from support.postgresql import new_database, pgbouncer

from tenios_ext import Tenios
from tenios_ext.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from support.faults import Connection

KEYS = 40


def check_one_dial_per_key(ledger: Ledger, server: FaultServer, seen: list[dict[str, int]]) -> None:
    """Fail unless there was one request per key and all callers got its callback."""
    assert server.received == {INIT: KEYS}
    entries = ledger.entries()
    assert {(entry.state, entry.attempts) for entry in entries} == {("placed", 1)}
    placed = {entry.key: entry.handle.id for entry in entries if entry.handle is not None}
    assert len(placed) == len(set(placed.values())) == KEYS
    for ids in seen:
        assert ids.items() <= placed.items()
    assert set().union(*seen) == set(placed)


def race_threads(ledger: Ledger, tenios: FaultServer) -> None:
    """Start callbacks with the same keys in 16 threads."""
    together = threading.Barrier(16)

    def run(client: Tenios) -> dict[str, int]:
        together.wait()
        return start_each(client, KEYS)

    with (
        Tenios("ACCESS-KEY", CONFIG_ID, base_url=tenios.url, ledger=ledger) as client,
        ThreadPoolExecutor(16) as threads,
    ):
        check_one_dial_per_key(ledger, tenios, list(threads.map(run, [client] * 16)))


def test_threads_that_race_for_keys_dial_once_each(ledger: Ledger, tenios: FaultServer) -> None:
    race_threads(ledger, tenios)


def test_threads_that_race_behind_pgbouncer_dial_once_each(
    server: str, tenios: FaultServer
) -> None:
    """
    Each transaction may use another connection, so no session settings or prepared statements.
    """
    with pgbouncer(new_database(server)) as url, Ledger(url) as ledger:
        race_threads(ledger, tenios)
        ledger.forget(older_than=timedelta())
        with pytest.raises(ValueError, match="its state is placed"):
            ledger.resolve("key-1", placed=False)
        for entry in ledger.entries(state="placed"):
            assert ledger.get(entry.key) == entry


def race_processes(target: Callable[..., None], *arguments: Sequence[object]) -> list[Any]:
    """Run *target* in a process for each of *arguments*, at once. Return what they send."""
    pipes = [FORKS.Pipe() for _ in arguments]
    racers = [
        FORKS.Process(target=target, args=[*each, theirs])
        for each, (_, theirs) in zip(arguments, pipes, strict=True)
    ]
    for racer in racers:
        racer.start()
    for ours, theirs in pipes:
        theirs.close()
        assert ours.recv() == "ready"
    for ours, _ in pipes:
        ours.send("go")
    seen = [ours.recv() for ours, _ in pipes]
    for racer in racers:
        racer.join()
    for ours, _ in pipes:
        ours.close()
    return seen


def test_processes_that_race_for_keys_dial_once_each(
    url: str, ledger: Ledger, tenios: FaultServer
) -> None:
    seen = race_processes(race, *[(url, tenios.url, KEYS)] * 4)
    check_one_dial_per_key(ledger, tenios, seen)


def test_processes_that_race_for_numbers_call_each_once(
    url: str, ledger: Ledger, tenios: FaultServer
) -> None:
    """Each process has its own keys."""
    numbers = [f"+49221471{number:04}" for number in range(KEYS)]
    called = race_processes(
        race_for_numbers, *((url, tenios.url, name, numbers) for name in "abcd")
    )
    assert sum(called) == KEYS
    assert tenios.received == {INIT: KEYS}
    assert sorted(str(entry.number) for entry in ledger.entries()) == numbers


# Killed processes.


class Point(NamedTuple):
    """
    The moment when a process is killed.

    Attributes:
        name: Its name.
        dials: The number of requests by then.
        state: The state of the key afterwards; None without an entry.
        second: The result of the next call with the key: "dials", "returns" the callback, or
            "raises" OutcomeUnknownError.
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
        victim = FORKS.Process(target=start_and_die, args=[url, server.url, point.name])
        victim.start()
        victim.join()
        assert victim.exitcode == -signal.SIGKILL
        assert server.received[INIT] == point.dials
        entry = ledger.get(KEY)
        assert (entry and entry.state) == point.state

        outcomes = Counter(outcome(ledger, server.url) for _ in range(2))
        expire(ledger)
        outcomes.update(outcome(ledger, server.url) for _ in range(2))
        entry = ledger.get(KEY)
        assert entry is not None
        if point.second == "raises":
            assert (entry.state, entry.attempts) == ("unknown", 1)
            assert outcomes == {"OutcomeUnknownError": 4}
            assert server.received[INIT] == point.dials
        else:
            assert (entry.state, entry.attempts) == ("placed", 1)
            assert outcomes == {"10": 4}
            assert server.received[INIT] == 1
