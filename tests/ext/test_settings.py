"""The settings of a client: their sources, and which are refused."""

from __future__ import annotations

import asyncio
import math
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import attrs
import httpx
import pytest
from support.clients import CONFIG_ID, NUMBER, FakeTenios

from tenios_ext import AsyncTenios, ConfigurationError, InvalidArgumentError, NotPlacedError, Tenios

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CLIENTS = [Tenios, AsyncTenios]


@pytest.fixture
def server() -> FakeTenios:
    return FakeTenios()


@contextmanager
def opened(kind: Any, **settings: Any) -> Iterator[Any]:
    client = kind(**settings)
    try:
        yield client
    finally:
        if isinstance(client, Tenios):
            client.close()
        else:
            asyncio.run(client.aclose())


def sent_key(server: FakeTenios, **settings: Any) -> str:
    with Tenios(
        callback_config_id=CONFIG_ID, transport=httpx.MockTransport(server), **settings
    ) as tenios:
        tenios.start_callback(NUMBER)
    return str(server.bodies[-1]["access_key"])


def test_settings_come_from_the_environment(
    server: FakeTenios, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "ACCESS_KEY": "ENV-KEY",
        "CALLBACK_CONFIG_ID": "ENV-CONFIG",
        "BASE_URL": "https://tenios.invalid/base/",
        "REGION": "DE",
        "ALLOWED_NUMBERS": "0221 4710123, +49 30 23125 000,",
    }.items():
        monkeypatch.setenv(f"TENIOS_{name}", value)
    with Tenios(transport=httpx.MockTransport(server)) as tenios:
        tenios.start_callback("0221 4710 123")
        tenios.start_callback("030 23125000")
        with pytest.raises(
            InvalidArgumentError,
            match=r"\+493023125001 is not one of this client's allowed numbers",
        ):
            tenios.start_callback("030 23125001")
    assert [body["callback_number"] for body in server.bodies] == [NUMBER, "+493023125000"]
    assert {body["access_key"] for body in server.bodies} == {"ENV-KEY"}
    assert {body["callback_config_id"] for body in server.bodies} == {"ENV-CONFIG"}
    assert server.urls[0] == "https://tenios.invalid/base/callback/init"


