"""Hosts: this machine, TENIOS, and those that NO_PROXY lists."""

from __future__ import annotations

import pytest

from tenios_ext._connections import proxy_of_environment
from tenios_ext._hosts import is_tenios


@pytest.mark.parametrize(
    ("no_proxy", "excluded"),
    [
        ("", False),
        ("*", True),
        ("api.tenios.com", True),
        ("tenios.com", True),
        (".tenios.com", True),
        ("*.tenios.com", True),
        ("TENIOS.com", True),
        ("other.invalid, tenios.com", True),
        ("other.invalid tenios.com", True),
        ("api.tenios.com:443", True),
        ("*.tenios.com:443", True),
        ("api.tenios.com:8443", False),
        ("nios.com", False),
        ("api.tenios.com.invalid", False),
        (".", False),
        (",", False),
    ],
)
def test_no_proxy_is_read_as_curl_reads_it(
    monkeypatch: pytest.MonkeyPatch, no_proxy: str, *, excluded: bool
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "proxy.invalid")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    expected = None if excluded else "http://proxy.invalid"
    assert proxy_of_environment("https://api.tenios.com") == expected


@pytest.mark.parametrize("no_proxy", ["::1", "[::1]", "[::1]:443", "other.invalid\t[::1]"])
def test_no_proxy_may_have_an_address(monkeypatch: pytest.MonkeyPatch, no_proxy: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "proxy.invalid")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    assert proxy_of_environment("https://[::1]") is None


@pytest.mark.parametrize(
    "host",
    [
        "tenios.com",
        "api.tenios.com",
        "API.TENIOS.COM.",
        "api\u3002tenios\uff0ecom",
        "\uff41pi.tenios.com",
    ],
)
def test_hosts_of_tenios_are_known_in_each_spelling(host: str) -> None:
    assert is_tenios(host)
    assert not is_tenios(host + ".invalid")
