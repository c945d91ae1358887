"""The guard of the pytest plugin: no test reaches TENIOS unless it is marked."""

from __future__ import annotations

import gc
import os
import socket

import httpcore  # noqa: F401 - httpx imports it on first use; a run in this process would load it again, with other classes
import pytest
from support.plugin_runs import counts, run, run_alone

from tenios_simulator._pytest_guard import Guard, ReachedTeniosError

pytestmark = pytest.mark.usefixtures("no_name_resolution")

REACHING = {
    "Tenios": """
        from tenios_ext import Tenios, TeniosError
        def test_it():
            try:
                with Tenios("KEY", "CONFIG") as tenios:
                    tenios.start_callback("+49 221 4710123")
            except Exception:
                pass  # an application that catches all errors
    """,
    "AsyncTenios": """
        import asyncio, pytest
        from tenios_ext import AsyncTenios
        @pytest.mark.parametrize("aiohttp", [True, False])
        def test_it(aiohttp):
            async def run():
                async with AsyncTenios("KEY", "CONFIG", aiohttp=aiohttp) as tenios:
                    await tenios.callback(10).status()
            asyncio.run(run())
    """,
    "another client with an unreachable proxy": """
        import urllib.request
        def test_it(monkeypatch):
            monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
            urllib.request.urlopen("https://api.tenios.com/callback/init", data=b"{}")
    """,
    "httpx": """
        import httpx
        def test_it():
            httpx.post("https://API.tenios.com./callback/init", json={})
    """,
    "a working proxy": """
        import asyncio, os, socket, threading, urllib.request, aiohttp, httpx, pytest, uvloop
        from contextlib import suppress
        from tenios_ext import AsyncTenios, Tenios
        URL = "https://api.tenios.com/callback/init"
        def httpx_sync(proxy):
            httpx.post(URL, json={}, proxy=proxy)
        async def httpx_async(proxy):
            async with httpx.AsyncClient(proxy=proxy) as http:
                await http.post(URL, json={})
        async def aiohttp_alone(proxy):
            async with aiohttp.ClientSession() as http:
                await http.post(URL, json={}, proxy=proxy)
        def environment(proxy):
            httpx.post(URL, json={})
        def ours(proxy):
            with Tenios("KEY", "CONFIG", transport=httpx.HTTPTransport(proxy=proxy)) as tenios:
                tenios.start_callback("+49 221 4710123")
        async def ours_async(proxy):
            transport = httpx.AsyncHTTPTransport(proxy=proxy)
            async with AsyncTenios("KEY", "CONFIG", transport=transport) as tenios:
                await tenios.callback(10).status()
        def urllib_alone(proxy):
            urllib.request.build_opener().open(URL, data=b"{}")
        def with_asyncio(reach):
            return lambda proxy: asyncio.run(reach(proxy))
        def with_uvloop(reach):
            def run(proxy):
                with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                    runner.run(reach(proxy))
            return run
        @pytest.fixture
        def proxy(monkeypatch):
            tunnel = b"HTTP/1.1 200 OK\\r\\n\\r\\n"
            def serve(listener):
                connection, _ = listener.accept()
                accepted.append(connection)
                connection.recv(1000)
                connection.sendall(tunnel)
                received.append(connection.recv(1000))
                connection.close()
            accepted, received = [], []
            with socket.create_server(("127.0.0.1", 0)) as listener:
                listener.settimeout(60)
                serving = threading.Thread(target=serve, args=[listener])
                serving.start()
                for name in ("no_proxy", "NO_PROXY"):
                    monkeypatch.setenv(name, "localhost")
                url = f"http://127.0.0.1:{listener.getsockname()[1]}"
                for name in ("https_proxy", "HTTPS_PROXY"):
                    monkeypatch.setenv(name, url)
                yield url
                with suppress(OSError):  # already closed
                    accepted[0].shutdown(socket.SHUT_RDWR)
                serving.join()
            assert received == [b""], "TLS has begun"
        @pytest.mark.parametrize("reach", [
            ours, httpx_sync, environment, urllib_alone,
            with_asyncio(ours_async), with_asyncio(httpx_async), with_asyncio(aiohttp_alone),
            with_uvloop(ours_async), with_uvloop(httpx_async), with_uvloop(aiohttp_alone),
        ])
        def test_it(reach, proxy):
            reach(proxy)
    """,
    "uvloop": """
        import asyncio, socket, httpx, pytest, uvloop
        from tenios_ext import AsyncTenios
        async def ours(aiohttp):
            async with AsyncTenios("KEY", "CONFIG", aiohttp=aiohttp) as tenios:
                await tenios.callback(10).status()
        async def httpx_alone():
            async with httpx.AsyncClient() as http:
                await http.post("https://api.tenios.com/callback/init", json={})
        async def streams():
            await asyncio.open_connection("api.tenios.com", 443)
        async def named():
            loop = asyncio.get_running_loop()
            await loop.create_connection(asyncio.Protocol, port=443, host="api.tenios.com")
        async def looked_up():
            await asyncio.get_running_loop().getaddrinfo("api.tenios.com", 443)
        async def raw():
            with socket.socket() as sock:
                sock.setblocking(False)
                await asyncio.get_running_loop().sock_connect(sock, ("api.tenios.com", 443))
        @pytest.mark.parametrize("reach", [
            lambda: ours(True), lambda: ours(False), httpx_alone, streams, named, looked_up, raw
        ])
        def test_it(reach):
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(reach())
    """,
    "sockets": """
        import socket, pytest
        @pytest.mark.parametrize("reach", [
            lambda sock: sock.connect(("api.tenios.com", 443)),
            lambda sock: sock.connect_ex(("API.TENIOS.COM.", 443)),
            lambda sock: socket.create_connection((b"api.tenios.com", 443)),
            lambda sock: socket.gethostbyname("api.tenios.com"),
            lambda sock: socket.gethostbyname_ex("api.tenios.com"),
            lambda sock: socket.getaddrinfo(host="api.tenios.com", port=443),
        ])
        def test_it(reach):
            with socket.socket() as sock:
                reach(sock)
    """,
    "a thread": """
        import threading, pytest
        from tenios_ext import Tenios
        def reach():
            with Tenios("KEY", "CONFIG") as tenios:
                tenios.start_callback("+49 221 4710123")
        @pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
        def test_it():
            thread = threading.Thread(target=reach)
            thread.start()
            thread.join()
    """,
    "a bare except": """
        from tenios_ext import Tenios
        def test_it():
            try:
                with Tenios("KEY", "CONFIG") as tenios:
                    tenios.start_callback("+49 221 4710123")
            except:
                pass
    """,
    "another error instead": """
        from tenios_ext import Tenios
        def test_it():
            try:
                with Tenios("KEY", "CONFIG") as tenios:
                    tenios.start_callback("+49 221 4710123")
            except BaseException:
                raise ValueError("no callback") from None
    """,
    "a client that refuses by itself": """
        import sys
        def test_it():
            try:
                sys.audit("tenios_ext.refused")  # as our clients do where TENIOS_OFFLINE is set
            except Exception:
                pass
    """,
    "the end of a fixture": """
        import pytest
        from tenios_ext import Tenios
        @pytest.fixture
        def reaching():
            yield
            try:
                with Tenios("KEY", "CONFIG") as tenios:
                    tenios.start_callback("+49 221 4710123")
            except:
                pass
        def test_it(reaching):
            pytest.skip("only the end of the fixture is tested")
    """,
    "a fixture": """
        import pytest
        from tenios_ext import Tenios
        @pytest.fixture(scope="session")
        def started():
            with Tenios("KEY", "CONFIG") as tenios:
                return tenios.start_callback("+49 221 4710123")
        def test_it(started):
            pass
    """,
}


