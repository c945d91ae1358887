"""The pytest plugin, in test runs of their own, as a downstream team would have them."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Any

import httpcore  # noqa: F401 - httpx imports it late and keeps its classes: a test run of its own would bring others
import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = ["README.md", "docs/guide.md"]


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's resolver is asked, whatever the guard does: an address that it lets through leads nowhere."""
    look_up = socket.getaddrinfo

    def nowhere(host: Any, *others: Any, **options: Any) -> Any:
        if host == "127.0.0.1":
            return look_up(host, *others, **options)
        raise socket.gaierror(f"looked up {host}")

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)


def run(pytester: pytest.Pytester, code: str, *arguments: str) -> pytest.RunResult:
    """A test run in this process, but of its own, with our plugin found by its entry point."""
    pytester.makepyfile(code)
    return pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:hypothesispytest", *arguments)


def outcomes(result: pytest.RunResult) -> dict[str, int]:
    found: dict[str, int] = result.parseoutcomes()
    return found


@pytest.mark.parametrize("document", DOCUMENTS)
def test_teams_test_file_from_the_documents(pytester: pytest.Pytester, document: str) -> None:
    """The test file that a document shows passes as it stands, and is no longer than ten lines and its imports."""
    [code] = re.findall(r"```python\n(# test_.*?)```", (ROOT / document).read_text(), re.DOTALL)
    lines = [line for line in code.splitlines() if line and not line.startswith(("#", "import", "from"))]
    assert len(lines) <= 10
    pytester.makepyfile(code)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    assert outcomes(result) == {"passed": code.count("def test_")}, result.stdout.str()


def test_async_fixture_is_closed(pytester: pytest.Pytester) -> None:
    """No warning is left behind, and no event loop taken away."""
    result = run(
        pytester,
        """
        import asyncio, pytest
        LOOP = asyncio.new_event_loop()
        asyncio.set_event_loop(LOOP)
        @pytest.mark.parametrize("time", [1, 2])
        def test_async(async_tenios, tenios_simulator, time):
            async def run():
                return await (await async_tenios.start_callback("+49 221 4710123")).wait()
            assert LOOP.run_until_complete(run()).connected
            assert tenios_simulator.dialled == ["+492214710123"]
            assert asyncio.get_event_loop() is LOOP
        def test_last():
            LOOP.close()
        """,
        "-W",
        "error",
    )
    assert outcomes(result) == {"passed": 3}, result.stdout.str()


