"""`tenios` at a terminal: the live picture, the question before real phones ring, and Ctrl-C."""

from __future__ import annotations

from cli.command import terminal


def test_call_draws_both_phones_in_color(simulator: dict[str, str]) -> None:
    code, drawn = terminal("call", "+49 30 23125 203", "--yes", settings=simulator)
    assert code == 4
    assert "\x1b[33mphone is ringing" in drawn
    assert "answered" in drawn
    assert "\x1b[31mcould not be reached" in drawn
    assert drawn.endswith("The customer could not be reached.\r\n")


def test_call_draws_without_color_if_no_color_is_set(simulator: dict[str, str]) -> None:
    code, drawn = terminal(
        "call", "+49 30 23125 101", "--yes", settings={**simulator, "NO_COLOR": "1"}
    )
    assert code == 3
    assert "Agent     could not be reached" in drawn
    assert "\x1b[31m" not in drawn


def test_call_asks_before_real_phones_ring(simulator: dict[str, str]) -> None:
    # A name that can never exist, so that no one is called after a yes either.
    real = {**simulator, "TENIOS_BASE_URL": "https://tenios.invalid"}
    arguments = ("call", "030 23125 100", "--region", "DE")
    code, drawn = terminal(*arguments, typed={"Continue?": "n\n"}, settings=real)
    assert code == 1
    assert "your agent's, then +49 30 23125100 (Germany). Continue?" in drawn
    assert "NotSentError" not in drawn
    code, drawn = terminal(*arguments, typed={"Continue?": "y\n"}, settings=real)
    assert code == 5
    assert "NotSentError" in drawn
    code, drawn = terminal(*arguments, "--yes", settings=real)
    assert code == 5
    assert "Continue?" not in drawn


def test_call_does_not_ask_before_it_calls_on_the_simulator(simulator: dict[str, str]) -> None:
    code, drawn = terminal("call", "+49 30 23125 101", settings=simulator)
    assert code == 3
    assert "Continue?" not in drawn


def test_ctrl_c_at_the_question_ends_the_command_with_130() -> None:
    settings = {
        "TENIOS_ACCESS_KEY": "KEY",
        "TENIOS_CALLBACK_CONFIG_ID": "CONFIG",
        "TENIOS_BASE_URL": "https://tenios.invalid",
    }
    # The newline wakes readline if the signal has come just before it began to wait.
    code, drawn = terminal(
        "call", "+493023125100", typed={"Continue?": "\x03\n"}, settings=settings
    )
    assert code == 130
    assert drawn.endswith("Interrupted.\r\n")


def test_ctrl_c_leaves_the_callback_running_and_says_how_to_watch_it(
    simulator: dict[str, str],
) -> None:
    typed = {"phone is ringing": "\x03"}
    code, drawn = terminal("call", "+49 30 23125 300", "--yes", typed=typed, settings=simulator)
    assert code == 130
    assert "tenios watch 10\r\n" in drawn
    assert "Traceback" not in drawn
    code, drawn = terminal("watch", "10", typed={"CALLING_A": "\x03"}, settings=simulator)
    assert code == 130
    assert "tenios watch 10\r\n" in drawn
    assert "Traceback" not in drawn


def test_ctrl_c_hint_names_the_simulator(simulator: dict[str, str]) -> None:
    """Without it, the command would watch another callback, of TENIOS, that has the same id."""
    url = simulator["TENIOS_BASE_URL"]
    typed = {"phone is ringing": "\x03"}
    code, drawn = terminal("call", "+493023125300", "--yes", "--simulator", url, typed=typed)
    assert code == 130
    assert f"tenios watch 10 --simulator {url}" in drawn


def test_ctrl_c_ends_a_simulator_in_the_same_process() -> None:
    code, drawn = terminal(
        "call", "+493023125300", "--simulator", typed={"phone is ringing": "\x03"}
    )
    assert code == 130
    assert "The simulator ends with this command" in drawn
    assert "tenios watch" not in drawn
