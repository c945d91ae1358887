"""Access to the control API and the console."""

from __future__ import annotations

import re

import httpx
import pytest
from support.serving import serving

from tenios_simulator import Server, Simulator, faults
from tenios_simulator.server._http import PREFIX


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", f"{PREFIX}/callbacks"),
        ("GET", f"{PREFIX}/events"),
        ("POST", f"{PREFIX}/reset"),
    ],
)
@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "[", "169.254.0.1"],
)
def test_foreign_host_header_is_refused(
    http: httpx.Client, method: str, path: str, host: str
) -> None:
    """A web page can point its own host name to this machine (DNS rebinding)."""
    response = http.request(method, path, headers={"Host": host})
    assert (response.status_code, response.json()["error_code"]) == (403, "FORBIDDEN_HOST")


def test_unknown_path_is_not_redirected_to_foreign_host(http: httpx.Client) -> None:
    assert http.get(f"{PREFIX}/callbacks/", headers={"Host": "evil.example"}).status_code == 404


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8311", "[::1]:8311", "127.9.9.9"])
def test_loopback_host_header_is_accepted(http: httpx.Client, host: str) -> None:
    assert http.get(f"{PREFIX}/callbacks", headers={"Host": host}).status_code == 200


def test_allowed_host_is_accepted() -> None:
    """In a container, the simulator has another name."""
    with serving(Simulator(), allowed_hosts=["simulator"]) as server:
        url = f"{server.address}{PREFIX}/callbacks"
        assert httpx.get(url, headers={"Host": "simulator:8311"}).status_code == 200
        assert httpx.get(url, headers={"Host": "other:8311"}).status_code == 403


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
def test_request_from_other_page_is_refused(
    http: httpx.Client, simulator: Simulator, headers: dict[str, str]
) -> None:
    simulator.inject(faults.StaleStatus())
    for method, path in [("POST", "reset"), ("DELETE", "faults"), ("POST", "callbacks")]:
        response = http.request(method, f"{PREFIX}/{path}", headers=headers)
        assert (response.status_code, response.json()["error_code"]) == (403, "FORBIDDEN_ORIGIN")
    assert len(simulator.injections) == 1


def test_request_from_own_page_is_accepted(http: httpx.Client, server: Server) -> None:
    headers = {"Origin": server.address, "Sec-Fetch-Site": "same-origin"}
    assert http.post(f"{PREFIX}/reset", headers=headers).status_code == 204


def test_request_from_own_page_behind_tls_proxy_is_accepted(
    http: httpx.Client, server: Server
) -> None:
    """
    A page cannot set ``Sec-Fetch-Site``, so it shows that the origin is the same despite the
    scheme.
    """
    headers = {"Origin": server.address.replace("http:", "https:"), "Sec-Fetch-Site": "same-origin"}
    assert http.post(f"{PREFIX}/reset", headers=headers).status_code == 204
    del headers["Sec-Fetch-Site"]
    assert http.post(f"{PREFIX}/reset", headers=headers).status_code == 403


def test_request_that_needs_no_preflight_is_refused(http: httpx.Client) -> None:
    """A form on another page can send text without a preflight request, but not JSON."""
    response = http.post(
        f"{PREFIX}/faults", content=b'{"kind": "drop"}', headers={"Content-Type": "text/plain"}
    )
    assert (response.status_code, response.json()["error_code"]) == (415, "INVALID_CONTENT_TYPE")


@pytest.mark.parametrize(
    "path", ["/", f"{PREFIX}/console.js", f"{PREFIX}/console.css", f"{PREFIX}/contract"]
)
def test_page_loads_nothing_from_other_hosts(http: httpx.Client, path: str) -> None:
    page = http.get(path)
    targets = re.findall(
        r"""(?:src|url|import|fetch|EventSource)\s*(?:=|\()?\s*["'`(]+([^"'`)]+)""", page.text
    )
    targets += re.findall(r'<link[^>]* href="([^"]*)"', page.text)
    assert [target for target in targets if not re.match(r"/(?!/)|data:", target)] == []
    assert page.headers["Content-Security-Policy"].startswith("default-src 'self';")
