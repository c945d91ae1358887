"""The results and errors of responses. No response causes an undocumented error."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.clients import MODES, fetch_status, start_callback
from support.faults import FAILURES_AFTER_SENDING, FaultServer, respond_error

from tenios_ext import (
    BadCredentialsError,
    CallbackStatus,
    NotSentError,
    OutcomeUnknownError,
    RejectedError,
    StatusUnavailableError,
    TeniosError,
)
from tenios_ext._settings import SERVICE
from tenios_simulator import VirtualClock

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
FIELDS = ["id", "status", "error_code", "error_message", "fields"]
HEADERS = st.dictionaries(
    st.sampled_from(
        ["Content-Type", "Content-Encoding", "Retry-After", "Date", "Location", "Set-Cookie", "X"]
    ),
    st.sampled_from(
        [
            "",
            "0",
            "gzip",
            "br",
            "application/json",
            "text/html; charset=nonsense",
            "::::",
            "5",
            "//",
            "a=b",
        ]
    ),
)
RESPONSES = st.tuples(
    st.sampled_from([200, 200, 200, 400, 403, 429, 500, 520]) | st.integers(100, 999),
    HEADERS,
    st.binary()
    | st.builds(
        lambda document: httpx.Response(200, json=document).content,
        JSON | st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, JSON)),
    ),
)


class RawBody(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that httpx does not decode early."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __iter__(self) -> Any:
        yield self._content

    async def __aiter__(self) -> Any:
        yield self._content


def sending(status: int, headers: dict[str, str], content: bytes) -> httpx.MockTransport:
    return httpx.MockTransport(
        lambda _: httpx.Response(status, headers=headers, stream=RawBody(content))
    )


def sending_json(status: int, document: Any) -> httpx.MockTransport:
    return sending(status, {}, httpx.Response(200, json=document).content)


@pytest.mark.parametrize("mode", ["sync", "async"])
@given(response=RESPONSES)
def test_any_response_to_an_init_request_is_a_callback_or_a_documented_error(
    mode: str, response: Any
) -> None:
    result: Any
    try:
        result = start_callback(mode, access_key="KEY", transport=sending(*response))
    except TeniosError as error:
        result = error
    status = response[0]
    if isinstance(result, RejectedError):
        assert status in {400, 401, 403, 404, 405, 413, 415, 422, 429}
        assert isinstance(result, BadCredentialsError) >= (status in {401, 403})
    elif isinstance(result, TeniosError):
        assert type(result) is OutcomeUnknownError
    else:
        assert status == 200
        assert result.id >= 0
    if isinstance(result, TeniosError):
        assert result.http_status == status


@pytest.mark.parametrize("mode", ["sync", "async"])
@given(response=RESPONSES)
def test_any_response_to_a_status_request_is_a_status_or_status_unavailable(
    mode: str, response: Any
) -> None:
    result: Any
    try:
        result = fetch_status(
            mode, access_key="KEY", transport=sending(*response), clock=VirtualClock()
        )
    except StatusUnavailableError as error:
        result = error
    if isinstance(result, StatusUnavailableError):
        assert result.http_status == response[0]
    else:
        assert response[0] == 200
        assert isinstance(result, CallbackStatus)
        assert result


@pytest.mark.parametrize(
    ("value", "callback_id"),
    [
        (0, 0),
        (10, 10),
        ("0", 0),
        ("10", 10),
        (10.0, 10),
        (2.0**53 - 1, 2**53 - 1),
        (2**63 - 1, 2**63 - 1),
        ("9" * 19, 10**19 - 1),
    ],
)
def test_id_in_the_response_may_be_a_number_or_its_digits(value: object, callback_id: int) -> None:
    transport = sending_json(200, {"id": value})
    assert start_callback("sync", access_key="KEY", transport=transport).id == callback_id


@pytest.mark.parametrize(
    "value", ["9" * 20, "+1", " 1", "010", "00", "\u0661", "1.0", 1.5, -1.0, 2.0**53, 1e300, False]
)
def test_outcome_is_unknown_if_the_response_has_no_usable_id(value: object) -> None:
    with pytest.raises(OutcomeUnknownError, match="The response has no valid callback id"):
        start_callback("sync", access_key="KEY", transport=sending_json(200, {"id": value}))


@pytest.mark.parametrize("status", [*CallbackStatus, "ON_HOLD"])
def test_status_is_returned_also_if_it_is_unknown(status: str) -> None:
    fetched = fetch_status(
        "sync", access_key="KEY", transport=sending_json(200, {"status": status})
    )
    assert fetched == status
    assert isinstance(fetched, CallbackStatus)


@pytest.mark.parametrize(
    "document", [{}, {"status": ""}, {"status": None}, {"id": 10}, ["CONNECTED"], "CONNECTED"]
)
def test_status_is_unavailable_if_the_response_has_none(document: Any) -> None:
    with pytest.raises(StatusUnavailableError):
        fetch_status(
            "sync", access_key="KEY", transport=sending_json(200, document), clock=VirtualClock()
        )


@pytest.mark.parametrize(
    ("http_status", "code", "refused"),
    [
        (400, "BAD_CREDENTIALS", True),
        (400, "OTHER", False),
        (401, "OTHER", True),
        (403, None, True),
        (404, "BAD_CREDENTIALS", False),
        (500, "BAD_CREDENTIALS", False),
    ],
)
def test_refused_credentials_are_known_by_status_and_code(
    http_status: int, code: str | None, *, refused: bool
) -> None:
    transport = sending_json(http_status, {"error_code": code, "error_message": "Some text"})
    with pytest.raises(TeniosError) as raised:
        start_callback("sync", access_key="KEY", transport=transport)
    assert isinstance(raised.value, BadCredentialsError) == refused
    with pytest.raises(StatusUnavailableError) as unavailable:
        fetch_status("sync", access_key="KEY", transport=transport, clock=VirtualClock())
    assert unavailable.value.credentials_refused == refused


@pytest.mark.parametrize("call", [start_callback, fetch_status])
def test_error_has_the_documented_fields_of_the_response(call: Any) -> None:
    document = {
        "error_code": "INVALID_VALUE",
        "error_message": "Wrong",
        "fields": ["id", 1, "delay"],
        "extra": True,
    }
    with pytest.raises(
        TeniosError, match=r"\(HTTP 400: INVALID_VALUE: Wrong: id, delay\)"
    ) as raised:
        call("sync", access_key="KEY", transport=sending_json(400, document))
    error = raised.value
    assert (error.http_status, error.error_code, error.error_message) == (
        400,
        "INVALID_VALUE",
        "Wrong",
    )
    assert (error.fields, error.retry_after, error.reason) == (("id", "delay"), None, None)


@pytest.mark.parametrize(
    "document",
    [
        [],
        "text",
        None,
        {"error_code": 1, "error_message": [], "fields": "delay"},
        {"fields": {"delay": 1}},
    ],
)
def test_error_leaves_out_what_is_not_in_the_documented_form(document: Any) -> None:
    with pytest.raises(RejectedError, match=r"\(HTTP 422\)") as raised:
        start_callback("sync", access_key="KEY", transport=sending_json(422, document))
    error = raised.value
    assert (error.error_code, error.error_message, error.fields) == (None, None, ())


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": " 7 "}, 7),
        ({"Retry-After": "0"}, 0),
        ({"Retry-After": "7.5"}, None),
        ({"Retry-After": "-7"}, None),
        (
            {
                "Retry-After": "Mon, 01 Jan 2024 00:00:20 GMT",
                "Date": "Mon, 01 Jan 2024 00:00:00 GMT",
            },
            20,
        ),
        (
            {
                "Retry-After": "Mon, 01 Jan 2024 00:00:00 GMT",
                "Date": "Mon, 01 Jan 2024 00:00:20 GMT",
            },
            0,
        ),
        ({"Retry-After": "Mon, 01 Jan 2024 00:00:20 GMT"}, 0),
        ({"Retry-After": "Mon, 01 Jan 2024 00:00:20 GMT", "Date": "now"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_in_seconds(headers: dict[str, str], seconds: float | None) -> None:
    with pytest.raises(RejectedError) as raised:
        start_callback("sync", access_key="KEY", transport=sending(429, headers, b""))
    assert raised.value.retry_after == seconds


def test_retry_after_without_a_date_is_relative_to_the_clock() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(days=1))
    with pytest.raises(RejectedError) as raised:
        start_callback(
            "sync", access_key="KEY", transport=sending(429, {"Retry-After": later}, b"")
        )
    assert raised.value.retry_after == pytest.approx(86_400, abs=3600)


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (b'{"id": 10, "error_code": "INVALID_VALUE', {}),
        (b'[{"id": 10}]', {}),
        (b'{"id": 10}{"id": 10}', {}),
        (b'{"id": 10, "x": %s}' % (b"9" * 9000), {}),
        (b'{"id": 10, "x": %s}' % (b"[" * 50_000), {}),
        (gzip.compress(b'{"id": 10}')[:-9], {"Content-Encoding": "gzip"}),
        (gzip.compress(b'{"id": 10, "x": "%s"}' % bytes(2 << 20)), {"Content-Encoding": "gzip"}),
    ],
    ids=["cut", "in a list", "two", "large number", "deep", "gzip cut", "gzip too long"],
)
def test_rejection_that_may_have_an_id_is_unknown(content: bytes, headers: dict[str, str]) -> None:
    with pytest.raises(OutcomeUnknownError) as raised:
        start_callback("sync", access_key="KEY", transport=sending(400, headers, content))
    assert raised.value.http_status == 400


def test_long_text_of_the_server_is_shortened_most_in_the_message() -> None:
    text = "x" * 10_000
    with pytest.raises(RejectedError) as raised:
        start_callback(
            "sync", access_key="KEY", transport=sending_json(400, {"error_message": text})
        )
    assert raised.value.error_message == text[:2000] + "\u2026"
    assert len(str(raised.value)) < 300
    assert "xxx\u2026)" in str(raised.value)


@pytest.mark.parametrize("mode", MODES)
def test_error_has_what_the_response_says(mode: str) -> None:
    [case] = [case for case in FAILURES_AFTER_SENDING if case.name == "429"]
    with FaultServer(case.fault) as server, pytest.raises(case.expected) as raised:
        start_callback(mode, access_key="KEY", base_url=server.url)
    error = raised.value
    assert (error.http_status, error.error_code, error.error_message) == (429, "X", "Some text")
    assert (error.fields, error.retry_after, error.reason) == (("delay",), 7.0, None)
    assert "429" in str(error)
    assert "Some text" in str(error)


def test_refused_credentials_are_explained_without_the_key() -> None:
    hint = r"access key or the callback config id is wrong.*General Settings, API"
    with (
        FaultServer(respond_error("400 Bad Request", "BAD_CREDENTIALS")) as server,
        pytest.raises(BadCredentialsError, match=hint),
    ):
        start_callback("sync", access_key="KEY", base_url=server.url)


@pytest.mark.parametrize("call", [start_callback, fetch_status])
def test_error_names_the_base_url_unless_it_is_that_of_tenios(call: Any) -> None:
    transport = sending_json(404, {"error_code": "NOT_FOUND"})
    for url, server in ((SERVICE, "TENIOS"), ("http://localhost/foo", "http://localhost/foo")):
        with pytest.raises(TeniosError, match=f"^{server} (rejected|did not return) the "):
            call("sync", access_key="KEY", base_url=url, transport=transport)


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("http://127.0.0.1:9", "Is `tenios simulate` running?"),
        ("https://tenios.invalid", "Call again later."),
    ],
)
def test_error_of_a_connection_says_where_and_what_to_do(url: str, advice: str) -> None:
    with pytest.raises(NotSentError) as raised:
        start_callback("sync", access_key="KEY", base_url=url)
    assert str(raised.value).startswith(f"Could not connect to {url}, so nothing was sent (")
    assert str(raised.value).endswith(advice)
    with pytest.raises(StatusUnavailableError, match=f"not be fetched from {url} "):
        fetch_status("sync", access_key="KEY", base_url=url, clock=VirtualClock())
