"""The report: which check noticed which mutant."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for each mutant."""
    reports = [
        each for kind in ("passed", "failed") for each in terminalreporter.getreports(kind) if each.when == "call"
    ]
    rows = [dict(report.user_properties) for report in reports if report.user_properties]
    terminalreporter.section("mutants of the contract, and who noticed")
    for row in sorted(rows, key=lambda row: row["mutant"]):
        terminalreporter.write_line(f"{row['mutant']:36} {row['noticed by']}")
