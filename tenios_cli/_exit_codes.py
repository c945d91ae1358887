"""The exit codes of the commands. Scripts rely on them, so they never change."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tenios_ext import Outcome


class ExitCode(IntEnum):
    """The exit codes; ``EXIT_CODES`` has their meanings."""

    OK = 0
    FAILED = 1
    USAGE = 2  # set by click
    AGENT_FAILED = 3
    CUSTOMER_FAILED = 4
    NOT_PLACED = 5
    OUTCOME_UNKNOWN = 6
    TIMED_OUT = 7
    STATUS_UNAVAILABLE = 8
    # 128 plus the signal's number, as in shells.
    HUNG_UP = 129
    INTERRUPTED = 130
    TERMINATED = 143


EXIT_CODES = """\b
Exit codes (!: phones may be ringing):
  0     success; a callback that was followed was connected
  1   ! any other failure
  2     wrong usage
  3     the agent could not be reached
  4     the customer could not be reached
  5     no callback was started, or a setting is missing or invalid
  6   ! the outcome is unknown
  7   ! --answer-timeout or --end-timeout has passed
  8   ! the status could not be fetched
  129 ! ended by SIGHUP
  130 ! interrupted by Ctrl-C
  143 ! ended by SIGTERM
"""
SEE_EXIT_CODES = "Exit codes: see `tenios --help`."
CAMPAIGN_EXIT_CODES = """\b
Exit codes:
  0    the run is complete, or SIGTERM ended a worker
  5    TENIOS rejects every callback, or a customer was rejected
  6    the outcome for a customer is unknown

For other codes, see `tenios --help`.
"""


def code_of_outcome(outcome: Outcome) -> ExitCode:
    """Return the exit code of a callback that has ended."""
    if outcome.failed_party is None:
        return ExitCode.OK
    return ExitCode.AGENT_FAILED if outcome.failed_party == "agent" else ExitCode.CUSTOMER_FAILED
