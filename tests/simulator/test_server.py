"""The simulator over HTTP: TENIOS's operations, faults of the connection, the control API and who may use it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import httpx
import pytest
from support.dialling import MODES, NUMBER, ask, dial
from support.serving import serving

from tenios_ext import CallbackStatus, OutcomeUnknownError, RejectedError, Tenios
from tenios_ext.clock import SystemClock
from tenios_ext.simulator import ACCESS_KEY, CALLBACK_CONFIG_ID, MAGIC_NUMBERS, Journey, Simulator, faults
from tenios_ext.simulator.control import PREFIX, Control, control_document
from tenios_ext.simulator.server import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.routing import Route
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_Found = TypeVar("_Found")
TENIOS = Path(sys.executable).with_name("tenios")
INIT: dict[str, Any] = {
    "access_key": ACCESS_KEY,
    "callback_config_id": CALLBACK_CONFIG_ID,
    "callback_number": NUMBER,
    "delay": 0,
}


@pytest.fixture
def http(server: Server, simulator: Simulator) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.address) as http:
        yield http


@pytest.fixture
def _settings(monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    monkeypatch.setenv("TENIOS_ACCESS_KEY", ACCESS_KEY)
    monkeypatch.setenv("TENIOS_BASE_URL", server.address)


@pytest.mark.parametrize(("delay", "convert"), [(0, int), ("0", str)], ids=["numbers, as in PHP", "texts, as in Java"])
def test_official_clients_shapes_are_served(http: httpx.Client, delay: object, convert: Any) -> None:
    """What TENIOS's own clients send is taken; only the base URL is another one."""
    started = http.post("/callback/init", json={**INIT, "delay": delay})
    assert (started.status_code, list(started.json())) == (200, ["id"])
    body = {"access_key": ACCESS_KEY, "id": convert(started.json()["id"])}
    assert http.post("/callback/status", json=body).json() == {"status": "REQUESTED"}


@pytest.mark.usefixtures("_settings")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "fault",
    [faults.Drop(), faults.Reset(), faults.Malformed(), faults.Truncated(), faults.HttpError(520, accepted=True)],
    ids=repr,
)
def test_dial_whose_answer_is_lost(simulator: Simulator, mode: str, fault: faults.Fault) -> None:
    """Over a real connection as in process: the client does not know, and the telephone rings once."""
    simulator.inject(fault, on="init")
    with pytest.raises(OutcomeUnknownError):
        dial(mode)
    assert simulator.dialled == [NUMBER]


@pytest.mark.usefixtures("_settings")
@pytest.mark.parametrize("mode", MODES)
def test_refused_dial_says_when_to_try_again(simulator: Simulator, mode: str) -> None:
    """429 comes with its header."""
    simulator.inject(faults.HttpError(429, retry_after=7), on="init")
    with pytest.raises(RejectedError) as caught:
        dial(mode)
    assert caught.value.retry_after == 7


@pytest.mark.usefixtures("_settings")
@pytest.mark.parametrize("mode", MODES)
def test_lost_answer_to_a_question_is_asked_for_again(simulator: Simulator, http: httpx.Client, mode: str) -> None:
    """Two lost answers later the third is the truth."""
    http.post("/callback/init", json=INIT)
    simulator.inject(faults.Drop())
    simulator.inject(faults.Reset(), nth=2)
    seen = ask(mode, simulator.callbacks[0].id, clock=simulator.clock)
    assert seen is simulator.status(simulator.callbacks[0].id)
    assert [asked.reply.lost for asked in simulator.asked] == [None, "dropped", "reset", None]


def place(server: Server) -> tuple[str, int]:
    return "127.0.0.1", int(server.address.rpartition(":")[2])


def request(path: str, order: dict[str, Any], *headers: str) -> bytes:
    """A request as bytes, whole where *headers* are none."""
    body = json.dumps(order).encode()
    lines = ["Host: localhost", "Content-Type: application/json", *(headers or [f"Content-Length: {len(body)}"])]
    return "\r\n".join([f"POST {path} HTTP/1.1", *lines, "", ""]).encode() + body


def wait_until(found: Callable[[], _Found]) -> _Found:
    """What is there, as soon as something is."""
    while not (it := found()):
        time.sleep(0.01)
    return it


