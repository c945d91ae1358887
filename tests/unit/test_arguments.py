"""Settings and arguments: what is taken, what is refused before anything is sent."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from support.dialling import CONFIG_ID, NUMBER

from tenios_ext import AsyncTenios, CallbackHandle, InvalidRequestError, NotPlacedError, Tenios

if TYPE_CHECKING:
    from pathlib import Path


class Service:
    """Records the bodies that it is sent."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.urls: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Take the request."""
        self.urls.append(str(request.url))
        self.bodies.append(json.loads(request.content))
        return httpx.Response(200, json={"id": 10})


@pytest.fixture
def service() -> Service:
    return Service()


def client(service: Service, **settings: Any) -> Tenios:
    return Tenios(
        **{"access_key": "KEY", "callback_config_id": CONFIG_ID, **settings}, transport=httpx.MockTransport(service)
    )


def test_only_what_was_given_is_sent(service: Service) -> None:
    """Without the optional arguments their fields are absent."""
    with client(service) as tenios:
        tenios.start_callback("+49 221 4710 123")
    assert service.bodies == [
        {"access_key": "KEY", "callback_config_id": CONFIG_ID, "callback_number": NUMBER, "delay": 0},
    ]
    assert service.urls == ["https://api.tenios.com/callback/init"]


def test_everything_that_was_given_is_sent(service: Service) -> None:
    """Each argument arrives in its field; the config id of the call wins over the client's."""
    with client(service, region="DE") as tenios:
        callback = tenios.start_callback(
            "(0221) 4710-123",
            delay=timedelta(minutes=1),
            agent_announcement="Order 4711",
            dtmf_key="#",
            callback_config_id="OTHER",
        )
    assert service.bodies == [
        {
            "access_key": "KEY",
            "callback_config_id": "OTHER",
            "callback_number": NUMBER,
            "delay": 60,
            "agent_announcement": "Order 4711",
            "dtmf_key_to_trigger_customer_call": "#",
        },
    ]
    assert callback.handle.delay == 60


def test_settings_come_from_the_environment(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not given by keyword is taken from TENIOS_… variables."""
    for name, value in {
        "ACCESS_KEY": "ENV-KEY",
        "CALLBACK_CONFIG_ID": "ENV-CONFIG",
        "BASE_URL": "https://tenios.invalid/base/",
        "REGION": "DE",
        "ALLOWED_NUMBERS": "0221 4710123, +49 30 23125 000,",
    }.items():
        monkeypatch.setenv(f"TENIOS_{name}", value)
    with Tenios(transport=httpx.MockTransport(service)) as tenios:
        tenios.start_callback("0221 4710 123")
        tenios.start_callback("030 23125000")
        with pytest.raises(InvalidRequestError, match="not among the allowed numbers"):
            tenios.start_callback("030 23125001")
    assert [body["callback_number"] for body in service.bodies] == [NUMBER, "+493023125000"]
    assert {body["access_key"] for body in service.bodies} == {"ENV-KEY"}
    assert {body["callback_config_id"] for body in service.bodies} == {"ENV-CONFIG"}
    assert service.urls[0] == "https://tenios.invalid/base/callback/init"


def test_keyword_wins_over_the_environment(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """A keyword is nearer than the environment."""
    monkeypatch.setenv("TENIOS_ACCESS_KEY", "ENV-KEY")
    with client(service, access_key="KEY") as tenios:
        tenios.start_callback(NUMBER)
    assert service.bodies[0]["access_key"] == "KEY"


@pytest.mark.parametrize("allowed", [["+49 221 4710 124"], [], {"+49 30 23125000"}])
def test_number_that_is_not_allowed_is_not_called(allowed: Any, service: Service) -> None:
    """A staging system with a list of its own telephones cannot ring strangers; an empty list allows nobody."""
    with (
        client(service, allowed_numbers=allowed) as tenios,
        pytest.raises(InvalidRequestError, match="nobody was called"),
    ):
        tenios.start_callback(NUMBER)
    assert not service.bodies


def test_empty_variable_of_allowed_numbers_allows_nobody(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that was emptied by mistake does not open the door to everybody."""
    monkeypatch.setenv("TENIOS_ALLOWED_NUMBERS", "")
    with client(service) as tenios, pytest.raises(InvalidRequestError, match="allowed"):
        tenios.start_callback(NUMBER)
    assert not service.bodies


@pytest.mark.parametrize(
    "wrong",
    [
        *({"delay": value} for value in (-1, 0.5, 2**31, float("nan"), float("inf"), True, "30", None)),
        *({"delay": timedelta(seconds=value)} for value in (-1, 0.5)),
        *({"dtmf_key": value} for value in ("", "12", "A", "１")),  # noqa: RUF001 - a digit of another script
        *({"agent_announcement": value} for value in ("", "  \n")),
        {"callback_config_id": ""},
    ],
    ids=repr,
)
def test_wrong_argument_is_refused_before_anything_is_sent(wrong: dict[str, Any], service: Service) -> None:
    """It is an InvalidRequestError, a ValueError and a NotPlacedError, and nothing was sent."""
    with client(service) as tenios, pytest.raises(InvalidRequestError) as raised:
        tenios.start_callback(NUMBER, **wrong)
    assert isinstance(raised.value, ValueError)
    assert isinstance(raised.value, NotPlacedError)

    async def run() -> None:
        transport = httpx.MockTransport(service)
        async with AsyncTenios("KEY", CONFIG_ID, transport=transport) as tenios:
            with pytest.raises(InvalidRequestError):
                await tenios.start_callback(NUMBER, **wrong)

    asyncio.run(run())
    assert not service.bodies


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ({"access_key": ""}, "TENIOS_ACCESS_KEY"),
        ({"access_key": " KEY"}, "copied whole"),
        ({"access_key": b"KEY"}, "is text, not bytes"),
        ({"callback_config_id": 4711}, "is text, not int"),
        ({"callback_config_id": "C\n"}, "copied whole"),
        *(({"timeout": value}, "timeout") for value in (0, -1, float("nan"), float("inf"))),
        *(
            ({"base_url": value}, "base_url")
            for value in ("api.tenios.com", "https://", "https://u:p@h", "https://h?q=1")
        ),
        ({"allowed_numbers": "+492214710123"}, "collection"),
        ({"allowed_numbers": ["0221 4710123"]}, "names no country"),
        ({"region": "XX"}, "region"),
    ],
    ids=repr,
)
def test_wrong_setting_is_refused_when_the_client_is_made(wrong: dict[str, Any], hint: str, service: Service) -> None:
    """Who configures wrongly learns it at the start of the program, not at the first customer."""
    with pytest.raises(InvalidRequestError, match=hint):
        client(service, **wrong)


