"""
Run a program against the conformance vectors. Needs nothing but Python 3.9 or later.

    python conformance/run.py -- php callback.php
    python conformance/run.py --only redirect -- node callback.js

README.md in this folder describes how the program is called, and what is compared. The exit code is
0 if the program passes all vectors, 1 if it fails one, and 2 if it could not be run.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, Iterator, NamedTuple, Sequence  # noqa: UP035 - also for Python 3.9

ACCESS_KEY = "TELLTALE-KEY-4711"
CALLBACK_CONFIG_ID = "CONFORMANCE-CONFIG"
EXIT_CODES = {
    "connected": 0,
    "agent_failed": 1,
    "customer_failed": 1,
    "rejected": 2,
    "unknown": 3,
    "status_unavailable": 4,
}
#: Seconds that a program may take for one vector.
LIMIT = 60
# A program that shows this many characters of the key in a row has shown too much.
_SHOWN = 8
_SETTINGS = {"POLL_SECONDS": "0.02", "MAX_PAUSE_SECONDS": "0.1"}
_SHORT_TIMEOUT = "3"
_LISTED = 8
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Part(NamedTuple):
    """One callback: the arguments of the caller, the exchanges, and what the client reports."""

    call: dict[str, Any]
    exchanges: list[dict[str, Any]]
    expect: dict[str, Any]


class Vector(NamedTuple):
    """
    A test case. It has one callback, or several that are started one after another with the same
    client.
    """

    name: str
    parts: list[Part]

    @property
    def exchanges(self) -> list[dict[str, Any]]:
        """All requests and responses, in order."""
        return [exchange for part in self.parts for exchange in part.exchanges]

    @property
    def stalls(self) -> bool:
        """Whether the server does not finish a response, so that the client has to give up."""
        return any("stall" in exchange["response"] for exchange in self.exchanges)


class Request(NamedTuple):
    """A request as it arrived. The names of headers are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Result(NamedTuple):
    """
    What a program did: what it printed, its exit code (None if it did not end), and the requests
    that arrived.
    """

    stdout: str
    stderr: str
    exit_code: int | None
    requests: list[Request]


def vectors() -> list[Vector]:
    """Return the vectors of all files in this folder."""
    found = []
    for path in sorted(Path(__file__).parent.glob("*.json")):
        for each in json.loads(path.read_text(encoding="utf-8")).get("vectors", ()):
            parts = [
                Part(part["call"], part["exchanges"], part["expect"])
                for part in [each, *each.get("then", ())]
            ]
            found.append(Vector(each["name"], parts))
    return found


class VectorServer:
    """
    A server on the loopback interface that sends responses in order, and closes the connection
    after any further request.

    Args:
        exchanges: The exchanges of a vector.

    Attributes:
        requests: The whole requests that have arrived.
        url: Its address.
    """

    def __init__(self, exchanges: Sequence[dict[str, Any]] = ()) -> None:
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self.load(exchanges)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def load(self, exchanges: Sequence[dict[str, Any]]) -> None:
        """Begin another vector."""
        with self._lock:
            self.requests: list[Request] = []
            self._responses = [exchange["response"] for exchange in exchanges]

    def __enter__(self) -> VectorServer:  # noqa: PYI034 - Self is not in Python 3.9
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        with sock, suppress(OSError):
            sock.settimeout(0.05)
            for request in _requests_on(sock, self._stopped):
                with self._lock:
                    number = len(self.requests)
                    self.requests.append(request)
                    response = (
                        self._responses[number]
                        if number < len(self._responses)
                        else {"disconnect": "close"}
                    )
                if not self._respond(sock, response):
                    return

    def _respond(self, sock: socket.socket, response: dict[str, Any]) -> bool:
        """Send a response, or what is left of it. Return whether the connection stays open."""
        if "disconnect" in response:
            if response["disconnect"] == "reset":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            return False
        if "stall" in response:
            if response["stall"] == "body":
                sock.sendall(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                    b"Content-Length: 100000\r\n\r\n"
                )
            while not self._stopped.wait(0.1):
                sock.sendall(b" " if response["stall"] == "body" else b"")
            return False
        sock.sendall(_encoded(response))
        return bool(response["headers"].get("Connection") == "keep-alive")


