"""The guard works after a test or another plugin has replaced the functions that it wraps."""

from __future__ import annotations

import pytest
from support.plugin_runs import assert_all_refused, counts, run

# Its audit hook runs before the guard's, so only the guard's wrappers can refuse earlier.
WRAPPERS_ALONE = """
    import sys
    from support.plugin_runs import fail_outside
    sys.addaudithook(fail_outside)
"""

# Like pytest-socket, which restores the functions that it found at import.
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
        def proxied():
            with socket.create_server(("127.0.0.1", 0)) as listener:
                with socket.create_connection(listener.getsockname()) as sock:
                    sock.sendall(b"CONNECT api.tenios.com:443 HTTP/1.1\\r\\n\\r\\n")
        @pytest.mark.parametrize("reach", [
            ours, tls, proxied,
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
            bio = ssl.MemoryBIO()
            ssl.SSLContext().wrap_bio(bio, bio, server_hostname="api.tenios.com")
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
    pytester: pytest.Pytester, code: str
) -> None:
    pytester.makeconftest(WRAPPERS_ALONE)
    assert_all_refused(run(pytester, code))


def test_guard_stands_while_the_next_module_is_imported(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_a="import socket; socket.getaddrinfo = lambda *_, **__: []")
    result = run(
        pytester,
        """
        import socket
        socket.getaddrinfo("api.tenios.com", 443)
        """,
    )
    assert_all_refused(result)
    assert counts(result) == {"errors": 1}, result.stdout.str()


def test_guard_stands_after_the_test_itself_has_replaced_its_functions(
    pytester: pytest.Pytester,
) -> None:
    assert_all_refused(
        run(
            pytester,
            """
            import importlib, pytest, socket
            @pytest.mark.parametrize("reach", [
                lambda: socket.create_connection(("api.tenios.com", 443)),
                lambda: socket.gethostbyname("api.tenios.com"),
            ])
            def test_it(reach):
                importlib.reload(socket)
                reach()
            """,
        )
    )


def test_guard_stands_after_another_plugin_has_restored_the_original(
    pytester: pytest.Pytester,
) -> None:
    pytester.makeconftest(WRAPPERS_ALONE + RESTORING)
    assert_all_refused(
        run(
            pytester,
            """
            import socket
            def test_it():
                socket.socket().connect(("api.tenios.com", 443))
            """,
        )
    )


def test_guard_wraps_each_function_once_and_forgets_old_ones(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        import gc, socket, pytest
        from tenios_simulator._pytest_guard import GUARD, ReachedTeniosError

        def test_replacement(monkeypatch):
            first = socket.getaddrinfo
            replacement = lambda *_: []
            monkeypatch.setattr(socket, "getaddrinfo", replacement)
            for _ in range(2):
                GUARD.renew()
                assert socket.getaddrinfo.__wrapped__ is replacement
            monkeypatch.undo()
            GUARD.renew()
            assert socket.getaddrinfo is first

        def test_memory():
            before = len(GUARD._wrappers)
            for _ in range(100):
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr(socket, "getaddrinfo", lambda *_: [])
                    fake = type("FakeSocket", (), {"connect": lambda *_: None})
                    patch.setattr(socket, "socket", fake)
                    GUARD.renew()
            del fake
            gc.collect()
            assert len(GUARD._wrappers) == before
        """,
    )
    assert counts(result) == {"passed": 2}, result.stdout.str()


def test_mock_in_the_place_of_a_function_stays_a_mock(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        import pytest, socket
        from unittest.mock import patch
        @pytest.fixture
        def getaddrinfo():
            with patch("socket.getaddrinfo", return_value=[]) as mock:
                with patch("socket.socket"), patch("ssl.SSLContext"):
                    yield mock
        @pytest.fixture
        def other(getaddrinfo):
            pass
        def test_it(getaddrinfo, other):
            socket.getaddrinfo("api.tenios.com", 443)
            getaddrinfo.assert_called_once_with("api.tenios.com", 443)
        """,
    )
    assert counts(result) == {"passed": 1}, result.stdout.str()
