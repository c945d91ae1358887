"""Hosts: this machine, TENIOS, and those that NO_PROXY lists."""

from __future__ import annotations

import pytest

from tenios_ext._hosts import is_excluded, is_tenios


@pytest.mark.parametrize(
    ("no_proxy", "excluded"),
    [
        ("", False),
        ("*", True),
        ("api.tenios.com", True),
        ("tenios.com", True),
        (".tenios.com", True),
        ("*.tenios.com", True),
        ("TENIOS.com.", True),
        ("other.invalid, tenios.com", True),
        ("other.invalid tenios.com", True),
        ("api.tenios.com:443", True),
        ("*.tenios.com:443", True),
        ("api.tenios.com:8443", False),
        ("nios.com", False),
        ("api.tenios.com.invalid", False),
        (".", False),
        ("10.0.0.0/8", False),
        (",", False),
    ],
)
def test_no_proxy_is_read_as_curl_reads_it(no_proxy: str, *, excluded: bool) -> None:
    assert is_excluded("api.tenios.com", 443, no_proxy) == excluded


@pytest.mark.parametrize(
    ("host", "no_proxy", "excluded"),
    [
        ("10.1.2.3", "10.0.0.0/8", True),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3", "10.1.2.3:80", False),
        ("11.1.2.3", "10.0.0.0/8", False),
        ("::1", "::1", True),
        ("::1", "[::1]:443", True),
        ("::1", "[::1]:80", False),
        ("fd00::1", "fd00::/8", True),
    ],
)
def test_addresses_and_networks_are_excluded_from_a_proxy(
    host: str, no_proxy: str, *, excluded: bool
) -> None:
    assert is_excluded(host, 443, no_proxy) == excluded


@pytest.mark.parametrize("host", ["tenios.com", "api.tenios.com", "API.TENIOS.COM."])
def test_hosts_of_tenios_are_known_in_each_spelling(host: str) -> None:
    assert is_tenios(host)
    assert not is_tenios(host + ".invalid")
