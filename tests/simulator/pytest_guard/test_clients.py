"""A test that tries to reach TENIOS fails with a hint, whichever client it uses."""

from __future__ import annotations

import pytest
from support.plugin_runs import assert_all_refused, run

CLIENTS = {
    "ours": """
        import asyncio, pytest, sys
        from tenios_ext import AsyncTenios, Tenios
        def reach():
            with Tenios("KEY", "CONFIG") as tenios:
                tenios.start_callback("+49 221 4710123")
        def test_application_that_catches_all_errors():
            try:
                reach()
            except Exception:
                pass
        def test_bare_except():
            try:
                reach()
            except:
                pass
        def test_another_error_instead():
            try:
                reach()
            except BaseException:
                raise ValueError("no callback") from None
        @pytest.mark.parametrize("aiohttp", [True, False])
        def test_async(aiohttp):
            async def run():
                async with AsyncTenios("KEY", "CONFIG", aiohttp=aiohttp) as tenios:
                    await tenios.callback(10).status()
            asyncio.run(run())
        def test_client_that_refuses_by_itself():
            try:
                sys.audit("tenios_ext.refused")  # as the client does if TENIOS_OFFLINE is set
            except Exception:
                pass
        @pytest.fixture(scope="session")
        def started():
            reach()
        def test_fixture(started):
            pass
        @pytest.fixture
        def reaching_at_its_end():
            yield
            try:
                reach()
            except:
                pass
        def test_end_of_a_fixture(reaching_at_its_end):
            pytest.skip("only the end of the fixture is tested")
    """,
    "httpx": """
        import httpx
        def test_it():
            httpx.post("https://API.tenios.com./callback/init", json={})
    """,
    "sockets": """
        import socket, pytest
        @pytest.mark.parametrize("reach", [
            lambda sock: sock.connect(("api.tenios.com", 443)),
            lambda sock: sock.connect_ex(("API.TENIOS.COM.", 443)),
            lambda sock: sock.connect(("api\u3002tenios.com", 443)),
            lambda sock: socket.create_connection((b"api.tenios.com", 443)),
            lambda sock: socket.gethostbyname("api.tenios.com"),
            lambda sock: socket.gethostbyname_ex("api.tenios.com"),
            lambda sock: socket.getaddrinfo(host="api.tenios.com", port=443),
        ])
        def test_it(reach):
            with socket.socket() as sock:
                reach(sock)
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
        @pytest.mark.parametrize(
            "reach",
            [lambda: ours(True), lambda: ours(False), httpx_alone, streams, named, looked_up, raw],
        )
        def test_it(reach):
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(reach())
    """,
}


@pytest.mark.parametrize("code", CLIENTS.values(), ids=CLIENTS)
def test_test_that_reaches_for_tenios_fails_with_a_hint(
    pytester: pytest.Pytester, code: str
) -> None:
    assert_all_refused(run(pytester, code))
