"""
Run a program against the conformance vectors. Needs nothing but Python 3.9 or later.

    python conformance/run.py -- php callback.php
    python conformance/run.py --only redirect -- node callback.js

README.md in this folder describes how the program is called, and what is compared. The exit code is
0 if the program passes all vectors, 1 if it fails one, and 2 if it could not be run.
"""

from __future__ import annotations

import argparse
import base64
import html
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
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
# Of a pause that may be missing: timers fire a little early.
_TOLERANCE = 0.1
_LISTED = 8
_WITHOUT_BODY = {204, 304}
# The programs that are running, and the signals that have ended this one.
_running: set[int] = set()
_ended_by: list[int] = []
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
    settings: dict[str, str]

    @property
    def exchanges(self) -> list[dict[str, Any]]:
        """All requests and responses, in order."""
        return [exchange for part in self.parts for exchange in part.exchanges]

    @property
    def stalls(self) -> bool:
        """Whether the server does not finish a response, so that the client has to give up."""
        return any("stall" in exchange["response"] for exchange in self.exchanges)


class Request(NamedTuple):
    """
    A request as it arrived, and when all of it had, in seconds. The names of headers are in lower
    case.
    """

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    at: float


class Result(NamedTuple):
    """
    What a program did: what it printed, its exit code (None if it did not end), the requests that
    arrived, and when each was answered.
    """

    stdout: str
    stderr: str
    exit_code: int | None
    requests: list[Request]
    answered: list[float]


def vectors() -> list[Vector]:
    """Return the vectors of all files in this folder."""
    found = []
    for path in sorted(Path(__file__).parent.glob("*.json")):
        for each in json.loads(path.read_text(encoding="utf-8")).get("vectors", ()):
            parts = [
                Part(part["call"], _all(part["exchanges"]), part["expect"])
                for part in [each, *each.get("then", ())]
            ]
            found.append(Vector(each["name"], parts, each.get("settings", {})))
    return found


