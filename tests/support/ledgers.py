"""Ledgers in given states. Only this module accesses a ledger's database."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from tenios_ext import AsyncTenios, NumberInUseError, OutcomeUnknownError, Tenios, TeniosError
from tenios_ext.ledger import Ledger, _claim

from .clients import CONFIG_ID, NUMBER, wait_for_recording
from .faults import respond, respond_error

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from multiprocessing.connection import Connection as Pipe

    from .faults import Connection

KEY = "order-4711"
PLACED = respond("200 OK", {"id": 10})
REFUSED = respond_error("400 Bad Request", "INVALID_VALUE")


@contextmanager
def ledger_in_memory() -> Iterator[Ledger]:
    """Yield a new ledger in SQLite, in memory if possible, because commits to a disk are slow."""
    memory = Path("/dev/shm")
    with (
        TemporaryDirectory(dir=memory if memory.exists() else None) as folder,
        Ledger(f"sqlite:///{folder}/callbacks.db") as ledger,
    ):
        yield ledger
        wait_for_recording()


class Placing:
    """Places each callback with the next id: 10, 11, …."""

    def __init__(self) -> None:
        self._ids = iter(range(10, 1_000_000))
        self._lock = threading.Lock()

    def __call__(self, connection: Connection) -> None:
        with self._lock:
            callback_id = next(self._ids)
        respond("200 OK", {"id": callback_id})(connection)


def start(
    mode: str, ledger: Ledger | None, base_url: str, number: str = NUMBER, **arguments: Any
) -> Any:
    """Start a callback with a key."""
    arguments.setdefault("key", KEY)
    settings: dict[str, Any] = {"base_url": base_url, "ledger": ledger}
    for name in {"timeout", "one_call_per_number"} & set(arguments):
        settings[name] = arguments.pop(name)
    if mode == "sync":
        with Tenios("ACCESS-KEY", CONFIG_ID, **settings) as tenios:
            return tenios.start_callback(number, **arguments)

    async def run() -> Any:
        async with AsyncTenios(
            "ACCESS-KEY", CONFIG_ID, aiohttp=mode == "aiohttp", **settings
        ) as tenios:
            return await tenios.start_callback(number, **arguments)

    return asyncio.run(run())


def outcome(ledger: Ledger, base_url: str, key: str = KEY, number: str = NUMBER) -> str:
    """Start a callback; return its id or the name of the error."""
    try:
        return str(start("sync", ledger, base_url, number, key=key).id)
    except TeniosError as error:
        return type(error).__name__


def start_each(tenios: Tenios, keys: int) -> dict[str, int]:
    """Start a callback for each of several keys; return the ids by key."""
    ids = {}
    for key in (f"key-{number}" for number in range(keys)):
        with suppress_being_dialled():
            ids[key] = tenios.start_callback(NUMBER, key=key).id
    return ids


@contextmanager
def suppress_being_dialled() -> Iterator[None]:
    """Suppress the error if another call with the same key is in progress."""
    try:
        yield
    except OutcomeUnknownError as error:
        if "Another call has been sending the request" not in str(error):
            raise


def database_of(ledger: Ledger) -> Any:
    """Return the object that stores a ledger's entries."""
    return ledger.database


def execute(ledger: Ledger, statement: str) -> Sequence[sa.Row[Any]]:
    """Execute a statement. Return the rows of a SELECT."""
    with database_of(ledger)._begin() as connection:
        result = connection.execute(sa.text(statement))
        return result.all() if result.returns_rows else []


def claim(
    ledger: Ledger,
    key: str = KEY,
    *,
    token: str = "OTHER",
    number: str = NUMBER,
    one_call_per_number: bool = False,
) -> Any:
    """Claim a key like a process that then dies or is slow."""
    arguments = (
        f'{{"callback_config_id": "{CONFIG_ID}", "callback_number": "{number}", "delay": 0}}'
    )
    return database_of(ledger).claim(
        key,
        token=token,
        seconds=1e6,
        number=number,
        arguments=arguments,
        delay=0,
        one_call_per_number=one_call_per_number,
    )