def test_keywords_win_over_the_environment(
    server: FakeTenios, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ACCESS_KEY", "CALLBACK_CONFIG_ID", "REGION"):
        monkeypatch.setenv(f"TENIOS_{name}", "US")
    monkeypatch.setenv("TENIOS_BASE_URL", "https://env.invalid")
    monkeypatch.setenv("TENIOS_ALLOWED_NUMBERS", "+49 30 23125000")
    settings: dict[str, Any] = {
        "base_url": "https://keyword.invalid",
        "region": "DE",
        "allowed_numbers": [NUMBER],
    }
    with Tenios("KEY", CONFIG_ID, transport=httpx.MockTransport(server), **settings) as tenios:
        tenios.start_callback("0221 4710123")
    assert server.urls == ["https://keyword.invalid/callback/init"]
    assert server.bodies == [
        {
            "access_key": "KEY",
            "callback_config_id": CONFIG_ID,
            "callback_number": NUMBER,
            "delay": 0,
        },
    ]


def test_empty_variables_count_as_unset(
    server: FakeTenios, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("BASE_URL", "REGION", "CALLBACK_CONFIG_ID", "ACCESS_KEY"):
        monkeypatch.setenv(f"TENIOS_{name}", "")
    with Tenios("KEY", transport=httpx.MockTransport(server)) as tenios:
        assert tenios.settings.base_url == "https://api.tenios.com"
        assert tenios.settings.region is None
        tenios.start_callback(NUMBER, callback_config_id=CONFIG_ID)
    with pytest.raises(ConfigurationError, match="access key is missing"):
        Tenios()


@pytest.mark.parametrize("kind", CLIENTS)
def test_client_shows_the_settings_in_use(kind: Any) -> None:
    settings: dict[str, Any] = {
        "region": "DE",
        "allowed_numbers": ["0221 4710123", "+49 (0) 221 4710-123"],
    }
    with opened(
        kind, access_key="SECRET", base_url="https://tenios.invalid/base/", **settings
    ) as client:
        assert client.settings.base_url == "https://tenios.invalid/base"
        assert client.settings.region == "DE"
        assert client.settings.allowed_numbers == frozenset({NUMBER})
        assert repr(client) == f"{kind.__name__}('https://tenios.invalid/base')"
        assert "SECRET" not in repr(attrs.asdict(client.settings))


@pytest.mark.parametrize("kind", CLIENTS)
def test_client_shows_the_defaults(kind: Any) -> None:
    with opened(kind, access_key="KEY") as client:
        assert client.settings.base_url == "https://api.tenios.com"
        assert client.settings.region is None
        assert client.settings.allowed_numbers is None


@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize("name", ["base_url", "region", "allowed_numbers"])
def test_settings_are_read_only(kind: Any, name: str) -> None:
    with opened(kind, access_key="KEY") as client:
        with pytest.raises(AttributeError):
            setattr(client.settings, name, None)
        with pytest.raises(AttributeError):
            client.settings = None


@pytest.mark.parametrize(
    "wrong",
    [
        0,
        0.0,
        -1,
        -0.25,
        math.inf,
        -math.inf,
        math.nan,
        86401,
        10**400,
        True,
        False,
        "2",
        b"2",
        None,
        timedelta(seconds=2),
    ],
    ids=lambda wrong: repr(wrong)[:20],
)
def test_poll_interval_that_is_neither_a_function_nor_a_usable_number_is_refused(
    wrong: Any,
) -> None:
    expected = (
        "poll_interval must be a function, or a number of seconds greater than 0 and at most "
        "86400, got "
    )
    with pytest.raises(ConfigurationError, match=expected) as raised:
        Tenios("KEY", poll_interval=wrong)
    assert str(raised.value) == f"{expected}{wrong!r}."


@pytest.mark.parametrize("allowed", [["+49 221 4710 124"], [], {"+49 30 23125000"}])
def test_number_that_is_not_allowed_is_not_called(allowed: Any, server: FakeTenios) -> None:
    transport = httpx.MockTransport(server)
    with Tenios("KEY", CONFIG_ID, transport=transport, allowed_numbers=allowed) as tenios:
        assert tenios.settings.allowed_numbers is not None
        with pytest.raises(
            InvalidArgumentError, match=r"\+492214710123 is not one of .* Nothing was sent"
        ):
            tenios.start_callback(NUMBER)
    assert not server.bodies


def test_empty_variable_of_allowed_numbers_allows_none(
    server: FakeTenios, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list that was emptied by mistake must not allow all numbers."""
    monkeypatch.setenv("TENIOS_ALLOWED_NUMBERS", "")
    with Tenios("KEY", CONFIG_ID, transport=httpx.MockTransport(server)) as tenios:
        assert tenios.settings.allowed_numbers == frozenset()
        with pytest.raises(InvalidArgumentError, match="allowed"):
            tenios.start_callback(NUMBER)
    assert not server.bodies


@pytest.mark.parametrize("allowed", [["DE", "at"], {"DE"}])
def test_number_of_another_country_is_not_called(allowed: Any, server: FakeTenios) -> None:
    transport = httpx.MockTransport(server)
    with Tenios("KEY", CONFIG_ID, transport=transport, allowed_regions=allowed) as tenios:
        tenios.start_callback(NUMBER)
        for number in ("+44 20 7946 0018", "+1 876 523 0123", "+882 16 1234567"):
            with pytest.raises(InvalidArgumentError):
                tenios.start_callback(number)
        with pytest.raises(InvalidArgumentError, match=r"in GG\. The allowed regions are: .*DE"):
            tenios.start_callback("+44 1481 256789")
    assert [body["callback_number"] for body in server.bodies] == [NUMBER]


def test_error_of_a_variable_says_how_to_write_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENIOS_ALLOWED_REGIONS", "DE;AT")
    with pytest.raises(ConfigurationError, match=r"got 'DE;AT'. Separate several with commas\."):
        Tenios("KEY", CONFIG_ID)


def test_empty_variable_of_allowed_regions_allows_none(
    server: FakeTenios, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENIOS_ALLOWED_REGIONS", "")
    with Tenios("KEY", CONFIG_ID, transport=httpx.MockTransport(server)) as tenios:
        assert tenios.settings.allowed_regions == frozenset()
        with pytest.raises(InvalidArgumentError, match="The allowed regions are: none"):
            tenios.start_callback(NUMBER)
    assert not server.bodies


@pytest.mark.parametrize("variable", [None, "", "0", "false"])
def test_special_number_is_not_called_by_default(
    variable: str | None, server: FakeTenios, monkeypatch: pytest.MonkeyPatch
) -> None:
    if variable is not None:
        monkeypatch.setenv("TENIOS_ALLOW_SPECIAL_NUMBERS", variable)
    with Tenios("KEY", CONFIG_ID, transport=httpx.MockTransport(server)) as tenios:
        assert not tenios.settings.allow_special_numbers
        with pytest.raises(
            InvalidArgumentError, match=r"is a premium-rate number.*allow_special_numbers=True"
        ):
            tenios.start_callback("+49 900 1234567")
    assert not server.bodies


@pytest.mark.parametrize(("keyword", "variable"), [(True, "0"), (None, "1")])
def test_special_number_is_called_if_it_is_allowed(
    keyword: bool | None,  # noqa: FBT001 - a parameter of the test
    variable: str,
    server: FakeTenios,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TENIOS_ALLOW_SPECIAL_NUMBERS", variable)
    transport = httpx.MockTransport(server)
    with Tenios("KEY", CONFIG_ID, transport=transport, allow_special_numbers=keyword) as tenios:
        tenios.start_callback("+49 900 1234567")
    assert [body["callback_number"] for body in server.bodies] == ["+499001234567"]


def test_unclear_variable_of_special_numbers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENIOS_ALLOW_SPECIAL_NUMBERS", "maybe")
    with pytest.raises(ConfigurationError, match=r"TENIOS_ALLOW_SPECIAL_NUMBERS must be 1 .* or 0"):
        Tenios("KEY")


def test_key_in_the_place_of_the_number_is_not_shown() -> None:
    key = "12345-secret-part"
    with Tenios(key, CONFIG_ID) as tenios, pytest.raises(InvalidArgumentError) as raised:
        tenios.start_callback(key)
    assert "secret" not in str(raised.value)
    with pytest.raises(ConfigurationError) as refused:
        Tenios(key, allowed_numbers=[key])
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ({"access_key": ""}, "TENIOS_ACCESS_KEY"),
        *(({"access_key": value}, "copied completely") for value in (" KEY", "KEY\n", "K\tEY")),
        *(({"access_key": value}, "quotation marks") for value in ('"KEY"', "'KEY'")),
        ({"access_key": b"KEY"}, "access_key must be a str, got bytes"),
        ({"callback_config_id": ""}, "TENIOS_CALLBACK_CONFIG_ID"),
        ({"callback_config_id": 4711}, "callback_config_id must be a str, got int"),
        *(({"callback_config_id": value}, "copied completely") for value in (" C", "C\n", "C\tD")),
        *(
            ({"timeout": value}, "timeout must be .* greater than 0")
            for value in (0, -1, float("nan"), float("inf"))
        ),
        *(({"timeout": value}, "timeout must be a number") for value in (True, "30", None)),
        *(
            ({"base_url": value}, "base_url must be a URL .* with https:// or")
            for value in (
                "api.tenios.com",
                "https://",
                "https://u:p@h",
                "https://h?q=1",
                "https://h#f",
            )
        ),
        ({"base_url": 80}, "base_url must be a str, got int"),
        ({"allowed_numbers": "+492214710123"}, "or another collection, got str"),
        (
            {"allowed_numbers": ["0221 4710123"]},
            "allowed_numbers: '0221 4710123' has no country code",
        ),
        ({"allowed_numbers": [492214710123]}, "allowed_numbers: A phone number must be a str"),
        ({"allowed_regions": "DE"}, "or another collection, got str"),
        ({"allowed_regions": ["UK"]}, "allowed_regions: region must be .* got 'UK'"),
        ({"allow_special_numbers": 1}, "allow_special_numbers must be True or False, got 1"),
        ({"one_call_per_number": 1}, "one_call_per_number must be True or False, got 1"),
        ({"region": "XX"}, "region must be a two-letter ISO 3166 code such as 'DE', got 'XX'"),
    ],
    ids=repr,
)
def test_wrong_setting_is_refused_when_the_client_is_made(wrong: dict[str, Any], hint: str) -> None:
    with pytest.raises(ConfigurationError, match=hint) as raised:
        Tenios(**{"access_key": "KEY", "callback_config_id": CONFIG_ID, **wrong})
    assert isinstance(raised.value, ValueError)
    assert not isinstance(raised.value, NotPlacedError)


@pytest.mark.parametrize(
    "url",
    [
        "http://api.tenios.com",
        "HTTP://api.tenios.com",
        "http://10.0.0.1",
        "http://localhost.evil.example",
        "ftp://localhost",
    ],
)
def test_plain_http_to_another_machine_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="base_url"):
        Tenios("KEY", base_url=url)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8311",
        "http://127.0.0.2",
        "http://[::1]:80/base/",
        "https://tenios.invalid",
    ],
)
def test_plain_http_to_this_machine_is_allowed(url: str) -> None:
    with Tenios("KEY", base_url=url) as tenios:
        assert tenios.settings.base_url == url.rstrip("/")


def test_error_about_a_missing_access_key_says_where_to_find_it() -> None:
    with pytest.raises(
        ConfigurationError, match=r"access_key=.*TENIOS_ACCESS_KEY.*General Settings, API"
    ):
        Tenios()


def test_missing_callback_config_id_is_an_error_of_the_call(server: FakeTenios) -> None:
    """Without one, a client can still fetch statuses."""
    hint = r"callback_config_id=.*TENIOS_CALLBACK_CONFIG_ID.*Callback Configurations"
    with Tenios("KEY", transport=httpx.MockTransport(server)) as tenios:
        with pytest.raises(InvalidArgumentError, match=hint):
            tenios.start_callback(NUMBER)
        assert not server.bodies
        tenios.start_callback(NUMBER, callback_config_id=CONFIG_ID)
    assert server.bodies[0]["callback_config_id"] == CONFIG_ID


def test_access_key_is_read_from_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: FakeTenios
) -> None:
    path = tmp_path / "key"
    path.write_text("FILE-KEY\n")
    path.chmod(0o600)
    monkeypatch.setenv("TENIOS_ACCESS_KEY_FILE", str(path))
    assert sent_key(server) == "FILE-KEY"
    monkeypatch.setenv("TENIOS_ACCESS_KEY", "VARIABLE-KEY")
    assert sent_key(server) == "VARIABLE-KEY"
    assert sent_key(server, access_key="KEYWORD-KEY") == "KEYWORD-KEY"


def test_empty_access_key_file_is_a_missing_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"\n")
    path.chmod(0o600)
    monkeypatch.setenv("TENIOS_ACCESS_KEY_FILE", str(path))
    with pytest.raises(ConfigurationError, match="access key is missing"):
        Tenios()


@pytest.mark.parametrize(
    ("variables", "hint"),
    [
        ({"HTTPS_PROXY": "ftp://127.0.0.1:1"}, "proxy"),
        ({"HTTPS_PROXY": "http://user:secret@"}, "proxy"),
        ({"HTTPS_PROXY": "http://["}, "proxy"),
        ({"HTTPS_PROXY": "http://proxy:99999999"}, "proxy"),
        ({"SSL_CERT_FILE": "gone.pem"}, "SSL_CERT_FILE"),
        ({"TENIOS_BASE_URL": "https://["}, "base_url"),
        ({"TENIOS_BASE_URL": "https://host:99999"}, "base_url"),
        ({"TENIOS_BASE_URL": "https://a b"}, "base_url"),
        ({"TENIOS_BASE_URL": "https://xn--.invalid"}, "base_url"),
    ],
    ids=repr,
)
def test_wrong_environment_is_reported_when_the_client_is_made(
    variables: dict[str, str], hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=hint) as raised:
        Tenios("KEY")
    assert "secret" not in str(raised.value)


def test_file_of_certificates_that_has_none_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "empty.pem"
    path.write_text("no certificate\n")
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    with pytest.raises(ConfigurationError, match="SSL_CERT_FILE"):
        Tenios("KEY")


@pytest.mark.parametrize(
    "wrong",
    [
        {"timeout": 1e10},
        {"timeout": "30"},
        {"timeout": None},
        {"timeout": True},
        {"event_hooks": []},
        {"event_hooks": 5},
        {"event_hooks": {"answer": []}},
        {"event_hooks": {"request": [5]}},
        {"event_hooks": {"request": 5}},
        {"proxy": 5},
        {"proxy": ""},
        {"poll_interval": "often"},
        {"allowed_numbers": 5},
        {"allowed_numbers": [5]},
        {"allowed_numbers": b"1"},
        {"region": 5},
        {"base_url": 5},
        {"base_url": ["https://tenios.invalid"]},
        {"insecure_hosts": "simulator"},
        {"insecure_hosts": [5]},
    ],
    ids=repr,
)
def test_setting_of_a_wrong_type_is_reported_when_the_client_is_made(
    wrong: dict[str, Any],
) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        Tenios("KEY", **{"base_url": "https://tenios.invalid", **wrong})


@pytest.mark.parametrize("kind", CLIENTS)
def test_transport_of_a_wrong_type_is_reported_when_the_client_is_made(kind: Any) -> None:
    with pytest.raises(ConfigurationError, match="transport"):
        kind("KEY", transport=5)


def test_proxy_for_a_service_on_this_machine_must_be_on_this_machine() -> None:
    """The access key would leave the machine unencrypted."""
    with pytest.raises(ConfigurationError, match="unencrypted"):
        Tenios("KEY", base_url="http://127.0.0.1:1", proxy="http://192.0.2.1:3128")


def test_socks_proxy_without_its_library_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tenios_ext._connections.find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match=r"httpx\[socks\]"):
        Tenios("KEY", proxy="socks5://127.0.0.1:1")