def end_of_connection(server: Server, simulator: Simulator, fault: faults.Fault, *, times: int = 1) -> bytes | str:
    """What a socket sees in place of an answer to the first of so many requests that it sends at once."""
    simulator.inject(fault, on="init")
    with socket.create_connection(place(server)) as sock:
        sock.sendall(request("/callback/init", INIT) * times)
        try:
            return sock.recv(1000)
        except ConnectionResetError:
            return "reset"


def test_drop_and_reset_are_what_they_say(server: Server, simulator: Simulator) -> None:
    """One ends the connection in order, the other with a reset; neither sends a byte."""
    assert end_of_connection(server, simulator, faults.Drop()) == b""
    assert end_of_connection(server, simulator, faults.Reset()) == "reset"


@pytest.mark.parametrize("at_once", [True, False])
def test_offer_of_another_protocol_is_ignored(http: httpx.Client, server: Server, *, at_once: bool) -> None:
    """Java's client makes it with each first request; TENIOS, like most, goes on as if it had not."""
    offer = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAA\r\nContent-Length:"
    whole = request("/callback/init", INIT).replace(b"Content-Length:", offer.encode())
    head, end, body = whole.partition(b"\r\n\r\n")
    with socket.create_connection(place(server)) as sock:
        for _ in range(2):
            for part in [whole] if at_once else [head + end, body]:
                sock.sendall(part)
            answer = b""
            while b"}" not in answer:
                answer += sock.recv(1000)
                assert answer.startswith(b"HTTP/1.1 200")
    assert [asked["request"]["callback_number"] for asked in http.get(f"{PREFIX}/requests").json()] == [NUMBER] * 2


@pytest.mark.parametrize("fault", [faults.Drop(), faults.Reset()], ids=repr)
def test_lost_connection_takes_the_requests_behind_with_it(
    caplog: pytest.LogCaptureFixture, fault: faults.Fault
) -> None:
    """Somebody who sends three at once and loses the first answer gets none, and the server has nothing left to wait for."""
    simulator = Simulator()
    with serving(simulator) as server:
        server.config.timeout_graceful_shutdown = 1
        assert end_of_connection(server, simulator, fault, times=3) in {b"", "reset"}
    assert simulator.dialled == [NUMBER]
    assert not caplog.records


@pytest.mark.parametrize("fault", [None, faults.Drop(), faults.Reset()], ids=repr)
@pytest.mark.parametrize(
    ("path", "order"),
    [("/callback/init", INIT), (f"{PREFIX}/faults", {"kind": "lag"}), (f"{PREFIX}/callbacks", {"number": NUMBER})],
)
@pytest.mark.parametrize("chunked", [False, True])
def test_part_of_a_request_is_none(
    caplog: pytest.LogCaptureFixture, path: str, order: dict[str, Any], fault: faults.Fault | None, *, chunked: bool
) -> None:
    """Whoever goes before the request is complete has asked for nothing, and be the part that came good JSON."""
    simulator = Simulator()
    part = request(path, order, "Content-Length: 5000")
    if chunked:
        head, _, body = part.replace(b"Content-Length: 5000", b"Transfer-Encoding: chunked").partition(b"\r\n\r\n")
        part = head + b"\r\n\r\n%x\r\n%b\r\n" % (len(body), body)
    if fault:
        simulator.inject(fault, on="init")
    injected = simulator.injections
    with serving(simulator) as server:
        with socket.create_connection(place(server)) as sock:
            sock.sendall(part)
            wait_until(lambda: server.server_state.tasks)
        wait_until(lambda: not server.server_state.tasks)
    assert (simulator.callbacks, simulator.asked, simulator.injections) == ([], [], injected)
    assert not caplog.records


@pytest.mark.parametrize(
    ("content", "content_type", "status", "code"),
    [
        (b" " * 70_000, "application/json", 413, "BODY_TOO_LARGE"),
        (b"{}", "text/plain", 415, "INVALID_CONTENT_TYPE"),
        (b"{}", None, 415, "INVALID_CONTENT_TYPE"),
        (b"{}", "application/json; charset=utf-8", 400, "FIELD_IS_REQUIRED"),
        (b"NaN", "application/json", 400, "INVALID_JSON"),
        (b'{"delay": NaN}', "application/json", 400, "INVALID_JSON"),
    ],
)
def test_bad_bodies_are_refused(
    http: httpx.Client, content: bytes, content_type: str | None, status: int, code: str
) -> None:
    """Too large, of another type, or no JSON; each with a reason of TENIOS's shape."""
    headers = {"Content-Type": content_type} if content_type else {}
    answer = http.post("/callback/init", content=content, headers=headers)
    assert (answer.status_code, answer.json()["error_code"]) == (status, code)