REACHING = {
    "Tenios": """
        from tenios_ext import Tenios, TeniosError
        def test_it():
            try:
                with Tenios("KEY", "CONFIG") as tenios:
                    tenios.start_callback("+49 221 4710123")
            except Exception:
                pass  # an application that goes on whatever happens
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
    "through a proxy": """
        import pytest
        from tenios_ext import Tenios
        @pytest.mark.parametrize("proxy", [None, "http://127.0.0.1:9"])
        def test_it(proxy, monkeypatch):
            monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
            monkeypatch.delenv("NO_PROXY")
            monkeypatch.delenv("no_proxy")
            with Tenios("KEY", "CONFIG", proxy=proxy) as tenios:
                tenios.start_callback("+49 221 4710123")
    """,
    "another client": """
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
    "a proxy that is given in code, or by the test": """
        import asyncio, os, socket, threading, urllib.request, aiohttp, httpx, pytest, uvloop
        from contextlib import suppress
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
                with suppress(OSError):  # It has been closed.
                    accepted[0].shutdown(socket.SHUT_RDWR)
                serving.join()
            assert received == [b""], "TLS has begun"
        @pytest.mark.parametrize("reach", [
            httpx_sync, environment, urllib_alone,
            with_asyncio(httpx_async), with_asyncio(aiohttp_alone), with_uvloop(httpx_async), with_uvloop(aiohttp_alone),
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
            await asyncio.get_running_loop().create_connection(asyncio.Protocol, port=443, host="api.tenios.com")
        async def looked_up():
            await asyncio.get_running_loop().getaddrinfo("api.tenios.com", 443)
        async def raw():
            with socket.socket() as sock:
                sock.setblocking(False)
                await asyncio.get_running_loop().sock_connect(sock, ("api.tenios.com", 443))
        @pytest.mark.parametrize("reach", [lambda: ours(True), lambda: ours(False), httpx_alone, streams, named, looked_up, raw])
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
    "behind a bare except": """
        from tenios_ext import Tenios
        def test_it():
            try:
                with Tenios("KEY", "CONFIG") as tenios:
                    tenios.start_callback("+49 221 4710123")
            except:
                pass
    """,
    "with an error of its own": """
        from tenios_ext import Tenios
        def test_it():
            try:
                with Tenios("KEY", "CONFIG") as tenios:
                    tenios.start_callback("+49 221 4710123")
            except BaseException:
                raise ValueError("no callback") from None
    """,
    "a fixture at its end": """
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
            pytest.skip("so that no test passes")
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


@pytest.mark.parametrize("code", REACHING.values(), ids=REACHING)
def test_nobody_reaches_tenios_by_accident(pytester: pytest.Pytester, code: str) -> None:
    """Whatever client is used, through a proxy or not, and whatever the code under test catches: the error names the fixture."""
    result = run(pytester, code)
    assert not outcomes(result).get("passed")
    reports = result.reprec.getreports("pytest_runtest_logreport")  # type: ignore[attr-defined] # pytester sets it late
    failed = [report.longreprtext for report in reports if report.failed]
    assert failed
    assert all("Use the fixture `tenios` or `async_tenios`" in text for text in failed), failed
    assert "looked up api.tenios.com" not in result.stdout.str().lower()
    assert not [line for line in result.outlines if line.startswith("E") and "may be ringing" in line]


def test_explicit_mark_lets_a_test_through(pytester: pytest.Pytester) -> None:
    """Whoever says so reaches TENIOS, in that test only; the name is known under --strict-markers."""
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
    assert outcomes(result) == {"passed": 1, "failed": 1}, result.stdout.str()


def test_other_hosts_are_nobodys_business(pytester: pytest.Pytester) -> None:
    """Names that are not TENIOS's are looked up as ever."""
    result = run(
        pytester,
        """
        import socket, pytest
        @pytest.mark.parametrize("host", ["www.tenios.com", "api.tenios.com.example", b"localhost", None])
        def test_it(host):
            with pytest.raises(socket.gaierror, match="looked up"):
                socket.getaddrinfo(host, 443)
        """,
    )
    assert outcomes(result) == {"passed": 4}, result.stdout.str()


def test_client_that_is_never_used_is_nobodys_business(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An application may make its client where there is a proxy; only a request is refused."""
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
    assert outcomes(result) == {"passed": 1}, result.stdout.str()


@pytest.mark.parametrize("before", ["*", "localhost", ""])
def test_hosts_without_proxy_stay_so(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, before: str) -> None:
    """An asterisk means all hosts only where it stands alone."""
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
        """,
    )
    assert outcomes(result) == {"passed": 1}, result.stdout.str()


def test_fixtures_do_not_depend_on_the_machine(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a developer has set for real calls neither forbids a test's number nor lets one pass that lacks its country."""
    monkeypatch.setenv("TENIOS_ALLOWED_NUMBERS", "+498999998001")
    monkeypatch.setenv("TENIOS_REGION", "DE")
    result = run(
        pytester,
        """
        import asyncio, os, pytest
        from tenios_ext import InvalidRequestError
        def test_sync(tenios):
            assert tenios.start_callback("+49 221 4710123").wait().connected
            with pytest.raises(InvalidRequestError):
                tenios.start_callback("0221 4710123")
            assert os.environ["TENIOS_REGION"] == "DE"
        def test_async(async_tenios):
            asyncio.run(async_tenios.start_callback("+49 221 4710123"))
        """,
    )
    assert outcomes(result) == {"passed": 2}, result.stdout.str()


def test_run_that_ends_before_it_begins(pytester: pytest.Pytester) -> None:
    """Another plugin's mistake is shown, and not one of ours that follows from it."""
    pytester.makeconftest(
        """
        import pytest
        @pytest.hookimpl(tryfirst=True)
        def pytest_configure():
            raise pytest.UsageError("broken")
        """
    )
    result = pytester.runpytest_subprocess()
    assert "broken" in result.stderr.str()
    assert "KeyError" not in result.stderr.str() + result.stdout.str()


def test_guard_goes_when_the_run_ends(pytester: pytest.Pytester) -> None:
    """A program that runs pytest in process finds everything as it was."""
    script = pytester.makepyfile(
        run="""
        import os, socket, pytest
        import uvloop
        from tenios_ext.transport import Network
        def state():
            owners = [socket, socket.socket, uvloop.Loop, Network]
            return [{**vars(owner)} for owner in owners]
        look_up, proxies = state(), dict(os.environ)
        pytest.main(["--version"])
        pytest.main(["--collect-only", "-q", "."])
        assert state() == look_up
        assert {name: os.environ.get(name) for name in ("NO_PROXY", "no_proxy")} == {
            name: proxies.get(name) for name in ("NO_PROXY", "no_proxy")
        }
        """
    )
    assert pytester.runpython(script).ret == 0
