"""A proxy receives no request for TENIOS, and its errors do not hide the guard's."""

from __future__ import annotations

import re

import pytest
from support.plugin_runs import HINT, assert_all_refused, counts, run

# A proxy that accepts every request, and may receive only data that begins with ALLOWED.
PROXY = """
    import asyncio, socket, socketserver, threading, urllib.request
    from contextlib import suppress
    import aiohttp, httpx, pytest, uvloop
    from tenios_ext import AsyncTenios, Tenios

    received = []
    class Proxy(socketserver.BaseRequestHandler):
        def handle(self):
            with suppress(ConnectionError):
                while data := self.request.recv(1000):
                    received.append(data)
                    answer = b"200 OK" if data.startswith(b"CONNECT ") else b"204 No Content"
                    self.request.sendall(b"HTTP/1.1 " + answer + b"\\r\\n\\r\\n")
    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = False  # so that its end waits for them

    @pytest.fixture
    def proxy(monkeypatch):
        received.clear()
        with Server(("127.0.0.1", 0), Proxy) as server:
            threading.Thread(target=server.serve_forever, args=[0.01]).start()
            url = f"http://127.0.0.1:{server.server_address[1]}"
            for name in ("no_proxy", "NO_PROXY"):
                monkeypatch.setenv(name, "localhost")
            for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"):
                monkeypatch.setenv(name, url)
            yield url
            server.shutdown()
        assert all(data.startswith(ALLOWED) for data in received), received

    def with_asyncio(reach):
        return lambda *args: asyncio.run(reach(*args))
    def with_uvloop(reach):
        def run(*args):
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(reach(*args))
        return run

    def httpx_sync(proxy, url):
        httpx.post(url, json={}, proxy=proxy, verify=False)
    def environment(proxy, url):
        httpx.post(url, json={}, verify=False)
    async def httpx_async(proxy, url):
        async with httpx.AsyncClient(proxy=proxy, verify=False) as http:
            await http.post(url, json={})
    async def aiohttp_alone(proxy, url):
        async with aiohttp.ClientSession() as http:
            await http.post(url, json={}, proxy=proxy)
    def urllib_alone(proxy, url):
        urllib.request.build_opener().open(url, data=b"{}")
"""


OURS = """
    def ours(proxy, url):
        transport = httpx.HTTPTransport(proxy=proxy, verify=False)
        with Tenios("KEY", "CONFIG", transport=transport) as tenios:
            tenios.start_callback("+49 221 4710123")
    async def ours_async(proxy, url):
        transport = httpx.AsyncHTTPTransport(proxy=proxy, verify=False)
        async with AsyncTenios("KEY", "CONFIG", transport=transport) as tenios:
            await tenios.callback(10).status()
"""


def test_working_proxy_is_not_asked_for_tenios(pytester: pytest.Pytester) -> None:
    code = """
    ALLOWED = ()
    def socks(proxy, url):
        with socket.create_connection(("127.0.0.1", httpx.URL(proxy).port)) as sock:
            sock.send(b"\\5\\1\\0\\3\\x0eapi.tenios.com\\1\\xbb")
    @pytest.mark.parametrize("scheme", ["http", "https"])
    @pytest.mark.parametrize("reach", [
        httpx_sync, environment, urllib_alone,
        with_asyncio(httpx_async), with_asyncio(aiohttp_alone),
    ])
    def test_it(reach, scheme, proxy):
        reach(proxy, f"{scheme}://api.tenios.com/callback/init")
    @pytest.mark.parametrize("reach", [ours, socks, with_asyncio(ours_async)])
    def test_one_scheme(reach, proxy):
        reach(proxy, None)
    """
    assert_all_refused(run(pytester, PROXY + OURS + code))


def test_working_proxy_receives_no_tls_from_uvloop(pytester: pytest.Pytester) -> None:
    """Uvloop sends the CONNECT request in native code, which the guard does not see."""
    code = """
    ALLOWED = b"CONNECT "
    @pytest.mark.parametrize("reach", [
        with_uvloop(ours_async), with_uvloop(httpx_async), with_uvloop(aiohttp_alone),
    ])
    def test_it(reach, proxy):
        reach(proxy, "https://api.tenios.com/callback/init")
    """
    assert_all_refused(run(pytester, PROXY + OURS + code))


def test_working_proxy_is_asked_for_other_hosts(pytester: pytest.Pytester) -> None:
    code = """
    ALLOWED = (b"POST http://api.tenios.com.example/?next=http://api.tenios.com/ ", b"{}")
    @pytest.mark.parametrize("reach", [
        httpx_sync, environment, urllib_alone,
        with_asyncio(httpx_async), with_asyncio(aiohttp_alone),
    ])
    def test_it(reach, proxy):
        reach(proxy, "http://api.tenios.com.example/?next=http://api.tenios.com/")
        assert received
    """
    result = run(pytester, PROXY + code)
    assert counts(result) == {"passed": 5}, result.stdout.str()


def test_unreachable_proxy_of_the_environment_hides_no_refusal(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    assert_all_refused(
        run(
            pytester,
            """
            import urllib.request
            def test_it():
                urllib.request.urlopen("https://api.tenios.com/callback/init", data=b"{}")
            """,
        )
    )


def test_our_clients_with_an_unreachable_proxy_name_the_reason(pytester: pytest.Pytester) -> None:
    """They refuse before they connect to the proxy, even if NO_PROXY is not set."""
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
    errors = re.findall(f"(?m)^E  .*({HINT}|TENIOS_OFFLINE is set)", result.stdout.str())
    assert len(errors) >= 6, result.stdout.str()


def test_marked_test_uses_the_proxy(pytester: pytest.Pytester) -> None:
    code = """
    ALLOWED = (b"POST http://api.tenios.com/callback/init ", b"{}")
    @pytest.mark.tenios_live
    @pytest.mark.parametrize("reach", [httpx_sync, urllib_alone])
    def test_it(reach, proxy):
        reach(proxy, "http://api.tenios.com/callback/init")
        assert received
    """
    result = run(pytester, PROXY + code)
    assert counts(result) == {"passed": 2}, result.stdout.str()


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
