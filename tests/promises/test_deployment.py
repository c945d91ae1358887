"""Settings of deployments: mounted secrets, and a simulator in another container."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest
from support.clients import MODES, NUMBER, FakeTenios, refuse_names, start_callback
from support.faults import FaultServer, drop, respond

from tenios_ext import AsyncTenios, ConfigurationError, NotSentError, Tenios

if TYPE_CHECKING:
    from pathlib import Path


def sent_key() -> object:
    server = FakeTenios()
    start_callback("sync", transport=httpx.MockTransport(server))
    return server.bodies[0]["access_key"]


@pytest.mark.parametrize(
    ("mode", "content"),
    [
        *((mode, b"FILE-KEY\n") for mode in (0o444, 0o644, 0o440, 0o640, 0o600, 0o400)),
        (0o444, b"FILE-KEY"),
        (0o444, b"\xef\xbb\xbfFILE-KEY\r\n"),
        (0o444, b"  FILE-KEY  \n\n"),
    ],
)
def test_access_key_file_is_read_however_it_is_mounted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, content: bytes
) -> None:
    """
    Docker mounts secrets with mode 0444, Kubernetes with 0644 or 0440 as links, systemd with 0440.
    Some begin with a byte order mark.
    """
    target = tmp_path / "..data" / "key"
    target.parent.mkdir()
    target.write_bytes(content)
    target.chmod(mode)
    link = tmp_path / "key"
    link.symlink_to(target)
    monkeypatch.setenv("TENIOS_ACCESS_KEY_FILE", str(link))
    assert sent_key() == "FILE-KEY"


def test_access_key_file_may_be_in_the_home_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key").write_text("FILE-KEY")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TENIOS_ACCESS_KEY_FILE", "~/key")
    assert sent_key() == "FILE-KEY"


@pytest.mark.parametrize("content", [b"FILE-KEY \xff", b"FILE\nKEY", b"FILE-KEY\0"])
def test_access_key_file_that_holds_something_else_is_not_quoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    (tmp_path / "key").write_bytes(content)
    monkeypatch.setenv("TENIOS_ACCESS_KEY_FILE", str(tmp_path / "key"))
    with pytest.raises(ConfigurationError, match=r"copied completely|not a text file") as raised:
        Tenios()
    assert "FILE" not in str(raised.value).replace("ACCESS_KEY_FILE", "")
    assert raised.value.__context__ is None


@pytest.mark.parametrize("kind", [Tenios, AsyncTenios])
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_plain_http_is_allowed_to_hosts_that_are_named(
    kind: type[Tenios | AsyncTenios], monkeypatch: pytest.MonkeyPatch
) -> None:
    kind("KEY", base_url="http://simulator:8311", insecure_hosts=["Simulator"])
    monkeypatch.setenv("TENIOS_INSECURE_HOSTS", "other, simulator")
    kind("KEY", base_url="http://simulator:8311")
    with pytest.raises(ConfigurationError, match="TENIOS_INSECURE_HOSTS=elsewhere"):
        kind("KEY", base_url="http://elsewhere:8311")
    with pytest.raises(ConfigurationError, match="unencrypted"):
        kind("KEY", base_url="http://simulator:8311", insecure_hosts=[])


@pytest.mark.parametrize(
    "host", ["api.tenios.com", "API.TENIOS.COM", "tenios.com", "api.tenios.com."]
)
def test_plain_http_is_never_allowed_to_tenios(host: str) -> None:
    with pytest.raises(ConfigurationError):
        Tenios("KEY", base_url=f"http://{host}", insecure_hosts=[host])


def test_proxy_of_the_environment_is_not_used_for_plain_http(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It would receive the access key unencrypted."""
    refuse_names(monkeypatch)
    with FaultServer(drop) as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        simulator: dict[str, Any] = {"insecure_hosts": ["simulator"], "access_key": "KEY"}
        with pytest.raises(NotSentError, match="Name or service not known"):
            start_callback("sync", base_url="http://simulator:8311", **simulator)
        assert not proxy.received


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("through_proxy", [False, True])
def test_nothing_is_sent_to_tenios_while_offline_is_set(
    mode: str, monkeypatch: pytest.MonkeyPatch, *, through_proxy: bool
) -> None:
    """The pytest plugin sets it, and programs that a test starts inherit it."""
    monkeypatch.setenv("TENIOS_ACCESS_KEY", "KEY")
    monkeypatch.setenv("TENIOS_OFFLINE", "1")
    with FaultServer(drop) as proxy:
        settings = {"proxy": proxy.url} if through_proxy else {}
        with pytest.raises(NotSentError, match="TENIOS_OFFLINE"):
            start_callback(mode, **settings)
        assert not proxy.received


def test_offline_does_not_affect_other_services_and_mocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENIOS_ACCESS_KEY", "KEY")
    monkeypatch.setenv("TENIOS_OFFLINE", "1")
    with FaultServer(respond("200 OK", {"id": 10})) as server:
        assert start_callback("sync", base_url=server.url).id == 10
    mock = httpx.MockTransport(lambda _: httpx.Response(200, json={"id": 10}))
    with Tenios(transport=mock) as tenios:
        assert tenios.start_callback(NUMBER, callback_config_id="CONFIG").id == 10
