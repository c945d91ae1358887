"""One run of the command: its streams, signals, callbacks and exit code."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from contextlib import ExitStack, redirect_stderr, redirect_stdout, suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from ._errors import add_place, code_of_error
from ._exit_codes import ExitCode
from ._options import IN_PROCESS
from ._streams import SafeStream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType

    from ._output import Output

_PHONES_MAY_RING = (
    "Phones may be ringing. Do not call again before you have asked the agent or the customer."
)
SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]


class Run:
    """
    The state of a running command, which gets it with ``click.pass_obj``.

    Attributes:
        stdout: Replaces sys.stdout.
        stderr: Replaces sys.stderr.
        output: Prints errors; None to print lines.
        simulator: The value of ``--simulator``; None for TENIOS.
        as_json: The value of ``--json``.
        callback_ids: The callbacks that the command has started or follows.
        is_calling: Whether a callback with an unknown id may have been started.
    """

    def __init__(self) -> None:
        mask = _load_mask()
        self.stdout = SafeStream(sys.stdout, mask=mask, on_failure=self._report_lost_output)
        self.stderr = SafeStream(sys.stderr, mask=mask)
        self.output: Output | None = None
        self.simulator: str | None = None
        self.as_json = False
        self.callback_ids: Sequence[int] = ()
        self.is_calling = False
        self._has_started_one = False
        self._signal = signal.SIGINT

    def execute(self, main: Callable[[], Any]) -> int:
        """Return the exit code of *main*, also if it raises."""
        with redirect_stdout(self.stdout), redirect_stderr(self.stderr), self._handling_signals():
            result = self.guard(main)
        if isinstance(result, ExitCode):
            return result
        return result or (ExitCode.OK if self.stdout.failure is None else ExitCode.FAILED)

    def guard(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """
        Return the result of *function*, or print its error and return the exit code.

        Used for each command and again for the whole program, because a second signal may interrupt
        the report of the first.
        """
        try:
            return function(*arguments)
        except click.exceptions.Exit as end:
            return end.exit_code
        except BaseException as error:  # noqa: BLE001 - a traceback would hide the id of the callback
            return self._report(error)

    def say(self, text: str, /, **fields: Any) -> None:
        """Print *text*, or *fields* with ``--json``."""
        if self.as_json:
            import_module("._output", __package__).print_json(fields)
        else:
            click.echo(text)

    def started(self, callback_id: int) -> None:
        """Remember the callback that this command has started."""
        self.callback_ids = [callback_id]
        self._has_started_one = True
        self.is_calling = False
        if self.stdout.failure is not None:
            self._report_lost_output()

    def unblock(self) -> None:
        """Let a signal end the command even if nobody reads its output."""
        self.stdout.unblock()
        self.stderr.unblock()

    def _report(self, error: BaseException) -> int:
        if self.output is not None:
            self.output.close()
        if isinstance(error, click.Abort) and isinstance(error.__context__, KeyboardInterrupt):
            error = error.__context__
        if isinstance(error, KeyboardInterrupt):
            return self._report_interruption(getattr(error, "__notes__", ()))
        if isinstance(error, click.Abort):
            click.echo("Aborted!", err=True)
            return ExitCode.FAILED
        if isinstance(error, click.ClickException):
            error.show()
            return error.exit_code
        return self._report_error(error)

    def _report_error(self, error: BaseException) -> int:
        code = code_of_error(error)
        if code is None:
            add_place(error)
            code = ExitCode.OUTCOME_UNKNOWN if self.is_calling else ExitCode.FAILED
        if self._has_started_one and code == ExitCode.NOT_PLACED:
            code = ExitCode.FAILED
        output: Output = self.output or import_module("._output", __package__).LinesOutput()
        output.error(error, self.callback_ids[0] if len(self.callback_ids) == 1 else None)
        if self._has_started_one:
            click.echo(
                f"Callback {self.callback_ids[0]} was started. {self._how_to_follow()}", err=True
            )
        return code

    def _report_interruption(self, notes: Sequence[str] = ()) -> int:
        if self.callback_ids:
            text = self._how_to_follow()
            if self.simulator != IN_PROCESS:
                one = len(self.callback_ids) == 1
                text = f"The {'callback continues' if one else 'callbacks continue'}. {text}"
        else:
            text = " ".join(notes) or (_PHONES_MAY_RING if self.is_calling else "")
        click.echo(f"Interrupted. {text}".rstrip(), err=True)
        self.stdout.discard()
        _restore_default_handlers()
        return ExitCode(128 + self._signal)

    def _report_lost_output(self) -> None:
        if self._has_started_one:
            text = (
                f"Callback {self.callback_ids[0]} was started, but the output could not be "
                f"written. {self._how_to_follow()}"
            )
        elif isinstance(self.stdout.failure, BrokenPipeError):
            return  # The reader has closed the pipe, as head does.
        else:
            text = f"The output could not be written: {self.stdout.failure}"
        click.echo(text, err=True)

    def _how_to_follow(self) -> str:
        if self.simulator == IN_PROCESS:
            return "The simulator and its callbacks end with this command."
        option = ["--simulator", shlex.quote(self.simulator)] if self.simulator else []
        command = " ".join(["tenios watch", *map(str, self.callback_ids), *option])
        return f"Follow {'it' if len(self.callback_ids) == 1 else 'them'} with: {command}"

    def _handling_signals(self) -> ExitStack:
        stack = ExitStack()
        with suppress(ValueError):  # if this is not the main thread
            for number in SIGNALS:
                if signal.getsignal(number) is signal.SIG_DFL:
                    stack.callback(signal.signal, number, signal.signal(number, self._interrupt))
        return stack

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        """Call the handler of Ctrl-C."""
        self.unblock()
        self._signal = signal.Signals(number)
        handler = signal.getsignal(signal.SIGINT)
        if not callable(handler):
            raise KeyboardInterrupt
        handler(signal.SIGINT, frame)


def _restore_default_handlers() -> None:
    with suppress(ValueError):  # if this is not the main thread
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)


def _load_mask() -> Callable[[str], str]:
    if any(map(os.environ.get, ("TENIOS_ACCESS_KEY", "TENIOS_ACCESS_KEY_FILE"))):
        mask: Callable[[str], str] = import_module("._masking", __package__).Mask.from_environment()
        return mask
    return str
