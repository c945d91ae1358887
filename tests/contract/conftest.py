"""What the contract's tests share: the contract as data, and Prism that serves it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml
from support.prism import ROOT, Prism, prism_mock

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator


@pytest.fixture(scope="session")
def contract() -> dict[str, Any]:
    """The contract as data."""
    document: dict[str, Any] = yaml.safe_load((ROOT / "openapi.yaml").read_text())
    return document


@pytest.fixture(scope="session")
def prism() -> Iterator[Prism]:
    with prism_mock(ROOT / "openapi.yaml") as prism:
        yield prism


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show Prism's log beside the failure of a test that used it."""
    report = yield
    server = getattr(item, "funcargs", {}).get("prism")
    if report.failed and isinstance(server, Prism):
        report.sections.append(("Prism's log", server.log()[-5000:]))
    return report