def reports(result: pytest.RunResult) -> list[pytest.TestReport]:
    """Return the reports of all tests."""
    found: list[pytest.TestReport] = result.reprec.getreports("pytest_runtest_logreport")  # type: ignore[attr-defined] # set by pytester, not declared
    return found


@pytest.mark.parametrize("code", REACHING.values(), ids=REACHING)
def test_test_that_reaches_for_tenios_fails_with_a_hint(
    pytester: pytest.Pytester, code: str
) -> None:
    result = run(pytester, code)
    assert not counts(result).get("passed")
    failed = [report.longreprtext for report in reports(result) if report.failed]
    assert failed
    assert all("Use the fixture `tenios` or `async_tenios`" in text for text in failed), failed
    assert "looked up api.tenios.com" not in result.stdout.str().lower()
    assert not [
        line for line in result.outlines if line.startswith("E") and "may be ringing" in line
    ]


# Runs before the guard's own audit hook, so that only the guard's wrappers can refuse before it.
NO_NAME_RESOLUTION = """
    import sys
    def fail(event, args):
        if event in {"socket.getaddrinfo", "socket.gethostbyname"} and args[0] != "127.0.0.1":
            raise OSError(f"looked up {args[0]}")
        if event == "socket.connect" and args[1][0] != "127.0.0.1":
            raise OSError(f"connected to {args[1]}")
    sys.addaudithook(fail)
"""

