"""The exit codes of the commands. Scripts rely on them, so they never change."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tenios_ext import Outcome


class ExitCode(IntEnum):
    """What the exit code of a command means; see ``EPILOG``."""

    OK = 0
    FAILED = 1
    USAGE = 2  # set by click
    AGENT_FAILED = 3
    CUSTOMER_FAILED = 4
    NOT_PLACED = 5
    OUTCOME_UNKNOWN = 6
    TIMED_OUT = 7
    STATUS_UNAVAILABLE = 8
    # 128 plus the number of the signal, as shells have it.
    HUNG_UP = 129
    INTERRUPTED = 130
    TERMINATED = 143


EPILOG = """
Exit codes: 0 success (a callback that was watched was connected), 1 any other failure, such as
output that cannot be written, 2 wrong usage, 3 the agent could not be reached, 4 the customer could
not be reached, 5 no callback was started or a setting is missing or wrong, 6 the outcome is unknown
and phones may be ringing, 7 a time limit has passed, 8 the status could not be fetched, 130
interrupted by Ctrl-C, 129 or 143 ended by SIGHUP or SIGTERM. The result of a callback that was
watched is the exit code even if output cannot be written. After 1, 7, 8 and the signals, phones may
be ringing, too.
"""


def code_of_outcome(outcome: Outcome) -> ExitCode:
    """Return the exit code for a callback that has ended."""
    if outcome.failed_party is None:
        return ExitCode.OK
    return ExitCode.AGENT_FAILED if outcome.failed_party == "agent" else ExitCode.CUSTOMER_FAILED
