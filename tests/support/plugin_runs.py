"""Runs of pytest with our plugin, as in a team that has installed the package."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

PLUGIN = "tenios_simulator.pytest_plugin"


def run(pytester: pytest.Pytester, code: str, *arguments: str) -> pytest.RunResult:
    """Run a test file in this process. pytest finds the plugin through its entry point."""
    pytester.makepyfile(code)
    return pytester.runpytest_inprocess(
        "-p", "no:cacheprovider", "-p", "no:hypothesispytest", *arguments
    )


def run_alone(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, code: str, *arguments: str
) -> pytest.RunResult:
    """
    Run a test file in a fresh process without any other plugin, so that nothing else imports
    modules.
    """
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    assert "PYTEST_PLUGINS" not in os.environ
    pytester.makepyfile(code)
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", *arguments, "-p", PLUGIN)


def counts(result: pytest.RunResult) -> dict[str, int]:
    """Return how many tests passed, failed and so on."""
    found: dict[str, int] = result.parseoutcomes()
    return found
