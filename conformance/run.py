"""
Run a program against the conformance vectors. Needs Python 3.9 or later, and nothing else.

    python conformance/run.py -- php callback.php
    python conformance/run.py --only redirect -- node callback.js

README.md in this folder describes the program's interface and the comparison. The exit code is 0 if
the program passes all vectors, 1 if it fails any, and 2 if it could not be run.
"""

from __future__ import annotations

import argparse
import base64
import html
import json
import math
import os
import re
import shutil
import signal
import socket
import socketserver
import struct
import subprocess
import sys
import threading
import time
import unicodedata
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache, partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Callable, Iterator, NamedTuple, Sequence  # noqa: UP035 - also for Python 3.9

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
LIMIT = 60  # seconds for one process
_AT_A_TIME = 4  # programs, which mostly wait
_SHOWN = 8  # consecutive characters of the access key that are too many
_SETTINGS = {"POLL_SECONDS": "0.02", "MAX_PAUSE_SECONDS": "0.1"}
_SHORT_TIMEOUT = "3"
# The share of a pause that may be missing, because timers fire a little early.
_TOLERANCE = 0.1
_LISTED = 8
_WITHOUT_BODY = {102, 103, 204, 304}
# Each program runs in a separate process group. The end of the runner, even if it is killed, closes
# the pipe, and this then ends the group.
_GUARDED = """
exec 3<&0 </dev/null
{ read _ <&3; kill -KILL 0; } >/dev/null 2>&1 &
exec "$@" 3<&-
"""
_until_this_ends, _ = os.pipe()
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Part(NamedTuple):
    """One callback: its arguments, the exchanges, and what the client reports."""

    call: dict[str, Any]
    exchanges: list[dict[str, Any]]
    expect: dict[str, Any]


class Vector(NamedTuple):
    """A test case with one callback, or several that the same client starts one after another."""

    name: str
    parts: list[Part]
    settings: dict[str, str]

    @property
    def exchanges(self) -> list[dict[str, Any]]:
        """All requests and responses, in order."""
        return [exchange for part in self.parts for exchange in part.exchanges]

    @property
    def stalls(self) -> bool:
        """Whether a response does not end, so that the client has to give up."""
        return any("stall" in exchange["response"] for exchange in self.exchanges)


class Request(NamedTuple):
    """A request, with header names in lower case, and when its end arrived, in seconds."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    at: float


class Result(NamedTuple):
    """
    The output of a program, its exit code (None if it did not end), its requests, and when the
    response to each began.
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