def test_endless_body_is_not_read_to_its_end(http: httpx.Client) -> None:
    """Nobody fills the simulator's memory."""

    def endless() -> Iterator[bytes]:
        while True:
            yield b" " * 10_000

    headers = {"Content-Type": "application/json"}
    with suppress(httpx.WriteError):  # The server has answered, and closed the connection, before the client looks.
        assert http.post("/callback/init", content=endless(), headers=headers).status_code == 413
    assert http.post("/callback/init", json=INIT).status_code == 200


def test_unknown_paths_and_methods(http: httpx.Client) -> None:
    """404 and 405 with what would be allowed, here and in the control API."""
    assert http.post("/callback/cancel", json=INIT).status_code == 404
    assert http.post("/callback/init/", json=INIT).status_code == 404
    assert http.get("/callback/init").headers["Allow"] == "POST"
    assert http.put(f"{PREFIX}/reset").status_code == 405
    assert http.get(f"{PREFIX}/callbacks/", headers={"Host": "evil.example"}).status_code == 404
    assert http.get(f"{PREFIX}/nothing").json()["error_code"] == "NOT_FOUND"


def test_control_api_plays_a_call(http: httpx.Client, simulator: Simulator) -> None:
    """A program in any language decides what happens, and sees what was asked."""
    assert http.post(f"{PREFIX}/journeys", json={"name": "by_hand", "number": NUMBER}).status_code == 204
    http.post("/callback/init", json={**INIT, "agent_announcement": "Hello"})
    simulator.clock.sleep(3)
    (callback,) = http.get(f"{PREFIX}/callbacks").json()
    assert (callback["status"], callback["announcement"]) == ("CALLING_A", "Hello")
    assert callback["moves"] == ["agent_answers", "agent_declines", "hang_up"]
    for move, status in [
        ("agent_answers", "CALLING_B"),
        ("customer_answers", "CONNECTED"),
        ("hang_up", "DISCONNECTED"),
    ]:
        played = http.post(f"{PREFIX}/callbacks/{callback['id']}/moves", json={"move": move}).json()
        assert (played["status"], played["over"]) == (status, move == "hang_up")
    again = http.post(f"{PREFIX}/callbacks/{callback['id']}/moves", json={"move": "hang_up"})
    assert (again.status_code, again.json()["error_code"]) == (409, "IMPOSSIBLE_MOVE")
    assert http.post(f"{PREFIX}/callbacks/9/moves", json={"move": "hang_up"}).status_code == 404
    (asked,) = http.get(f"{PREFIX}/requests").json()
    assert (asked["request"]["access_key"], asked["answer"]["body"]) == ("***", {"id": callback["id"]})


def test_control_api_injects_faults(http: httpx.Client, simulator: Simulator) -> None:
    """Each fault with its place; shown, cleared, and forgotten by a reset."""
    fault = {
        "kind": "http_error",
        "status": 503,
        "retry_after": 2,
        "on": "init",
        "nth": 2,
        "times": 3,
        "number": NUMBER,
    }
    assert http.post(f"{PREFIX}/faults", json=fault).status_code == 204
    (shown,) = http.get(f"{PREFIX}/faults").json()
    assert shown == {**fault, "accepted": False, "probability": 1.0}
    assert [http.post("/callback/init", json=INIT).status_code for _ in range(5)] == [200, 503, 503, 503, 200]
    assert http.delete(f"{PREFIX}/faults").status_code == 204
    assert simulator.injections == []
    http.post(f"{PREFIX}/faults", json={"kind": "lag"})
    assert http.post(f"{PREFIX}/reset").status_code == 204
    assert (simulator.injections, simulator.dialled) == ([], [])


@pytest.mark.parametrize(
    ("path", "order"),
    [
        ("faults", {"kind": "drop", "status": 503}),
        ("faults", {"kind": "http_error"}),
        ("faults", {"kind": "explode"}),
        ("faults", {"kind": "lag", "on": "init"}),
        ("faults", {"kind": "unknown_status", "name": "CONNECTED"}),
        ("faults", {}),
        ("journeys", {"name": "answered", "after": 3}),
        ("journeys", {"name": "population"}),
        ("journeys", {"name": "answered", "number": "0221"}),
        ("callbacks", {"number": "soon"}),
        ("callbacks/10/moves", {"move": "shout"}),
    ],
)
def test_impossible_orders_are_refused(http: httpx.Client, path: str, order: dict[str, Any]) -> None:
    """What makes no sense changes nothing, and the reason is said."""
    answer = http.post(f"{PREFIX}/{path}", json=order)
    assert answer.status_code == 400
    assert answer.json()["error_message"]