def _encoded(response: dict[str, Any]) -> bytes:
    body = json.dumps(response["body"]) if "body" in response else response.get("text", "")
    content = body.encode()
    headers = {"Connection": "close", **response["headers"]}
    if response["status"] != 204:  # noqa: PLR2004 - which has no body
        headers["Content-Length"] = str(len(content))
    lines = [
        f"HTTP/1.1 {response['status']} Reason",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + content


def _requests_on(sock: socket.socket, stopped: threading.Event) -> Iterator[Request]:
    """
    Yield each request of a connection once all of it has arrived, until the client disconnects.
    """
    data = b""
    has_continued = False
    while not stopped.is_set():
        head, end, rest = data.partition(b"\r\n\r\n")
        if end:
            first, *lines = head.decode("latin-1").split("\r\n")
            method, path = first.split(" ")[:2]
            headers = {
                name.strip().lower(): value.strip()
                for name, _, value in (line.partition(":") for line in lines)
            }
            chunked = "chunked" in headers.get("transfer-encoding", "").lower()
            found = (
                _chunked(rest) if chunked else _sized(rest, int(headers.get("content-length", 0)))
            )
            if found is not None:
                body, data = found
                has_continued = False
                yield Request(method, path, headers, body)
                continue
            if headers.get("expect", "").lower() == "100-continue" and not has_continued:
                has_continued = True
                sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        try:
            chunk = sock.recv(65536)
        except socket.timeout:  # noqa: UP041 - also for Python 3.9
            continue
        if not chunk:
            return
        data += chunk


def _sized(data: bytes, size: int) -> tuple[bytes, bytes] | None:
    return (data[:size], data[size:]) if len(data) >= size else None


def _chunked(data: bytes) -> tuple[bytes, bytes] | None:
    body = b""
    while True:
        line, end, data = data.partition(b"\r\n")
        size = int(line.split(b";")[0], 16) if end else 0
        if not end or len(data) < size + 2:
            return None
        if size == 0:
            return body, data[2:]
        body += data[:size]
        data = data[size + 2 :]


def run_program(command: Sequence[str], vector: Vector, *, cwd: str | None = None) -> Result:
    """Run a program as the example clients are run."""
    arguments = [text for part in vector.parts for text in _arguments(part.call)]
    timeout = {"TIMEOUT_SECONDS": _SHORT_TIMEOUT} if vector.stalls else {}
    with VectorServer(vector.exchanges) as server:
        settings = {
            "TENIOS_BASE_URL": server.url,
            "TENIOS_ACCESS_KEY": ACCESS_KEY,
            "TENIOS_CALLBACK_CONFIG_ID": CALLBACK_CONFIG_ID,
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
            **_SETTINGS,
            **timeout,
        }
        with subprocess.Popen(
            [*command, *arguments],
            cwd=cwd,
            env={**os.environ, **settings},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        ) as process:
            try:
                stdout, stderr = process.communicate(timeout=LIMIT)
                exit_code: int | None = process.returncode
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                stdout, stderr = process.communicate()
                exit_code = None
        return Result(stdout, stderr, exit_code, list(server.requests))


def _arguments(call: dict[str, Any]) -> list[str]:
    return [
        call["number"],
        str(call.get("delay", 0)),
        call.get("agent_announcement", ""),
        call.get("dtmf_key", ""),
    ]


def problems_of(result: Result, vector: Vector) -> list[str]:
    """Return what is wrong with a result, in a sentence each."""
    shown = result.stdout + result.stderr
    problems = []
    if any(
        ACCESS_KEY[start : start + _SHOWN] in shown for start in range(len(ACCESS_KEY) - _SHOWN + 1)
    ):
        problems.append("It printed the access key, or a part of it.")
    if result.exit_code is None:
        return [
            *problems,
            f"It did not end within {LIMIT} seconds.",
            *request_problems(result.requests, vector.exchanges),
        ]
    reported = _reported(result.stdout)
    outcomes = [outcome for outcome, _ in reported]
    expects, exchanges = expectations(vector, outcomes)
    expected = [expect["outcome"] for expect in expects]
    if outcomes != expected:
        problems.append(f"It reported {_listed(outcomes)}, not {_listed(expected)}.")
    else:
        for (_, statuses), expect in zip(reported, expects):  # noqa: B905 - also for Python 3.9
            if statuses != expect.get("statuses", statuses):
                problems.append(
                    f"It reported the statuses {_listed(statuses)}, not "
                    f"{_listed(expect['statuses'])}."
                )
        code = max(EXIT_CODES[outcome] for outcome in expected)
        if result.exit_code != code:
            problems.append(f"Its exit code was {result.exit_code}, not {code}.")
    return problems + request_problems(result.requests, exchanges)


def expectations(
    vector: Vector, outcomes: Sequence[str]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """
    Return what to expect of each callback, and the exchanges: those of the alternative if it has
    been reported.
    """
    expects = [part.expect for part in vector.parts]
    alternative = expects[0].get("alternative")
    if alternative and list(outcomes) == [alternative["outcome"]]:
        return [{"outcome": alternative["outcome"]}], vector.exchanges[: alternative["exchanges"]]
    return expects, vector.exchanges


def _reported(stdout: str) -> list[tuple[str, list[str]]]:
    """
    Return the outcome and the statuses of each callback. Lines after the last outcome are one
    without an outcome.
    """
    reported: list[tuple[str, list[str]]] = []
    statuses: list[str] = []
    for line in stdout.splitlines():
        if line in EXIT_CODES:
            reported.append((line, statuses))
            statuses = []
        else:
            statuses.append(line)
    return [*reported, ("no outcome", statuses)] if statuses else reported


def request_problems(requests: Sequence[Request], exchanges: Sequence[dict[str, Any]]) -> list[str]:
    """Return how the requests that arrived differ from those of a vector."""
    paths = [request.path for request in requests]
    expected = [exchange["request"]["path"] for exchange in exchanges]
    if paths != expected:
        return [f"It sent requests to {_listed(paths)}, not to {_listed(expected)}."]
    return [
        f"Request {number}: {problem}"
        for number, (request, exchange) in enumerate(zip(requests, exchanges), 1)  # noqa: B905 - as above
        for problem in _problems_of_request(request, exchange["request"]["body"])
    ]


def _problems_of_request(request: Request, expected: dict[str, Any]) -> Iterator[str]:
    if request.method != "POST":
        yield f"its method is {request.method}, not POST."
    content_type = request.headers.get("content-type", "")
    media_type, _, parameter = content_type.lower().replace(" ", "").partition(";")
    if media_type != "application/json" or parameter not in {"", "charset=utf-8"}:
        yield f"its Content-Type is {content_type!r}, not application/json."
    try:
        body = json.loads(request.body.decode("utf-8"))
    except ValueError:
        yield "its body is not JSON in UTF-8."
        return
    # As text, because to Python 10, 10.0 and True may be equal.
    if _canonical(body) != _canonical(expected):
        yield f"its body is {_canonical(body)}, not {_canonical(expected)}."


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _listed(texts: Sequence[str]) -> str:
    shown = (
        [*texts[:_LISTED], f"and {len(texts) - _LISTED} more"] if len(texts) > _LISTED else texts
    )
    return ", ".join(shown) or "nothing"


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Run a program against the conformance vectors.")
    parser.add_argument(
        "--only", metavar="TEXT", default="", help="only the vectors with TEXT in their name"
    )
    parser.add_argument(
        "command", nargs="+", metavar="COMMAND", help="the program to run, after --"
    )
    options = parser.parse_args()
    chosen = [vector for vector in vectors() if options.only.lower() in vector.name.lower()]
    if not chosen:
        parser.error(f"no vector has {options.only!r} in its name")
    failed = 0
    for vector in chosen:
        try:
            result = run_program(options.command, vector)
        except OSError as error:
            parser.error(f"{options.command[0]} could not be run: {error}")
        problems = problems_of(result, vector)
        failed += bool(problems)
        print("FAIL" if problems else "ok  ", vector.name, flush=True)  # noqa: T201 - the report
        if problems and result.stderr.strip():
            problems.append(
                f"Its last line on standard error: {result.stderr.strip().splitlines()[-1][:200]}"
            )
        for problem in problems:
            print("       ", problem.replace(ACCESS_KEY, "***"), flush=True)  # noqa: T201 - the report
    print(f"{len(chosen) - failed} passed, {failed} failed")  # noqa: T201 - the report
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
