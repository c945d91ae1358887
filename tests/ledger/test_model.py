"""
The ledger compared with a model: any order of calls in two processes, crashes, late responses,
resolved and erased keys.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Self

import pytest
from attrs import define
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from support.faults import INIT, FaultServer, drop, respond, respond_error
from support.forks import FORKS
from support.ledgers import claim, database_of, execute, expire, outcome, start_as_told

if TYPE_CHECKING:
    from tenios_ext.ledger import Ledger

NUMBERS = ["+492214710123", "+492214710124"]
REFUSED_PORT = "http://127.0.0.1:1"


class OtherProcess:
    """Calls :func:`outcome` in a separate process."""

    def __init__(self, url: str) -> None:
        self._pipe, theirs = FORKS.Pipe()
        self._process = FORKS.Process(target=start_as_told, args=[url, theirs])
        self._process.start()
        theirs.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.send(None)
        self._process.join()
        self._pipe.close()

    def outcome(self, *arguments: str) -> str:
        self._pipe.send(arguments)
        return str(self._pipe.recv())


@define
class Expected:
    """The state of a key in the model."""

    state: str
    number: str | None
    attempts: int = 1
    callback_id: int | None = None


class Machine(RuleBasedStateMachine):
    """The rules, for the ledger and server of a subclass."""

    ledger: ClassVar[Ledger]
    server: ClassVar[FaultServer]
    elsewhere: ClassVar[OtherProcess]

    def __init__(self) -> None:
        super().__init__()
        self.model: dict[str, Expected] = {}
        self.tokens: dict[str, tuple[str, str]] = {}
        self.next_id = 1
        self.dials = self.server.received[INIT]
        execute(self.ledger, "DELETE FROM tenios_ledger")

    @rule(
        key=st.sampled_from(["a", "b"]),
        number=st.sampled_from(NUMBERS),
        response=st.sampled_from(["placed", "refused", "lost", "not sent"]),
        is_elsewhere=st.booleans(),
    )
    def call(self, key: str, number: str, response: str, *, is_elsewhere: bool) -> None:
        """Start a callback in this process or the other one."""
        self.next_id += 1
        self.server.fault = {
            "placed": respond("200 OK", {"id": self.next_id}),
            "refused": respond_error("400 Bad Request"),
        }.get(response, drop)
        expected = self.expect_call(key, number, response)
        base_url = REFUSED_PORT if response == "not sent" else self.server.url
        result = (
            self.elsewhere.outcome(base_url, key, number)
            if is_elsewhere
            else outcome(self.ledger, base_url, key, number)
        )
        assert result == expected

    def expect_call(self, key: str, number: str, response: str) -> str:
        """Return the expected result of a call and update the model."""
        entry = self.model.get(key)
        if entry is not None and entry.number not in {None, number}:
            return "InvalidArgumentError"
        if entry is not None and entry.state == "placed" and entry.callback_id is not None:
            return str(entry.callback_id)
        if entry is not None and entry.state != "not_placed":
            return "OutcomeUnknownError"
        self.dials += response != "not sent"
        entry = self.model[key] = Expected("", number, entry.attempts + 1 if entry else 1)
        self.tokens.pop(key, None)
        entry.state = {"placed": "placed", "lost": "unknown"}.get(response, "not_placed")
        entry.callback_id = self.next_id if response == "placed" else None
        errors = {
            "refused": "RejectedError",
            "lost": "OutcomeUnknownError",
            "not sent": "NotSentError",
        }
        return errors.get(response, str(self.next_id))

    @rule(key=st.sampled_from(["a", "b"]), number=st.sampled_from(NUMBERS))
    def crash_after_the_claim(self, key: str, number: str) -> None:
        """Or slow down, so that the response may still come."""
        entry, self.next_id = self.model.get(key), self.next_id + 1
        row = claim(self.ledger, key, token=str(self.next_id), number=number)
        may_dial = entry is None or (entry.state == "not_placed" and entry.number in {None, number})
        assert (row.token == str(self.next_id)) == may_dial
        if may_dial:
            self.model[key] = Expected("dialling", number, entry.attempts + 1 if entry else 1)
            self.tokens[key] = (key, row.token)

    @rule(key=st.sampled_from(["a", "b"]), is_placed=st.booleans())
    def respond_late(self, key: str, *, is_placed: bool) -> None:
        """The attempt has not crashed and gets its response."""
        if key not in self.tokens:
            return
        entry, self.next_id = self.model[key], self.next_id + 1
        values: dict[str, Any] = {"state": "not_placed", "last_error": "refused"}
        if is_placed:
            values = {"state": "placed", "callback_id": str(self.next_id), "started_at": 1.0}
        undecided = entry.state == "dialling" or (
            entry.state == "unknown" and entry.callback_id is None
        )
        assert database_of(self.ledger).record(*self.tokens.pop(key), **values) == (
            is_placed or undecided
        )
        if is_placed:
            entry.state, entry.callback_id = "placed", self.next_id
        elif undecided:
            entry.state = "not_placed"

    @rule()
    def let_time_pass(self) -> None:
        """Let all attempts expire."""
        expire(self.ledger)
        for entry in self.model.values():
            entry.state = "unknown" if entry.state == "dialling" else entry.state

    @rule(key=st.sampled_from(["a", "b", "c"]), placed=st.booleans(), has_id=st.booleans())
    def resolve(self, key: str, *, placed: bool, has_id: bool) -> None:
        entry, self.next_id = self.model.get(key), self.next_id + 1
        callback_id = self.next_id if placed and has_id else None
        adds_id = (
            entry is not None
            and entry.state == "placed"
            and entry.callback_id is None
            and callback_id
        )
        if entry is None or not (entry.state == "unknown" or adds_id):
            with pytest.raises(LookupError if entry is None else ValueError):
                self.ledger.resolve(key, placed=placed, callback_id=callback_id)
            return
        self.ledger.resolve(key, placed=placed, callback_id=callback_id)
        entry.state, entry.callback_id = "placed" if placed else "not_placed", callback_id

    @rule()
    def forget(self) -> None:
        """When no callback can be in progress any more."""
        execute(self.ledger, "UPDATE tenios_ledger SET deadline = 0 WHERE state <> 'dialling'")
        self.ledger.forget(older_than=timedelta())
        for entry in self.model.values():
            entry.number = entry.number if entry.state == "dialling" else None

    @invariant()
    def ledger_is_as_expected(self) -> None:
        """Compare the ledger and the requests with the model."""
        assert self.server.received[INIT] == self.dials
        found = {
            entry.key: Expected(
                entry.state, entry.number, entry.attempts, entry.handle.id if entry.handle else None
            )
            for entry in self.ledger.entries()
        }
        assert found == self.model


def test_ledger_behaves_as_its_model(ledger: Ledger, url: str) -> None:
    with FaultServer(drop) as server, OtherProcess(url) as elsewhere:
        attributes = {"ledger": ledger, "server": server, "elsewhere": elsewhere}
        machine = type("LedgerMachine", (Machine,), attributes)
        checks = [HealthCheck.too_slow]
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=15, stateful_step_count=25, deadline=None, suppress_health_check=checks
            ),
        )
