"""`tenios` at a terminal: live picture, confirmation and Ctrl-C."""

from __future__ import annotations

from cli.command import NUMBER, screen, server_of, settings_of, terminal

REAL = {
    "TENIOS_ACCESS_KEY": "KEY",
    "TENIOS_CALLBACK_CONFIG_ID": "CONFIG",
    # A name that cannot exist, so that nobody is called even after a yes.
    "TENIOS_BASE_URL": "https://tenios.invalid",
}


def test_call_draws_both_phones_in_color(simulator: dict[str, str]) -> None:
    code, drawn = screen("call", "+49 30 23125 203", settings=simulator)
    assert code == 4
    assert "Agent     answered" in drawn
    assert "Customer  \x1b[31mcould not be reached" in drawn
    assert drawn.endswith("The customer could not be reached.\n")


def test_call_draws_without_color_if_no_color_is_set(simulator: dict[str, str]) -> None:
    code, drawn = screen("call", "+49 30 23125 101", settings={**simulator, "NO_COLOR": "1"})
    assert code == 3
    assert "Agent     could not be reached" in drawn
    assert "\x1b[31m" not in drawn


def test_call_asks_before_real_phones_ring() -> None:
    arguments = ("call", "030 23125 100", "--region", "DE")
    code, drawn = screen(*arguments, typed="n\n", settings=REAL)
    assert code == 1
    assert "your agent's, then +49 30 23125100 (Germany). Continue?" in drawn
    assert "NotSentError" not in drawn
    code, drawn = screen(*arguments, typed="y\n", settings=REAL)
    assert code == 5
    assert "NotSentError" in drawn
    code, drawn = screen(*arguments, "--yes", settings=REAL)
    assert code == 5
    assert "Continue?" not in drawn


def test_call_does_not_ask_before_it_calls_on_the_simulator(simulator: dict[str, str]) -> None:
    code, drawn = screen("call", "+49 30 23125 101", settings=simulator)
    assert code == 3
    assert "Continue?" not in drawn


def test_ctrl_c_at_the_question_ends_the_command_with_130() -> None:
    # The newline wakes readline if the signal arrives just before it waits.
    code, drawn = terminal("call", NUMBER, typed={"Continue?": "\x03\n"}, settings=REAL)
    assert code == 130
    assert drawn.endswith("Interrupted.\r\n")


def test_ctrl_c_leaves_the_callback_running_and_says_how_to_follow_it() -> None:
    with server_of("CALLING_A") as server:
        settings = settings_of(server)
        code, drawn = terminal(
            "call", NUMBER, typed={"\x1b[33mphone is ringing": "\x03"}, settings=settings
        )
        assert code == 130
        assert "tenios watch 10\r\n" in drawn
        assert "Traceback" not in drawn
        code, drawn = terminal("watch", "10", typed={"CALLING_A": "\x03"}, settings=settings)
        assert code == 130
        assert "tenios watch 10\r\n" in drawn
        assert "Traceback" not in drawn


def test_ctrl_c_ends_a_simulator_in_the_same_process() -> None:
    code, drawn = terminal("call", NUMBER, "--simulator", typed={"Agent": "\x03"})
    assert code == 130
    assert "The simulator and its callbacks end with this command" in drawn
    assert "tenios watch" not in drawn
