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
#: Seconds that a program may take for one vector.
LIMIT = 60
# Programs that run at a time, since they wait most of it.
_AT_A_TIME = 4
# A program that shows this many characters of the key in a row has shown too much.
_SHOWN = 8
_SETTINGS = {"POLL_SECONDS": "0.02", "MAX_PAUSE_SECONDS": "0.1"}
_SHORT_TIMEOUT = "3"
# Of a pause that may be missing: timers fire a little early.
_TOLERANCE = 0.1
_LISTED = 8
_WITHOUT_BODY = {102, 103, 204, 304}
# A program runs in a process group of its own. This ends the group if the runner has ended, which
# closes the pipe, whatever ended it.
_GUARDED = """
exec 3<&0 </dev/null
{ read _ <&3; kill -KILL 0; } >/dev/null 2>&1 &
exec "$@" 3<&-
"""
_until_this_ends, _ = os.pipe()
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


class VectorServer(socketserver.ThreadingTCPServer):
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
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.stopped = threading.Event()
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,))
        self.load(exchanges)

    def load(self, exchanges: Sequence[dict[str, Any]]) -> None:
        """Begin another vector."""
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
        """Keep the connections, to end those that a client leaves open."""
        sock, address = super().get_request()
        self._sockets.append(sock)
        return sock, address

    def shutdown_request(self, request: Any) -> None:
        """Only close the connection, because one that is shut down first would not be reset."""
        self.close_request(request)

    def handle_error(self, *_: object) -> None:
        """Print nothing if a client disconnects."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: VectorServer

    def parse_request(self) -> bool:
        """Handle each method alike."""
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
                _end(process.pid)  # also what it has started
        return Result(stdout, stderr, exit_code, list(server.requests), list(server.answered))


def _end(process_id: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process_id, signal.SIGKILL)


def groups(chosen: Sequence[Vector]) -> list[list[Vector]]:
    """
    Divide vectors into groups that one process can run, whose outcomes have the same exit code. A
    vector is alone if the program may choose its number of requests, or if it is about the code.
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
        if not problems:
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
    unquoted = urllib.parse.unquote(urllib.parse.unquote(text))
    codes = map(int, re.findall(r"\b[1-9][0-9]{1,2}\b", text))
    # As such, and with each character as a number, in an escape or in a list.
    spelled = [text, unquoted, _unescaped(text), "".join(map(chr, codes))]
    if any(piece in each.lower() for each in spelled for piece in _pieces(str.lower)):
        return True
    if any(piece in _plain(each) for each in spelled for piece in _pieces(_plain)):
        return True
    # At each of the three places of a key in a text that is encoded as a whole.
    encoded = [base64.b64encode(b" " * n + ACCESS_KEY.encode()).decode()[4:20] for n in range(3)]
    return any(each in text for each in encoded)


@cache
def _pieces(spell: Callable[[str], str]) -> list[str]:
    """Return what a text must not have: each part of the key that is as long as _SHOWN of it."""
    spellings = map(spell, (ACCESS_KEY, ACCESS_KEY[::-1], ACCESS_KEY.encode().hex()))
    sized = [(each, math.ceil(_SHOWN * len(each) / len(ACCESS_KEY))) for each in spellings]
    return [each[at : at + size] for each, size in sized for at in range(len(each) - size + 1)]


def _plain(text: str) -> str:
    """Return the letters and digits of *text*, since a key may be shown with other marks."""
    return re.sub("[^0-9a-z]", "", unicodedata.normalize("NFKC", text).lower())


def _unescaped(text: str) -> str:
    """Return *text* with the escapes of programs, JSON and HTML for ASCII as those characters."""
    hexadecimal = r"(?i)(?:\\x|\\u(?:0000)?00|=)([0-7][0-9a-f])"
    text = re.sub(hexadecimal, lambda match: chr(int(match[1], 16)), text)
    text = re.sub(r"\\([01][0-7]{2})", lambda match: chr(int(match[1], 8)), text)
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
    if shows_key(str(request.headers)):
        yield "a header has the access key, which belongs into the body only."
    content_type = request.headers.get("content-type", "")
    media_type, _, parameter = content_type.lower().replace(" ", "").partition(";")
    if media_type != "application/json" or parameter not in {"", "charset=utf-8"}:
        yield f"its Content-Type is {content_type!r}, not application/json."
    try:
        body = json.loads(request.body.decode("utf-8"), object_pairs_hook=_once)
    except ValueError as error:
        yield f"its body is not JSON in UTF-8, or has a name twice: {error}"
        return
    # As text, because to Python 10, 10.0 and True may be equal.
    if _canonical(body) != _canonical(expected):
        yield f"its body is {_canonical(body)}, not {_canonical(expected)}."


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError(", ".join(name for name, _ in pairs))
    return dict(pairs)


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
    if not shutil.which(options.command[0]):
        parser.error(f"{options.command[0]} could not be run")
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