def test_magic_numbers_are_listed(http: httpx.Client) -> None:
    """Somebody in another language finds them without our documents."""
    listed = {each["number"]: each["meaning"] for each in http.get(f"{PREFIX}/numbers").json()}
    assert listed == {number: magic.meaning for number, magic in MAGIC_NUMBERS.items()}


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("GET", f"{PREFIX}/callbacks"), ("GET", f"{PREFIX}/events"), ("POST", f"{PREFIX}/reset")],
)
@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "[", "169.254.0.1"]
)
def test_other_hosts_are_refused(http: httpx.Client, method: str, path: str, host: str) -> None:
    """A page whose own name leads to this machine (DNS rebinding) may neither look nor act."""
    answer = http.request(method, path, headers={"Host": host})
    assert (answer.status_code, answer.json()["error_code"]) == (403, "FORBIDDEN_HOST")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8311", "[::1]:8311", "127.9.9.9"])
def test_this_machine_is_known_by_all_its_names(http: httpx.Client, host: str) -> None:
    """All of them lead here and nowhere else."""
    assert http.get(f"{PREFIX}/callbacks", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://127.0.0.1"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_other_pages_cannot_act(http: httpx.Client, simulator: Simulator, headers: dict[str, str]) -> None:
    """A page of another origin, and be it on this machine or this host over TLS, cannot use the visitor's browser."""
    simulator.inject(faults.Lag())
    for method, path in [("POST", "reset"), ("DELETE", "faults"), ("POST", "callbacks")]:
        answer = http.request(method, f"{PREFIX}/{path}", headers=headers)
        assert (answer.status_code, answer.json()["error_code"]) == (403, "FORBIDDEN_ORIGIN")
    assert len(simulator.injections) == 1


def test_own_page_can_act(http: httpx.Client, server: Server) -> None:
    """What the console's browser sends is taken."""
    headers = {"Origin": server.address, "Sec-Fetch-Site": "same-origin"}
    assert http.post(f"{PREFIX}/reset", headers=headers).status_code == 204
    headers["Origin"] = headers["Origin"].replace("http:", "https:")  # behind something that ends TLS
    assert http.post(f"{PREFIX}/reset", headers=headers).status_code == 204
    del headers["Sec-Fetch-Site"]
    assert http.post(f"{PREFIX}/reset", headers=headers).status_code == 403


@pytest.mark.parametrize("callback_id", ["9", "9" * 20, "9" * 5000, "ten", "-1", "1.0", "²"])
def test_move_of_no_callback_is_not_found(http: httpx.Client, callback_id: str) -> None:
    """Whatever stands where an id belongs."""
    answer = http.post(f"{PREFIX}/callbacks/{callback_id}/moves", json={"move": "hang_up"})
    assert (answer.status_code, answer.json()["error_code"]) == (404, "NOT_FOUND")


def test_head_of_the_live_stream_ends(http: httpx.Client) -> None:
    """Whoever only wants the headers gets them, and that is all: the connection is free for the next request."""
    answer = http.head(f"{PREFIX}/events")
    assert (answer.status_code, answer.headers["Content-Type"].partition(";")[0]) == (200, "text/event-stream")
    assert http.get(f"{PREFIX}/callbacks").status_code == 200


@pytest.mark.parametrize(
    "body",
    [b'{"delay": 1e400}', b'{"id": "\xed\xa0\x80"}', b'{"id": ' + b"[" * 900 + b"]" * 900 + b"}", b'{"id": "\\udfff"}'],
    ids=lambda body: str(body[:30]),
)
def test_record_can_be_read_whatever_came_in(http: httpx.Client, body: bytes) -> None:
    """Nobody's request keeps others from seeing the record."""
    headers = {"Content-Type": "application/json"}
    assert http.post("/callback/status", content=body, headers=headers).status_code == 400
    assert len(http.get(f"{PREFIX}/requests").json()) == 1


def test_key_is_nowhere_on_record(http: httpx.Client) -> None:
    """Not in what is listed, even where somebody has put it into the wrong field."""
    http.post("/callback/init", json={**INIT, "agent_announcement": f"call {ACCESS_KEY}"})
    http.post("/callback/init", json={**INIT, "accessKey": ACCESS_KEY})
    listed = http.get(f"{PREFIX}/callbacks").text + http.get(f"{PREFIX}/requests").text
    assert "call ***" in listed
    assert ACCESS_KEY not in listed


def test_order_that_needs_no_preflight_is_refused(http: httpx.Client) -> None:
    """A form of another page could send text, but never JSON."""
    answer = http.post(f"{PREFIX}/faults", content=b'{"kind": "drop"}', headers={"Content-Type": "text/plain"})
    assert answer.status_code == 415


def test_control_document_describes_what_there_is() -> None:
    """Each operation that is served is described, and the other way round; the console's own pages are not part of it."""
    control = Control(Simulator(), hosts=(), stopping=lambda: False)
    served = {
        (route.path, method.lower())
        for route in cast("list[Route]", control._app.routes)
        for method in (route.methods or set()) - {"HEAD"}
    }
    pages = {
        "/",
        *(f"{PREFIX}/{name}" for name in ("console.css", "console.js", "contract", "contract.yaml", "events")),
    }
    described = {(path, method) for path, operations in control_document()["paths"].items() for method in operations}
    assert {each for each in served if each[0] not in {*pages, f"{PREFIX}/openapi.json"}} == described
    kinds = control_document()["components"]["schemas"]["Fault"]["properties"]["kind"]["enum"]
    assert kinds == list(faults.KINDS)
    names = control_document()["components"]["schemas"]["Journey"]["properties"]["name"]["enum"]
    made = {name for name, member in vars(Journey).items() if isinstance(member, classmethod)}
    assert set(names) == made - {"population"}


def test_nothing_on_the_pages_comes_from_elsewhere(http: httpx.Client) -> None:
    """No page loads anything from another host, and the browser is told to refuse it."""
    for path in ("/", f"{PREFIX}/console.js", f"{PREFIX}/console.css", f"{PREFIX}/contract"):
        page = http.get(path)
        loaded = re.findall(r"""(?:src|href|url|import|fetch|EventSource)\s*(?:=|\()?\s*["'`(]+([^"'`)]+)""", page.text)
        assert all(re.match(r"/(?!/)|#|data:", target) for target in loaded), (path, loaded)
        assert page.headers["Content-Security-Policy"].startswith("default-src 'self'")


def test_contract_page_shows_the_whole_contract(http: httpx.Client) -> None:
    """Each operation, field, status and example can be read."""
    page = http.get(f"{PREFIX}/contract").text
    for text in (
        "POST /callback/init",
        "POST /callback/status",
        "dtmf_key_to_trigger_customer_call",
        "BAD_CREDENTIALS",
    ):
        assert text in page
    assert all(status in page for status in CallbackStatus)
    assert http.get(f"{PREFIX}/contract.yaml").text.startswith("openapi: 3.1")


def simulate(*arguments: str) -> subprocess.Popen[str]:
    command: list[str | Path] = [TENIOS, "simulate", "--port", "0", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def address_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip().partition("=")[2]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_answers_under_way_are_finished(number: signal.Signals) -> None:
    """A signal ends the server: at once for those who only watch, and after their answers for those who wait for one."""
    with simulate() as process:
        address = address_of(process)
        with Tenios(ACCESS_KEY, CALLBACK_CONFIG_ID, base_url=address) as tenios:
            httpx.post(f"{address}{PREFIX}/faults", json={"kind": "delay", "seconds": 1, "on": "init"})
            started: list[int] = []
            dialling = threading.Thread(target=lambda: started.append(tenios.start_callback(NUMBER).id))
            with httpx.stream("GET", f"{address}{PREFIX}/events") as stream:
                lines = stream.iter_lines()
                while '"operation": "init"' not in next(lines):
                    if not dialling.ident:
                        dialling.start()
                os.kill(process.pid, number)
                dialling.join()
                assert list(lines)[-1:] in ([], [""])
        assert started == [10]
        process.wait()
        assert process.returncode in {0, -number}
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()


def test_answers_that_take_too_long_are_dropped_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever waits for an answer when the server's patience is over loses the connection, and is told nothing wrong."""
    simulator = Simulator(clock=SystemClock())
    with socket.socket() as sock:
        with serving(simulator) as server:
            server.config.timeout_graceful_shutdown = 1
            simulator.inject(faults.Delay(3600), on="init")
            sock.connect(place(server))
            sock.sendall(request("/callback/init", INIT))
            wait_until(lambda: simulator.asked)
        assert sock.recv(1000) == b""
    assert_one_was_cancelled(caplog)


@pytest.mark.parametrize("path", ["/callback/init", f"{PREFIX}/faults"])
def test_requests_that_do_not_come_are_dropped_at_the_end(caplog: pytest.LogCaptureFixture, path: str) -> None:
    """Whoever keeps the server waiting for the rest of a request does not keep it from ending."""
    with socket.socket() as sock:
        with serving(Simulator()) as server:
            server.config.timeout_graceful_shutdown = 1
            sock.connect(place(server))
            sock.sendall(request(path, INIT, "Content-Length: 5000"))
            wait_until(lambda: server.server_state.tasks)
        assert sock.recv(1000) == b""
    assert_one_was_cancelled(caplog)


def test_readers_that_do_not_read_are_dropped_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    """Nor does whoever watches, and does not take what is sent."""
    simulator = Simulator()
    with socket.socket() as sock:
        with serving(simulator) as server:
            server.config.timeout_graceful_shutdown = 1
            sock.settimeout(60)  # for the test to fail where the connection does not end
            sock.connect(place(server))
            sock.sendall(f"GET {PREFIX}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            (connection,) = wait_until(lambda: list(server.server_state.connections))
            body = json.dumps({**INIT, "agent_announcement": "x" * 60_000}).encode()
            while not cast("HttpToolsProtocol", connection).flow.write_paused:
                simulator.answer("POST", "/callback/init", body)
                time.sleep(0.01)
        while sock.recv(1 << 20):
            pass
    assert_one_was_cancelled(caplog)


def assert_one_was_cancelled(caplog: pytest.LogCaptureFixture) -> None:
    (record,) = caplog.records
    assert record.message == "Cancel 1 running task(s), timeout graceful shutdown exceeded"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--speed", "nan"],
        ["--speed", "inf"],
        ["--speed", "0"],
        ["--speed", "1e308"],
        ["--host", ""],
        ["--allow-host", ""],
        ["--allow-host", " "],
        ["--allow-host", "simulator:8311"],
        ["--allow-host", "http://simulator"],
        ["--allow-host", "[::1]"],
        ["--port", "65536"],
    ],
    ids=str,
)
def test_impossible_settings_are_said_in_a_line(arguments: list[str]) -> None:
    """A server that could never do what it was told does not start."""
    ran = subprocess.run([TENIOS, "simulate", *arguments], capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 2
    assert ran.stderr.splitlines()[-1].startswith("Error: ")


@pytest.mark.parametrize("settings", [{"port": 65_536}, {"port": -1}, {"host": ""}, {"hosts": ["a/b"]}], ids=str)
def test_place_where_nobody_can_listen_is_refused(settings: dict[str, Any]) -> None:
    """Whoever serves it from a program of their own learns of the mistake as such."""
    with pytest.raises(ValueError, match=r"\.$"):
        Server(Simulator(), **settings)


def test_taken_port_is_said_in_a_line(server: Server) -> None:
    """Somebody who starts it twice learns how to go on."""
    port = server.address.rpartition(":")[2]
    ran = subprocess.run([TENIOS, "simulate", "--port", port], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert f"port {port}" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_reader_of_the_settings_who_goes_is_no_taken_port() -> None:
    """Whoever closes the pipe before the settings are printed is told nothing wrong."""
    reading, writing = os.pipe()
    os.close(reading)
    command: list[str | Path] = [TENIOS, "simulate", "--port", "0"]
    ran = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    os.close(writing)
    assert (ran.returncode, ran.stderr) == (1, "")


def test_name_that_is_allowed_may_be_used() -> None:
    """In a container the simulator is known by another name."""
    with simulate("--allow-host", "simulator") as process:
        try:
            url = f"{address_of(process)}{PREFIX}/callbacks"
            assert httpx.get(url, headers={"Host": "simulator:8311"}).status_code == 200
            assert httpx.get(url, headers={"Host": "other:8311"}).status_code == 403
        finally:
            process.terminate()