# As pytest-socket, which restores what it found when it was imported.
RESTORING = """
    import socket
    CONNECT = socket.socket.connect
    def pytest_runtest_setup():
        socket.socket.connect = CONNECT
"""

REPLACING = {
    "gevent": """
        from gevent import monkey
        monkey.patch_all()
        import gevent.socket, httpx, pytest, socket, ssl, urllib.request
        from tenios_ext import Tenios
        def ours():
            with Tenios("KEY", "CONFIG") as tenios:
                tenios.start_callback("+49 221 4710123")
        def tls():
            with socket.socket() as sock:
                ssl.create_default_context().wrap_socket(sock, server_hostname="api.tenios.com")
        @pytest.mark.parametrize("reach", [
            ours, tls,
            lambda: httpx.post("https://api.tenios.com/callback/init", json={}),
            lambda: urllib.request.urlopen("https://api.tenios.com/callback/init", data=b"{}"),
            lambda: socket.create_connection(("api.tenios.com", 443)),
            lambda: socket.socket().connect(("api.tenios.com", 443)),
            lambda: socket.getaddrinfo("api.tenios.com", 443),
            lambda: gevent.socket.create_connection(("api.tenios.com", 443)),
        ])
        def test_it(reach):
            reach()
    """,
    "a module that loads socket again": """
        import importlib, pytest, socket
        importlib.reload(socket)
        @pytest.mark.parametrize("reach", [
            lambda: socket.create_connection(("api.tenios.com", 443)),
            lambda: socket.socket().connect(("api.tenios.com", 443)),
            lambda: socket.gethostbyname("api.tenios.com"),
        ])
        def test_it(reach):
            reach()
    """,
    "a module that loads another socket": """
        import sys
        del sys.modules["socket"]
        import socket
        def test_it():
            socket.create_connection(("api.tenios.com", 443))
    """,
    "a module that loads ssl again": """
        import importlib, pytest, ssl
        importlib.reload(ssl)
        def test_it():
            context, name = ssl.SSLContext(), "api.tenios.com"
            context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=name)
    """,
    "a fixture before another one": """
        import pytest, socket
        @pytest.fixture(scope="session")
        def resolver():
            socket.getaddrinfo = lambda *_, **__: []
        @pytest.fixture(scope="module")
        def found(resolver):
            return socket.getaddrinfo("api.tenios.com", 443)
        def test_it(found):
            pass
    """,
    "a fixture before the test": """
        import pytest, socket
        @pytest.fixture
        def resolver(monkeypatch):
            monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [])
        @pytest.mark.parametrize("time", [1, 2])
        def test_it(resolver, time):
            socket.getaddrinfo("api.tenios.com", 443)
    """,
    "a fixture before its end": """
        import pytest, socket
        @pytest.fixture
        def found():
            yield
            socket.getaddrinfo("api.tenios.com", 443)
        def test_it(found):
            socket.getaddrinfo = lambda *_, **__: []
            pytest.skip("only the end of the fixture is tested")
    """,
}


