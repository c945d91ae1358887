"""The report of the mutation tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print which checks detected each mutation."""
    reports = [
        each
        for kind in ("passed", "failed")
        for each in terminalreporter.getreports(kind)
        if each.when == "call"
    ]
    rows = [dict(report.user_properties) for report in reports if report.user_properties]
    terminalreporter.section("mutations of the contract and the checks that detected them")
    for row in sorted(rows, key=lambda row: row["mutation"]):
        terminalreporter.write_line(f"{row['mutation']:40} {row['detected by']}")