class VectorServer(socketserver.ThreadingTCPServer):
    """
    A server on the loopback interface that sends the responses of a vector in order, and closes the
    connection after any further request.

    Attributes:
        requests: The complete requests that have arrived.
        answered: When the response to each began.
    """

    def __init__(self, exchanges: Sequence[dict[str, Any]] = ()) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.stopped = threading.Event()
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,))
        self.load(exchanges)

    def load(self, exchanges: Sequence[dict[str, Any]]) -> None:
        """Start another vector."""
        with self._lock:
            self.requests: list[Request] = []
            self.answered: list[float] = []
            self._responses = [exchange["response"] for exchange in exchanges]

    def response_to(self, request: Request) -> dict[str, Any]:
        """Record a request and return its response."""
        with self._lock:
            self.requests.append(request)
            self.answered.append(time.monotonic())
            surplus = len(self.requests) > len(self._responses)
            return {"disconnect": "close"} if surplus else self._responses[len(self.requests) - 1]

    def __enter__(self) -> VectorServer:  # noqa: PYI034 - Self is not in Python 3.9
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self.shutdown()
        for sock in self._sockets:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self.server_close()
        self._thread.join()

    def get_request(self) -> tuple[socket.socket, Any]:
        """Keep the connection, to close it if the client does not."""
        sock, address = super().get_request()
        self._sockets.append(sock)
        return sock, address

    def shutdown_request(self, request: Any) -> None:
        """Close the connection without a shutdown, so that it can be reset."""
        self.close_request(request)

    def handle_error(self, *_: object) -> None:
        """Print nothing if a client disconnects."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: VectorServer

    def parse_request(self) -> bool:
        """Treat every method as POST."""
        is_whole = super().parse_request()
        self.command = "POST"
        return is_whole

    def do_POST(self) -> None:
        body = self._body()
        method, path, _ = self.requestline.split(" ")
        headers: dict[str, str] = {}
        for name, value in self.headers.items():
            headers[name.lower()] = ", ".join(filter(None, (headers.get(name.lower()), value)))
        response = self.server.response_to(Request(method, path, headers, body, time.monotonic()))
        self.close_connection = response.get("headers", {}).get("Connection") != "keep-alive"
        if response.get("disconnect") == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        elif "stall" in response:
            self._stall(ends_headers=response["stall"] == "body")
        elif "status" in response:
            self.wfile.write(_encoded(response))

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", "").lower():
            return self._read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self._read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _read(self, size: int) -> bytes:
        data = self.rfile.read(size)
        if len(data) < size:
            raise ConnectionError
        return data

    def _stall(self, *, ends_headers: bool) -> None:
        if ends_headers:
            self.wfile.write(_encoded({"status": 200, "headers": {"Content-Length": "100000"}}))
        while not self.server.stopped.wait(0.1):
            self.wfile.write(b" " if ends_headers else b"")

    def log_message(self, *_: object) -> None:
        """Print nothing."""


def _encoded(response: dict[str, Any]) -> bytes:
    body = json.dumps(response["body"]) if "body" in response else response.get("text", "")
    content = body.encode()
    headers = {"Connection": "close", "Content-Length": str(len(content)), **response["headers"]}
    if response["status"] in _WITHOUT_BODY:
        del headers["Content-Length"]
    lines = [f"HTTP/1.1 {response['status']} Reason", *map(": ".join, headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + content


def run_program(command: Sequence[str], vector: Vector, *, cwd: str | None = None) -> Result:
    """Run a program with the interface of the example clients."""
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
            ["/bin/sh", "-c", _GUARDED, "sh", *command, *arguments],
            cwd=cwd,
            env={**os.environ, **settings},
            stdin=_until_this_ends,
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
                exit_code = None
                _end(process.pid)
                stdout, stderr = process.communicate()
            finally:
                _end(process.pid)  # and the programs that it has started
        return Result(stdout, stderr, exit_code, list(server.requests), list(server.answered))


def _end(process_id: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process_id, signal.SIGKILL)


def groups(chosen: Sequence[Vector]) -> list[list[Vector]]:
    """
    Divide vectors into groups that one process can run, because they have the same settings and
    exit code. A vector is alone if it has an alternative, or tests the exit code.
    """
    found: dict[Any, list[Vector]] = {}
    for number, vector in enumerate(chosen):
        codes = [EXIT_CODES[part.expect["outcome"]] for part in vector.parts]
        code = max(codes)
        is_alone = codes[-1] < code or any("alternative" in part.expect for part in vector.parts)
        key = number if is_alone else (vector.stalls, code, *sorted(vector.settings.items()))
        found.setdefault(key, []).append(vector)
    return list(found.values())


def together(group: Sequence[Vector]) -> Vector:
    """Return one vector with the callbacks of all vectors in a group."""
    parts = [part for vector in group for part in vector.parts]
    return Vector(", ".join(vector.name for vector in group), parts, group[0].settings)


def check(
    command: Sequence[str], group: Sequence[Vector], *, cwd: str | None = None
) -> list[tuple[Vector, list[str]]]:
    """
    Run a program against a group of vectors in one process, and if that fails, one by one. Return
    the problems of each vector.
    """
    if len(group) > 1 and group[0].stalls:
        # Concurrently, because each program waits until it gives up.
        with ThreadPoolExecutor(len(group)) as pool:
            found = pool.map(lambda vector: check(command, [vector], cwd=cwd), group)
            return [each for found_alone in found for each in found_alone]
    if len(group) > 1:
        result = run_program(command, together(group), cwd=cwd)
        problems = problems_of(result, together(group))
        if not problems:
            return [(vector, []) for vector in group]
        alone = [each for vector in group for each in check(command, [vector], cwd=cwd)]
        if any(found for _, found in alone):
            return alone
        return [
            *alone[:-1],
            (group[-1], ["fails only in one process with other vectors", *problems]),
        ]
    result = run_program(command, group[0], cwd=cwd)
    problems = problems_of(result, group[0])
    if problems and result.stderr.strip():
        last = result.stderr.strip().splitlines()[-1]
        problems.append(f"last line on standard error: {last[:200]}")
    return [(group[0], problems)]


def _arguments(call: dict[str, Any]) -> list[str]:
    return [
        call["number"],
        str(call.get("delay", 0)),
        call.get("agent_announcement", ""),
        call.get("dtmf_key", ""),
    ]


def problems_of(result: Result, vector: Vector) -> list[str]:
    """Return the differences between a result and a vector."""
    problems = []
    if shows_key(result.stdout + result.stderr):
        problems.append("prints the access key or a part of it")
    if result.exit_code is None:
        return [
            *problems,
            f"killed after {LIMIT} seconds",
            *request_problems(result.requests, vector.exchanges),
        ]
    reported = _reported(result.stdout)
    outcomes = [outcome for outcome, _ in reported]
    expects, exchanges = expectations(vector, outcomes)
    expected = [expect["outcome"] for expect in expects]
    if outcomes != expected:
        problems.append(f"outcome: expected {_listed(expected)}, got {_listed(outcomes)}")
    else:
        for (_, statuses), expect in zip(reported, expects):  # noqa: B905 - also for Python 3.9
            if statuses != expect.get("statuses", statuses):
                problems.append(
                    f"statuses: expected {_listed(expect['statuses'])}, got {_listed(statuses)}"
                )
        code = max(EXIT_CODES[outcome] for outcome in expected)
        if result.exit_code != code:
            problems.append(f"exit code: expected {code}, got {result.exit_code}")
    problems += request_problems(result.requests, exchanges)
    return problems or pause_problems(result, vector)


def shows_key(text: str) -> bool:
    """
    Return whether *text* contains at least eight consecutive characters of the access key, in any
    spelling that a program may produce or find in a response.
    """
    unquoted = urllib.parse.unquote(urllib.parse.unquote(text))
    codes = map(int, re.findall(r"\b[1-9][0-9]{1,2}\b", text))
    # As it is, and with each character as a number, in an escape or in a list.
    spelled = [text, unquoted, _unescaped(text), "".join(map(chr, codes))]
    spells: tuple[Callable[[str], str], ...] = (str.lower, _plain)
    for spell in spells:
        if any(piece in each for each in map(spell, spelled) for piece in _pieces(spell)):
            return True
    # In base64, a key has three spellings, depending on its position in the text.
    encoded = [base64.b64encode(b" " * n + ACCESS_KEY.encode()).decode()[4:20] for n in range(3)]
    return any(each in text for each in encoded)


@cache
def _pieces(spell: Callable[[str], str]) -> list[str]:
    """Return the parts of the key, in this spelling, that no text may contain."""
    spellings = map(spell, (ACCESS_KEY, ACCESS_KEY[::-1], ACCESS_KEY.encode().hex()))
    sized = [(each, math.ceil(_SHOWN * len(each) / len(ACCESS_KEY))) for each in spellings]
    return [each[at : at + size] for each, size in sized for at in range(len(each) - size + 1)]


def _plain(text: str) -> str:
    """Return the letters and digits of *text*, because other marks may separate those of a key."""
    return re.sub("[^0-9a-z]", "", unicodedata.normalize("NFKC", text).lower())


def _unescaped(text: str) -> str:
    """Return *text* with ASCII escapes of programs, JSON and HTML decoded."""
    hexadecimal = r"(?i)(?:\\x|\\u(?:0000)?00|=)([0-7][0-9a-f])"
    text = re.sub(hexadecimal, lambda match: chr(int(match[1], 16)), text)
    text = re.sub(r"\\([01][0-7]{2})", lambda match: chr(int(match[1], 8)), text)
    return html.unescape(text)


def pause_problems(result: Result, vector: Vector) -> list[str]:
    """Return the status requests that were sent before POLL_SECONDS or the pause had passed."""
    least = float({**_SETTINGS, **vector.settings}["POLL_SECONDS"])
    problems = []
    for number, exchange in enumerate(vector.exchanges[: len(result.requests) - 1]):
        paths = [each.path for each in result.requests[number : number + 2]]
        pause = max(least, exchange.get("pause", 0))
        waited = result.requests[number + 1].at - result.answered[number]
        if paths == ["/callback/status"] * 2 and waited < pause * (1 - _TOLERANCE) - 0.002:
            problems.append(
                f"request {number + 2}: expected at least {pause} seconds after the response, got "
                f"{waited:.3f}"
            )
    return problems[:_LISTED]


def expectations(
    vector: Vector, outcomes: Sequence[str]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the expectations and exchanges, or those of the alternative if it was reported."""
    expects = [part.expect for part in vector.parts]
    alternative = expects[0].get("alternative")
    if alternative and list(outcomes) == [alternative["outcome"]]:
        return [{"outcome": alternative["outcome"]}], vector.exchanges[: alternative["exchanges"]]
    return expects, vector.exchanges