@pytest.mark.parametrize("code", REPLACING.values(), ids=REPLACING)
def test_guard_stands_after_its_functions_were_replaced(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    pytester.makeconftest(NO_NAME_RESOLUTION)
    result = run_alone(pytester, monkeypatch, code)
    outcomes = counts(result)
    assert not outcomes.get("passed")
    refused = [
        line
        for line in result.outlines
        if line.startswith("E  ") and "Use the fixture `tenios`" in line
    ]
    assert len(refused) == outcomes.get("failed", 0) + outcomes.get("errors", 0) > 0, (
        result.stdout.str()
    )
    assert not [
        line
        for line in result.outlines
        if line.startswith("E  ") and ("looked up" in line or "connected to" in line)
    ]


def test_guard_stands_while_the_next_module_is_imported(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makepyfile(test_a="import socket; socket.getaddrinfo = lambda *_, **__: []")
    result = run_alone(
        pytester,
        monkeypatch,
        """
        import socket
        socket.getaddrinfo("api.tenios.com", 443)
        """,
    )
    assert counts(result) == {"errors": 1}, result.stdout.str()
    result.stdout.fnmatch_lines(["E*A test tried to reach api.tenios.com*"])


def test_guard_stands_after_the_test_itself_has_replaced_its_functions(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = run_alone(
        pytester,
        monkeypatch,
        """
        import importlib, pytest, socket, sys
        def fail(event, args):
            if event in {"socket.getaddrinfo", "socket.gethostbyname"}:
                raise OSError(f"looked up {args[0]}")
        sys.addaudithook(fail)  # after the guard's
        @pytest.mark.parametrize("reach", [
            lambda: socket.create_connection(("api.tenios.com", 443)),
            lambda: socket.gethostbyname("api.tenios.com"),
        ])
        def test_it(reach):
            importlib.reload(socket)
            reach()
        """,
    )
    assert counts(result) == {"failed": 2}, result.stdout.str()
    refused = [
        line
        for line in result.outlines
        if line.startswith("E  ") and "Use the fixture `tenios`" in line
    ]
    assert len(refused) == 2, result.stdout.str()


def test_guard_stands_after_another_plugin_has_restored_the_original(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makeconftest(NO_NAME_RESOLUTION + RESTORING)
    result = run_alone(
        pytester,
        monkeypatch,
        """
        import socket
        def test_it():
            socket.socket().connect(("api.tenios.com", 443))
        """,
    )
    assert counts(result) == {"failed": 1}, result.stdout.str()
    result.stdout.fnmatch_lines(["E*ReachedTeniosError: A test tried to reach api.tenios.com*"])


def replace_name_resolution(*_: object) -> list[object]:
    """Resolve each name to nothing."""
    return []


def test_guard_wraps_each_function_once_and_leaves_none_wrapped() -> None:
    original = socket.getaddrinfo
    guard = Guard()
    guard.start()
    try:
        first = socket.getaddrinfo
        assert first is not original
        guard.renew()
        assert socket.getaddrinfo is first
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(socket, "getaddrinfo", replace_name_resolution)
            for _ in range(2):
                guard.renew()
                assert vars(socket.getaddrinfo)["__wrapped__"] is replace_name_resolution
            with pytest.raises(ReachedTeniosError):
                socket.getaddrinfo("api.tenios.com", 443)
        guard.renew()
        assert socket.getaddrinfo is first
        with pytest.raises(ReachedTeniosError):
            first("api.tenios.com", 443)
    finally:
        guard.stop()
    assert socket.getaddrinfo is original
    with pytest.raises(OSError, match="looked up"):
        first("api.tenios.com", 443)  # Code that has kept the wrapper is not refused any more.


def test_guard_leaves_a_replacement_that_stays() -> None:
    guard = Guard()
    with pytest.MonkeyPatch.context() as patch:
        guard.start()
        patch.setattr(socket, "getaddrinfo", replace_name_resolution)
        guard.renew()
        with pytest.raises(ReachedTeniosError):
            socket.getaddrinfo("api.tenios.com", 443)
        guard.stop()
        assert vars(socket)["getaddrinfo"] is replace_name_resolution


def test_guard_does_not_keep_replacements_of_earlier_tests() -> None:
    guard = Guard()
    guard.start()
    try:
        before = len(guard._wrappers)
        for _ in range(100):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(socket, "getaddrinfo", lambda *_: [])
                patch.setattr(
                    socket, "socket", type("FakeSocket", (), {"connect": lambda *_: None})
                )
                guard.renew()
        gc.collect()
        assert len(guard._wrappers) == before
    finally:
        guard.stop()


def test_mock_in_the_place_of_a_function_stays_a_mock(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        import pytest, socket
        from unittest.mock import patch
        @pytest.fixture
        def getaddrinfo():
            with (
                patch("socket.getaddrinfo", return_value=[]),
                patch("socket.socket"),
                patch("ssl.SSLContext"),
            ):
                yield socket.getaddrinfo
        @pytest.fixture
        def other(getaddrinfo):
            pass
        def test_it(getaddrinfo, other):
            socket.getaddrinfo("api.tenios.com", 443)
            socket.getaddrinfo.assert_called_once_with("api.tenios.com", 443)
        """,
    )
    assert counts(result) == {"passed": 1}, result.stdout.str()


@pytest.mark.parametrize("before", [None, "", "1"])
def test_offline_is_set_except_for_marked_tests(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, before: str | None
) -> None:
    if before is not None:
        monkeypatch.setenv("TENIOS_OFFLINE", before)
    result = run(
        pytester,
        """
        import os, pytest
        SEEN = [os.environ.get("TENIOS_OFFLINE")]  # while tests are collected
        @pytest.fixture
        def seen_by_fixture():
            return os.environ.get("TENIOS_OFFLINE")
        @pytest.mark.tenios_live
        def test_live(seen_by_fixture):
            SEEN.extend([seen_by_fixture, os.environ.get("TENIOS_OFFLINE")])
        @pytest.fixture
        def cleared(monkeypatch):
            monkeypatch.delenv("TENIOS_OFFLINE")
        def test_other(seen_by_fixture, cleared):
            SEEN.extend([seen_by_fixture, os.environ.get("TENIOS_OFFLINE")])
            assert SEEN == ["1", None, None, "1", "1"]
        """,
    )
    assert counts(result) == {"passed": 2}, result.stdout.str()
    assert os.environ.get("TENIOS_OFFLINE") == before


def test_program_that_a_test_starts_sends_nothing(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The unreachable proxy keeps the program from TENIOS if it does try."""
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    result = run(
        pytester,
        """
        import os, subprocess, sys
        PROGRAM = (
            "from tenios_ext import Tenios; "
            "Tenios('KEY', 'CONFIG').start_callback('+49 221 4710123')"
        )
        def test_it(monkeypatch):
            for name in ("no_proxy", "NO_PROXY"):
                monkeypatch.delenv(name)
            command = [sys.executable, "-c", PROGRAM]
            program = subprocess.run(command, capture_output=True, text=True)
            refused = "TENIOS_OFFLINE is set, as in a test run, so nothing is sent to TENIOS"
            assert refused in program.stderr
        """,
    )
    assert counts(result) == {"passed": 1}, result.stdout.str()


def test_our_clients_with_an_unreachable_proxy_name_the_reason(pytester: pytest.Pytester) -> None:
    """
    They refuse before they connect to the proxy, whose error would hide that a test tried to reach
    TENIOS.
    """
    result = run(
        pytester,
        """
        import asyncio, pytest
        from tenios_ext import AsyncTenios, Tenios
        @pytest.fixture(params=[None, "http://127.0.0.1:9"])
        def proxy(request, monkeypatch):
            monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
            monkeypatch.delenv("NO_PROXY")
            monkeypatch.delenv("no_proxy")
            return request.param
        def test_sync(proxy):
            with Tenios("KEY", "CONFIG", proxy=proxy) as tenios:
                tenios.start_callback("+49 221 4710123")
        @pytest.mark.parametrize("aiohttp", [True, False])
        def test_async(aiohttp, proxy):
            async def run():
                async with AsyncTenios("KEY", "CONFIG", proxy=proxy, aiohttp=aiohttp) as tenios:
                    await tenios.callback(10).status()
            asyncio.run(run())
        """,
    )
    assert counts(result) == {"failed": 6}, result.stdout.str()
    failed = [report.longreprtext for report in reports(result) if report.failed]
    assert all(
        "Use the fixture `tenios`" in text or "TENIOS_OFFLINE is set" in text for text in failed
    ), failed


def test_marked_test_reaches_tenios(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        import pytest
        from tenios_ext import NotSentError, Tenios
        def reach():
            with Tenios("KEY", "CONFIG") as tenios:
                tenios.start_callback("+49 221 4710123")
        @pytest.mark.tenios_live
        def test_live():
            with pytest.raises(NotSentError, match="looked up api.tenios.com"):
                reach()
        def test_other():
            reach()
        """,
        "--strict-markers",
    )
    assert counts(result) == {"passed": 1, "failed": 1}, result.stdout.str()


def test_marked_test_uses_the_proxy(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        import pytest
        from tenios_ext import NotSentError, Tenios
        @pytest.mark.tenios_live
        def test_live():
            with Tenios("KEY", "CONFIG", proxy="http://127.0.0.1:9") as tenios:
                with pytest.raises(NotSentError, match="Connection refused"):
                    tenios.start_callback("+49 221 4710123")
        """,
    )
    assert counts(result) == {"passed": 1}, result.stdout.str()


def test_other_hosts_are_not_refused(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        import socket, pytest
        @pytest.mark.parametrize(
            "host", ["www.tenios.com", "api.tenios.com.example", b"localhost", None]
        )
        def test_it(host):
            with pytest.raises(socket.gaierror, match="looked up"):
                socket.getaddrinfo(host, 443)
        """,
    )
    assert counts(result) == {"passed": 4}, result.stdout.str()


def test_client_that_sends_nothing_is_not_refused(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An application may make its client when it is imported, also behind a proxy."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    result = run(
        pytester,
        """
        import os
        from tenios_ext import Tenios
        for name in ("NO_PROXY", "no_proxy"):
            del os.environ[name]
        TENIOS = Tenios("KEY", "CONFIG")
        def test_it():
            TENIOS.close()
        """,
    )
    assert counts(result) == {"passed": 1}, result.stdout.str()


@pytest.mark.parametrize("before", ["*", "localhost", ""])
def test_no_proxy_keeps_its_other_hosts(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    monkeypatch.setenv("NO_PROXY", before)
    monkeypatch.setenv("no_proxy", before)
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    result = run(
        pytester,
        f"""
        import urllib.request
        def test_it():
            assert urllib.request.proxy_bypass("api.tenios.com")
            assert bool(urllib.request.proxy_bypass("localhost")) == {bool(before)}
            assert bool(urllib.request.proxy_bypass("other.example")) == {before == "*"}
        """,
    )
    assert counts(result) == {"passed": 1}, result.stdout.str()
