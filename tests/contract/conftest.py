from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml
from support.prism import ROOT, Prism, prism_mock

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator


@pytest.fixture(scope="session")
def contract() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROOT / "openapi.yaml").read_text())
    return document


@pytest.fixture(scope="session")
def prism() -> Iterator[Prism]:
    with prism_mock(ROOT / "openapi.yaml") as prism:
        yield prism


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add Prism's log to the report of a failed test."""
    report = yield
    for value in getattr(item, "funcargs", {}).values() if report.failed else ():
        prism = getattr(value, "prism", value)
        if isinstance(prism, Prism):
            report.sections.append(("Prism's log", prism.log()[-5000:]))
    return report