def _reported(stdout: str) -> list[tuple[str, list[str]]]:
    """Return the outcome and the statuses of each callback; the last may have no outcome."""
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
    """Return the differences between the requests and those of a vector."""
    paths = [request.path for request in requests]
    expected = [exchange["request"]["path"] for exchange in exchanges]
    if paths != expected:
        return [f"requests: expected {_listed(expected)}, got {_listed(paths)}"]
    return [
        f"request {number}: {problem}"
        for number, (request, exchange) in enumerate(zip(requests, exchanges), 1)  # noqa: B905 - as above
        for problem in _problems_of_request(request, exchange["request"]["body"])
    ]


def _problems_of_request(request: Request, expected: dict[str, Any]) -> Iterator[str]:
    if request.method != "POST":
        yield f"method: expected POST, got {request.method}"
    if shows_key(str(request.headers)):
        yield "a header contains the access key; send it only in the body"
    content_type = request.headers.get("content-type", "")
    media_type, _, parameter = content_type.lower().replace(" ", "").partition(";")
    if media_type != "application/json" or parameter not in {"", "charset=utf-8"}:
        yield f"Content-Type: expected application/json, got {content_type!r}"
    try:
        body = json.loads(request.body.decode("utf-8"), object_pairs_hook=_once)
    except ValueError as error:
        yield f"body: expected JSON in UTF-8 with unique names: {error}"
        return
    # As text, because in Python, 10 equals 10.0 and 1 equals True.
    if _canonical(body) != _canonical(expected):
        yield f"body: expected {_canonical(expected)}, got {_canonical(body)}"


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError(f"duplicate name in {', '.join(name for name, _ in pairs)}")
    return dict(pairs)


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _listed(texts: Sequence[str]) -> str:
    shown = (
        [*texts[:_LISTED], f"and {len(texts) - _LISTED} more"] if len(texts) > _LISTED else texts
    )
    return ", ".join(shown) or "nothing"


def main() -> int:
    """Run the vectors and return the exit code."""
    parser = argparse.ArgumentParser(description="Run a program against the conformance vectors.")
    parser.add_argument(
        "--only", metavar="TEXT", default="", help="run only vectors with TEXT in their name"
    )
    parser.add_argument(
        "command", nargs="+", metavar="COMMAND", help="the program to run, after --"
    )
    options = parser.parse_args()
    chosen = [vector for vector in vectors() if options.only.lower() in vector.name.lower()]
    if not chosen:
        parser.error(f"no vector has {options.only!r} in its name")
    if not shutil.which(options.command[0]):
        parser.error(f"{options.command[0]} was not found or is not executable")
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    failed = 0
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        for checked in pool.map(partial(check, options.command), groups(chosen)):
            for vector, problems in checked:
                failed += bool(problems)
                print("FAIL" if problems else "ok  ", vector.name, flush=True)  # noqa: T201 - the report
                for problem in problems:
                    print("       ", problem.replace(ACCESS_KEY, "***"), flush=True)  # noqa: T201 - the report
    print(f"{len(chosen) - failed} passed, {failed} failed")  # noqa: T201 - the report
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