def _all(exchanges: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [exchange for exchange in exchanges for _ in range(exchange.get("times", 1))]


class VectorServer:
    """
    A server on the loopback interface that sends responses in order, and closes the connection
    after any further request.

    Args:
        exchanges: The exchanges of a vector.

    Attributes:
        requests: The whole requests that have arrived.
        answered: When the response to each began.
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
            self.answered: list[float] = []
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
                    self.answered.append(time.monotonic())
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
    if response["status"] not in _WITHOUT_BODY:
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
                yield Request(method, path, headers, body, time.monotonic())
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
            **vector.settings,
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
            _running.add(process.pid)
            if _ended_by:
                _end(process.pid)
            try:
                stdout, stderr = process.communicate(timeout=LIMIT)
                exit_code: int | None = process.returncode
            except subprocess.TimeoutExpired:
                exit_code = None
                _end(process.pid)
                stdout, stderr = process.communicate()
            finally:
                _end(process.pid)  # also what it has started
                _running.remove(process.pid)
        return Result(stdout, stderr, exit_code, list(server.requests), list(server.answered))


def _end(process_id: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process_id, signal.SIGKILL)


def _end_all(number: int, _: object) -> None:
    """End the programs that are running. An exception could leave out one that has just started."""
    _ended_by.append(number)
    for process_id in list(_running):
        _end(process_id)


def groups(chosen: Sequence[Vector]) -> list[list[Vector]]:
    """
    Divide vectors into groups that one process can run, whose outcomes have the same exit code. A
    vector whose number of requests or time the program may choose is alone.
    """
    found: dict[Any, list[Vector]] = {}
    for number, vector in enumerate(chosen):
        expects = [part.expect for part in vector.parts]
        code = max(EXIT_CODES[expect["outcome"]] for expect in expects)
        is_alone = any("alternative" in expect for expect in expects)
        key = number if is_alone else (vector.stalls, code, *sorted(vector.settings.items()))
        found.setdefault(key, []).append(vector)
    return list(found.values())


def together(group: Sequence[Vector]) -> Vector:
    """Return a vector with the callbacks of all of a group."""
    parts = [part for vector in group for part in vector.parts]
    return Vector(", ".join(vector.name for vector in group), parts, group[0].settings)


def check(
    command: Sequence[str], group: Sequence[Vector], *, cwd: str | None = None
) -> list[tuple[Vector, list[str]]]:
    """
    Run a program against a group of vectors in one process, and if it fails against each alone.
    Return what is wrong by vector.
    """
    if len(group) > 1 and group[0].stalls:
        # At the same time, since the program waits until it gives up.
        with ThreadPoolExecutor(len(group)) as pool:
            found = pool.map(lambda vector: check(command, [vector], cwd=cwd), group)
            return [each for found_alone in found for each in found_alone]
    if len(group) > 1:
        result = run_program(command, together(group), cwd=cwd)
        problems = problems_of(result, together(group))
        if not problems or _ended_by:
            return [(vector, []) for vector in group]
        alone = [each for vector in group for each in check(command, [vector], cwd=cwd)]
        if any(found for _, found in alone):
            return alone
        return [
            *alone[:-1],
            (group[-1], ["It failed only after the others of its group.", *problems]),
        ]
    result = run_program(command, group[0], cwd=cwd)
    problems = problems_of(result, group[0])
    if problems and result.stderr.strip():
        last = result.stderr.strip().splitlines()[-1]
        problems.append(f"Its last line on standard error: {last[:200]}")
    return [(group[0], problems)]


def _arguments(call: dict[str, Any]) -> list[str]:
    return [
        call["number"],
        str(call.get("delay", 0)),
        call.get("agent_announcement", ""),
        call.get("dtmf_key", ""),
    ]


def problems_of(result: Result, vector: Vector) -> list[str]:
    """Return what is wrong with a result, in a sentence each."""
    problems = []
    if shows_key(result.stdout + result.stderr):
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
    problems += request_problems(result.requests, exchanges)
    return problems or pause_problems(result, vector)


def shows_key(text: str) -> bool:
    """
    Return whether *text* has the access key, or eight characters of it in a row, in any spelling
    that a program may have made of it or found in a response.
    """
    spellings = {ACCESS_KEY.lower(), ACCESS_KEY[::-1].lower(), ACCESS_KEY.encode().hex()}
    for spelled in (text, urllib.parse.unquote(text), _unescaped(text)):
        lower = spelled.lower()
        for spelling in spellings:
            shown = _SHOWN * len(spelling) // len(ACCESS_KEY)
            pieces = range(len(spelling) - shown + 1)
            if any(spelling[start : start + shown] in lower for start in pieces):
                return True
    # At each of the three places of a key in a text that is encoded as a whole.
    encoded = [base64.b64encode(b" " * n + ACCESS_KEY.encode()).decode()[4:20] for n in range(3)]
    return any(each in text for each in encoded)


def _unescaped(text: str) -> str:
    """Return *text* with the escapes of JSON and HTML for characters as those characters."""
    text = re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), text)
    return html.unescape(text)


def pause_problems(result: Result, vector: Vector) -> list[str]:
    """
    Return which status requests came too soon after the response to the one before: sooner than
    POLL_SECONDS, or than the pause of the exchange.
    """
    least = float({**_SETTINGS, **vector.settings}["POLL_SECONDS"])
    problems = []
    for number, exchange in enumerate(vector.exchanges[: len(result.requests) - 1]):
        paths = [each.path for each in result.requests[number : number + 2]]
        pause = max(least, exchange.get("pause", 0))
        waited = result.requests[number + 1].at - result.answered[number]
        if paths == ["/callback/status"] * 2 and waited < pause * (1 - _TOLERANCE) - 0.002:
            problems.append(
                f"Request {number + 2} came {waited:.3f} seconds after a response, not {pause} or "
                "more."
            )
    return problems[:_LISTED]


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
    if any(shows_key(f"{name}: {value}") for name, value in request.headers.items()):
        yield "a header has the access key, which belongs into the body only."
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
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, _end_all)
    failed = 0
    for group in groups(chosen):
        try:
            checked = check(options.command, group)
        except OSError as error:
            parser.error(f"{options.command[0]} could not be run: {error}")
        if _ended_by:
            return 128 + _ended_by[0]
        for vector, problems in checked:
            failed += bool(problems)
            print("FAIL" if problems else "ok  ", vector.name, flush=True)  # noqa: T201 - the report
            for problem in problems:
                print("       ", problem.replace(ACCESS_KEY, "***"), flush=True)  # noqa: T201 - the report
    print(f"{len(chosen) - failed} passed, {failed} failed")  # noqa: T201 - the report
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
