"""
Runs of pytest with the plugin, as in a project that has installed the package.

The guard stays active in a process, and many of these runs replace functions of the standard
library. So each run is a fork of a process that has imported the slow modules.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import IO, Any

import pytest

from .forks import FORKS

PLUGIN = "tenios_simulator.pytest_plugin"
HINT = "Use the fixture `tenios` or `async_tenios`"


def run(pytester: pytest.Pytester, code: str) -> pytest.RunResult:
    """
    # Looking up the source of each line of a traceback would take half of the time.
    options = ["--tb=line", "-p", "no:cacheprovider", "-p", "anyio", "-p", PLUGIN]
    options += ["-W", "ignore:Module already imported"]  # The plugin has no assertions.
    """
    pytester.makepyfile(code)
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    process = FORKS.Process(target=_run, args=[pytester.path, environment])
    process.start()
    process.join()
    assert process.exitcode is not None
    output, errors = (
        (pytester.path / name).read_text().splitlines() for name in ("output", "errors")
    )
    return pytest.RunResult(process.exitcode, output, errors, 0)


def run_alone(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, code: str, *arguments: str
) -> pytest.RunResult:
    """Run a test file in a new interpreter without other plugins, where nothing is imported."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(code)
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", *arguments, "-p", PLUGIN)


def counts(result: pytest.RunResult) -> dict[str, int]:
    """Return the number of tests that passed, failed and so on."""
    found: dict[str, int] = result.parseoutcomes()
    return found


def assert_all_refused(result: pytest.RunResult) -> None:
    """Assert that each test failed with the hint before any name resolution or connection."""
    output = result.stdout.str()
    assert not counts(result).get("passed"), output
    assert result.errlines, output
    assert all(HINT in error for error in result.errlines), output
    unwanted = ("AssertionError", "looked up", "connected to", "may be ringing")
    assert not any(text in error for error in result.errlines for text in unwanted), output


class _Observer:
    """
    Records errors, and fails connections that the guard allows, because its audit hook runs after
    the guard's.
    """

    def __init__(self, errors: IO[str]) -> None:
        self._errors = errors

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self) -> None:
        sys.addaudithook(fail_outside)

    def pytest_runtest_logreport(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.failed:
            print(json.dumps(report.longreprtext), file=self._errors, flush=True)

    pytest_collectreport = pytest_runtest_logreport


def fail_outside(event: str, args: tuple[Any, ...]) -> None:
    """Fail connections to other machines before anything is sent."""
    if event in {"socket.getaddrinfo", "socket.gethostbyname"} and args[0] != "127.0.0.1":
        raise OSError(f"looked up {args[0]}")
    if event == "socket.connect" and args[1][0] != "127.0.0.1":
        raise OSError(f"connected to {args[1]}")


def _run(folder: Path, environment: dict[str, str]) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    output = os.open("output", os.O_CREAT | os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(output, stream)
    # Looking up the source of each line of a traceback would take half of the time.
    options = ["--tb=line", "-p", "no:cacheprovider", "-p", "anyio", "-p", PLUGIN]
    options += ["-W", "ignore:Module already imported"]  # The plugin has no assertions.
    with Path("errors").open("w") as errors:
        sys.exit(pytest.main(options, plugins=[_Observer(errors)]))
