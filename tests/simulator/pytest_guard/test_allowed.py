"""What the guard allows: marked tests, other hosts, and clients that send nothing."""

from __future__ import annotations

import pytest
from support.plugin_runs import counts, run


def test_marked_test_reaches_tenios(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\naddopts = --strict-markers")
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
    )
    assert counts(result) == {"passed": 1, "failed": 1}, result.stdout.str()


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


def test_other_hosts_are_not_refused(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        import socket, pytest
        @pytest.mark.parametrize(
            "host", ["www.tenios.com", "api.tenios.com.example", b"localhost", None]
        )
        def test_it(host):
            with pytest.raises(OSError, match="looked up"):
                socket.getaddrinfo(host, 443)
        """,
    )
    assert counts(result) == {"passed": 4}, result.stdout.str()


def test_client_that_sends_nothing_is_not_refused(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An application may create its client at import, even behind a proxy."""
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