def expire(ledger: Ledger) -> None:
    """Let all attempts time out."""
    execute(ledger, "UPDATE tenios_ledger SET deadline = 0")


def damage(ledger: Ledger) -> None:
    """Let every statement fail."""
    execute(ledger, "ALTER TABLE tenios_ledger RENAME TO elsewhere")


def repair(ledger: Ledger) -> None:
    execute(ledger, "ALTER TABLE elsewhere RENAME TO tenios_ledger")


def contents(ledger: Ledger) -> str:
    """Return everything that a ledger stores, as text."""
    return repr(execute(ledger, "SELECT * FROM tenios_ledger"))


def wait_for_state(ledger: Ledger, state: str) -> None:
    """Wait until a thread has recorded this state."""
    wait_for_recording()
    entry = ledger.get(KEY)
    assert entry is not None
    assert entry.state == state


# Functions for other processes; see ``support.forks``.


def start_as_told(url: str, pipe: Pipe) -> None:
    """
    Call :func:`outcome` with the arguments that are received, and send the result. Do not wait for
    concurrent calls.
    """
    _claim.WAIT_SECONDS = 0.0
    with Ledger(url) as ledger:
        for arguments in iter(pipe.recv, None):
            pipe.send(outcome(ledger, *arguments))


def race(url: str, base_url: str, keys: int, pipe: Pipe) -> None:
    """
    Report that the process is ready, wait for the start, and send the ids of :func:`start_each`.
    """
    with (
        Ledger(url) as ledger,
        Tenios("ACCESS-KEY", CONFIG_ID, base_url=base_url, ledger=ledger) as tenios,
    ):
        pipe.send("ready")
        pipe.recv()
        pipe.send(start_each(tenios, keys))


def race_for_numbers(url: str, base_url: str, name: str, numbers: list[str], pipe: Pipe) -> None:
    """
    Report that the process is ready, wait for the start, and send how many of *numbers* it has
    called with its own keys.
    """
    settings: dict[str, Any] = {"base_url": base_url, "one_call_per_number": True}
    with (
        Ledger(url) as ledger,
        Tenios("ACCESS-KEY", CONFIG_ID, ledger=ledger, **settings) as tenios,
    ):
        pipe.send("ready")
        pipe.recv()
        called = 0
        for number in numbers:
            with suppress(NumberInUseError):
                tenios.start_callback(number, key=f"{name}/{number}")
                called += 1
        pipe.send(called)


def kill(*_: object, **__: object) -> None:
    """End this process like ``kill -9``."""
    os.kill(os.getpid(), signal.SIGKILL)


def start_and_die(url: str, base_url: str, point: str) -> None:
    """Start a callback in a process that is killed at this point."""
    from tenios_ext import _responses
    from tenios_ext.ledger._database import Database

    def then_kill(function: Any) -> Any:
        return lambda *args, **kwargs: kill(function(*args, **kwargs))

    def kill_in_transaction(self: Any, work: Any, **_: object) -> None:
        """Kill the process between the statement and its commit."""
        with self._begin() as connection:
            work(connection)
            kill()

    def record_and_die(self: Any, *args: Any, **kwargs: Any) -> None:
        self.run = lambda work, **_: kill_in_transaction(self, work)
        record(self, *args, **kwargs)

    record = Database.record
    replaced: dict[str, tuple[Any, str, Any]] = {
        "before the claim": (Database, "claim", kill),
        "in the claim": (Database, "run", kill_in_transaction),
        "after the claim": (Database, "claim", then_kill(Database.claim)),
        "response received": (_responses, "callback_id", kill),
        "before recording": (Database, "record", kill),
        "in the recording": (Database, "record", record_and_die),
        "after recording": (Database, "record", then_kill(Database.record)),
    }
    with Ledger(url) as ledger:
        if point in replaced:
            setattr(*replaced[point])
        start("sync", ledger, base_url)
