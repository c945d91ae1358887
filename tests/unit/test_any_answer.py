"""Whatever comes back, only errors of this package come out."""

from __future__ import annotations

from typing import Any

import httpx
from hypothesis import given
from hypothesis import strategies as st
from support.dialling import ask, dial

from tenios_ext import (
    BadCredentialsError,
    CallbackStatus,
    NotSentError,
    OutcomeUnknownError,
    RejectedError,
    StatusUnavailableError,
)
from tenios_ext.simulator import VirtualClock

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
FIELDS = ["id", "status", "error_code", "error_message", "fields"]
HEADERS = st.dictionaries(
    st.sampled_from(["Content-Type", "Content-Encoding", "Retry-After", "Date", "Location", "Set-Cookie", "X"]),
    st.sampled_from(
        ["", "0", "gzip", "br", "application/json", "text/html; charset=nonsense", "::::", "5", "//", "a=b"]
    ),
)
ANSWERS = st.builds(
    lambda status, headers, content: (status, headers, content),
    st.sampled_from([200, 200, 200, 400, 403, 429, 500, 520]) | st.integers(100, 999),
    HEADERS,
    st.binary()
    | st.builds(
        lambda document: httpx.Response(200, json=document).content,
        JSON | st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, JSON)),
    ),
)


def transport(answer: tuple[int, dict[str, str], bytes]) -> httpx.MockTransport:
    status, headers, content = answer

    class Raw(httpx.SyncByteStream, httpx.AsyncByteStream):
        """Bytes as they are, not decoded by whom they pass."""

        def __iter__(self) -> Any:
            yield content

        async def __aiter__(self) -> Any:
            yield content

    return httpx.MockTransport(lambda _: httpx.Response(status, headers=headers, stream=Raw()))


def check_dial(mode: str, answer: tuple[int, dict[str, str], bytes]) -> None:
    try:
        callback = dial(mode, access_key="KEY", transport=transport(answer))
    except NotSentError:
        raise AssertionError("something was sent") from None
    except (BadCredentialsError, RejectedError) as error:
        assert error.http_status in {400, 401, 403, 404, 405, 413, 415, 422, 429}  # noqa: PT017 - one of three ways to end
    except OutcomeUnknownError as error:
        assert error.http_status == answer[0]  # noqa: PT017 - one of three ways to end
    else:
        assert answer[0] == 200
        assert callback.id >= 0


def check_question(mode: str, answer: tuple[int, dict[str, str], bytes]) -> None:
    try:
        status = ask(mode, access_key="KEY", transport=transport(answer), clock=VirtualClock())
    except StatusUnavailableError:
        return
    assert answer[0] == 200
    assert isinstance(status, CallbackStatus)
    assert status


@given(ANSWERS)
def test_any_answer_to_a_dial_is_a_callback_or_an_error(answer: Any) -> None:
    """Any status, headers and body: a callback with an id, or one of the documented errors."""
    check_dial("sync", answer)


@given(ANSWERS)
def test_any_answer_to_a_dial_over_asyncio(answer: Any) -> None:
    """The same over asyncio."""
    check_dial("async", answer)


@given(ANSWERS)
def test_any_answer_to_a_question_is_a_status_or_an_error(answer: Any) -> None:
    """Any status, headers and body: a status, or StatusUnavailableError."""
    check_question("sync", answer)


@given(ANSWERS)
def test_any_answer_to_a_question_over_asyncio(answer: Any) -> None:
    """The same over asyncio."""
    check_question("async", answer)
