from __future__ import annotations

import io
import os
import signal

import pytest

import tenios_ext
from tenios_cli._errors import _CODES, code_of_error
from tenios_cli._masking import Mask
from tenios_cli._output import describe_status, one_line, print_json
from tenios_cli._run import Run
from tenios_cli._streams import SafeStream, escape_controls
from tenios_ext import CallbackStatus

KEY = "0a1b2c3d-4e5f-6071"


def written(text: str, key: str = KEY) -> str:
    target = io.StringIO()
    SafeStream(target, mask=Mask(key)).write(text)
    return target.getvalue()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"{KEY}", "***"),
        (f"a{KEY}b{KEY}", "a***b***"),
        (f"the end {KEY[4:]}", "the end ***"),
        (f"the last eight {KEY[-8:]}", "the last eight ***"),
        (f"fewer {KEY[-7:]}", f"fewer {KEY[-7:]}"),
        (f"x{KEY[4:]}{KEY}", "x******"),
        ("nothing", "nothing"),
    ],
)
def test_key_and_its_end_are_masked(text: str, shown: str) -> None:
    assert written(text) == shown


def test_key_of_eight_characters_is_masked() -> None:
    assert written("a12345678b", "12345678") == "a***b"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31m\a\x7f\t\r", r"\x1b[31m\x07\x7f\t\r"),
        ("\x9b\x85", r"\x9b\x85"),
        ("\u202e\u2028\u200b\ufeff", r"\u202e\u2028\u200b\ufeff"),
        ("\ud83d", r"\ud83d"),
        ("Grüße …\u00a0\u3000😀", "Grüße …\u00a0\u3000😀"),
        ("two\nlines", "two\nlines"),
    ],
)
def test_controls_are_escaped(text: str, shown: str) -> None:
    assert written(text) == shown
    assert escape_controls(text) == shown.replace("\n", "\\n")


def test_json_is_printable_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"text": "Grüße\x7f\x1b\x9b\u2028😀\ud83d"})
    printed = capsys.readouterr().out
    assert (
        printed == r'{"text": "Gr\u00fc\u00dfe\u007f\u001b\u009b\u2028\ud83d\ude00\ud83d"}' + "\n"
    )


def test_status_is_one_line_of_bounded_length() -> None:
    assert describe_status(CallbackStatus("A\nB\x1b")).startswith(
        r"A\nB\x1b: unknown to this version"
    )
    assert len(one_line("X" * 100_000)) == 1003


def test_bytes_are_refused_so_that_click_writes_text() -> None:
    with pytest.raises(TypeError, match="not bytes"):
        SafeStream(io.StringIO()).write(b"")  # type: ignore[arg-type] # as click does


def test_error_after_a_start_never_means_that_no_callback_was_started(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail() -> None:
        raise tenios_ext.ConfigurationError("A setting is wrong.")

    run = Run()
    assert run.guard(fail) == 5
    run.started(10)
    assert run.guard(fail) == 1
    assert capsys.readouterr().err.endswith(
        "Callback 10 was started. Follow it with: tenios watch 10\n"
    )


def test_each_documented_error_has_the_exit_code_of_its_branch() -> None:
    for name in _CODES:
        assert issubclass(getattr(tenios_ext, name), tenios_ext.TeniosError)
    assert code_of_error(tenios_ext.BadCredentialsError("")) == 5
    assert code_of_error(ValueError()) is None


def test_signal_ends_a_write_that_nobody_reads() -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as file:
        stream = SafeStream(file)
        before = signal.signal(signal.SIGALRM, lambda *_: stream.unblock())
        signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
        try:
            stream.write("x" * 1_000_000)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
            os.close(reader)
    assert isinstance(stream.failure, InterruptedError)
