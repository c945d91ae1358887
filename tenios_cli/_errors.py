"""The exit codes of errors."""

from __future__ import annotations

import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from ._exit_codes import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator

# By name, so that `tenios --help` need not import the client.
_CODES = {
    "NotPlacedError": ExitCode.NOT_PLACED,
    "ConfigurationError": ExitCode.NOT_PLACED,
    "OutcomeUnknownError": ExitCode.OUTCOME_UNKNOWN,
    "CallbackTimeoutError": ExitCode.TIMED_OUT,
    "StatusUnavailableError": ExitCode.STATUS_UNAVAILABLE,
    "LedgerUnavailableError": ExitCode.FAILED,
}


class CommandError(click.ClickException):
    """Ends the command with exit code 1 and a message."""

    def show(self, file: object = None) -> None:  # noqa: ARG002 - click's signature
        """Print the message as it is, without "Error:"."""
        click.echo(self.message, err=True)


def code_of_error(error: BaseException) -> ExitCode | None:
    """Return the exit code of *error*; None if the client does not document the error."""
    return next(
        (_CODES[kind.__name__] for kind in type(error).__mro__ if kind.__name__ in _CODES), None
    )


@contextmanager
def explained() -> Iterator[None]:
    """Report an invalid argument of the library as an error of the command."""
    from tenios_ext import TeniosError

    from ._output import in_options, one_line

    try:
        yield
    except TeniosError:
        raise
    except UnicodeEncodeError as error:
        raise CommandError(f"{error.object!r} is not valid UTF-8.") from None
    except (LookupError, ValueError) as error:
        raise CommandError(in_options(one_line(error.args[0] if error.args else error))) from None


def add_place(error: BaseException) -> None:
    """Add a note to an unexpected error that says where it was raised."""
    *_, (frame, line) = traceback.walk_tb(error.__traceback__)
    place = f"{frame.f_globals.get('__name__')}, line {line}"
    error.add_note(f"This error is unexpected. Please report it (raised in {place}).")