def test_missing_settings_say_where_they_are_found(service: Service) -> None:
    """The errors name the keyword, the variable and the page of the portal."""
    with pytest.raises(InvalidRequestError, match=r"access_key=.*TENIOS_ACCESS_KEY.*General Settings, API"):
        Tenios()
    with (
        Tenios("KEY", transport=httpx.MockTransport(service)) as tenios,
        pytest.raises(
            InvalidRequestError, match=r"callback_config_id=.*TENIOS_CALLBACK_CONFIG_ID.*Callback Configurations"
        ),
    ):
        tenios.start_callback(NUMBER)
    assert not service.bodies


@pytest.mark.parametrize("wrong", ["10", 1.5, -1, None, True])
def test_wrong_id_is_refused(wrong: Any, service: Service) -> None:
    """A callback is named by a number or a handle."""
    with client(service) as tenios, pytest.raises(InvalidRequestError, match="id"):
        tenios.callback(wrong)


def test_handle_survives_json() -> None:
    """What another process reads is what was written."""
    handle = CallbackHandle(10, delay=30, started_at=1_700_000_000.25)
    assert CallbackHandle.from_json(handle.to_json()) == handle
    assert CallbackHandle.from_json(handle.to_json().encode()) == handle


@pytest.mark.parametrize(
    "text",
    [
        "",
        "10",
        "[]",
        "{}",
        '{"id": 10}',
        '{"id": "10", "started_at": 0}',
        '{"id": 10, "started_at": NaN}',
        '{"id": -1, "started_at": 0}',
    ],
)
def test_text_that_is_no_handle_is_refused(text: str) -> None:
    """Anything else is a ValueError that says what was expected."""
    with pytest.raises(ValueError, match="handle"):
        CallbackHandle.from_json(text)


def test_access_key_may_come_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file's text is the key, without the line's end; the variable goes before it, and the keyword before both."""
    path = tmp_path / "key"
    path.write_text("FILE-KEY\n")
    path.chmod(0o600)
    monkeypatch.setenv("TENIOS_ACCESS_KEY_FILE", str(path))
    with Tenios() as tenios:
        assert str.__str__(tenios._settings.access_key) == "FILE-KEY"
    monkeypatch.setenv("TENIOS_ACCESS_KEY", "VARIABLE-KEY")
    with Tenios() as tenios:
        assert str.__str__(tenios._settings.access_key) == "VARIABLE-KEY"
    with Tenios("KEYWORD-KEY") as tenios:
        assert str.__str__(tenios._settings.access_key) == "KEYWORD-KEY"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_access_key_that_others_can_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int) -> None:
    """The error says how to mend it, and does not show what is in the file; nor does one about a file that cannot be read."""
    path = tmp_path / "key"
    path.write_bytes(b"FILE-KEY")
    path.chmod(mode)
    monkeypatch.setenv("TENIOS_ACCESS_KEY_FILE", str(path))
    with pytest.raises(InvalidRequestError, match="chmod 600") as caught:
        Tenios()
    assert "FILE-KEY" not in str(caught.value)
    path.write_bytes(b"FILE-KEY \xff")
    path.chmod(0o600)
    with pytest.raises(InvalidRequestError, match="cannot be read") as caught:
        Tenios()
    assert "FILE-KEY" not in str(caught.value)
    assert caught.value.__context__ is None
    path.write_bytes(b"\n")
    with pytest.raises(InvalidRequestError, match="no access key"):
        Tenios()
