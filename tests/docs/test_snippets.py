"""Every Python block in the docs is run: against a simulator, or by pytest if it is a file."""

from __future__ import annotations

import asyncio
import logging
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect
from support.browser import chromium
from support.serving import serving, serving_app

from tenios_ext import ConfigurationError, TeniosError
from tenios_ext.shared import SystemClock
from tenios_simulator import ACCESS_KEY, CALLBACK_CONFIG_ID, Simulator, VirtualClock

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")), ROOT / ".github/CONTRIBUTING.md"]
# Python and console blocks are run by the tests in this folder, PHP blocks by
# tests/clients; the others contain no code of ours.
FENCES = {
    "python",
    "console",
    "ini",
    "php",
    "text",
    "mermaid",
    "{eval-rst}",
    "{image}",
    "{only}",
    "{toctree}",
}


def python_blocks(document: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", document.read_text(), re.DOTALL | re.MULTILINE)


def is_file(code: str) -> bool:
    """Return whether the first line of a block is a file name."""
    return re.match(r"# \w+\.py\n", code) is not None


def files_in(document: Path) -> list[str]:
    return list(filter(is_file, python_blocks(document)))


SNIPPETS = [
    pytest.param(code, id=f"{document.name}-{index}")
    for document in DOCUMENTS
    for index, code in enumerate(python_blocks(document), 1)
    if not is_file(code)
]


@pytest.fixture
def _simulator(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """
    A running simulator in virtual time, the environment of ``tenios simulate``, and an empty folder
    for databases.
    """
    monkeypatch.chdir(tmp_path)
    clock = VirtualClock()
    for name in ("now", "monotonic", "sleep", "async_sleep"):
        monkeypatch.setattr(SystemClock, name, staticmethod(getattr(clock, name)))
    with serving(Simulator(clock=clock, first_id=4711)) as server:
        monkeypatch.setenv("TENIOS_BASE_URL", server.address)
        monkeypatch.setenv("TENIOS_ACCESS_KEY", ACCESS_KEY)
        monkeypatch.setenv("TENIOS_CALLBACK_CONFIG_ID", CALLBACK_CONFIG_ID)
        yield
    logging.getLogger("tenios_ext").setLevel(logging.NOTSET)  # A snippet sets it.


@pytest.mark.usefixtures("_simulator")
@pytest.mark.parametrize("code", SNIPPETS)
def test_snippet_runs_without_an_error(
    code: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "snippet", "exec"), {"__name__": "snippet"})
    printed = capsys.readouterr().out
    # What the snippets print in an except branch.
    assert "Phones may be ringing" not in printed
    assert "No phone rings" not in printed


def test_files_of_the_documents_pass_their_tests(tmp_path: Path) -> None:
    files = {code.split()[1]: code for document in DOCUMENTS for code in files_in(document)}
    assert len(files) == sum(len(files_in(document)) for document in DOCUMENTS)
    for name, code in files.items():
        (tmp_path / name).write_text(code)
    command: list[Any] = [Path(sys.executable).with_name("pytest"), "-p", "no:cacheprovider"]
    command += ["-p", "no:schemathesis"]  # slower to load than everything else
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    count = "".join(files.values()).count("def test_")
    assert result.returncode == 0, result.stdout
    assert f" {count} passed" in result.stdout


def quick_start() -> Any:
    """Return the application of the quick start."""
    code = next(each for each in files_in(ROOT / "docs/quickstart.md") if "# app.py" in each)
    names: dict[str, Any] = {"__name__": "app"}
    exec(compile(code, "app.py", "exec"), names)
    return names["app"]


@pytest.mark.usefixtures("_simulator")
def test_form_of_the_quick_start_shows_the_answer_in_a_browser() -> None:
    with serving_app(quick_start()) as address, chromium() as browser:
        page = browser.new_page()
        for number, answer in {
            "soon": "Please enter a number such as 0221 4710123.",
            "030 23125 100": "We are calling you.",
        }.items():
            page.goto(address)
            page.get_by_label("Your phone number").fill(number)
            page.get_by_role("button").dblclick()
            expect(page.get_by_role("status")).to_have_text(answer)


def test_quick_start_does_not_start_without_an_access_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    app = quick_start()
    with pytest.raises(ConfigurationError, match="The access key is missing"):
        asyncio.run(app.router.lifespan_context(app).__aenter__())


@pytest.mark.usefixtures("_simulator")
@pytest.mark.parametrize(
    ("number", "seconds", "stops"),
    [
        ("030 23125 100", 3600, [False, True]),
        ("030 23125 429", 3600, [True, True]),  # rejected
        ("030 23125 601", 3600, [True, True]),  # unknown outcome
        ("030 23125 711", 3600, [False, False]),  # no status
        ("030 23125 711", -1, [True, True]),
    ],
)
def test_progress_tells_the_page_when_to_stop(number: str, seconds: int, stops: list[bool]) -> None:
    [code] = python_blocks(ROOT / "docs/web-apps.md")
    names: dict[str, Any] = {}
    exec(code.partition("\n\nform = ")[0], names)
    names["FOLLOW_SECONDS"] = seconds
    assert names["progress"]("token")["stop"]
    with suppress(TeniosError):
        names["start"]("token", number)
    seen = [names["progress"]("token")["stop"]]
    SystemClock().sleep(60)
    assert [*seen, names["progress"]("token")["stop"]] == stops
    names["tenios"].close()
    names["ledger"].close()


def test_german_quick_start_has_the_snippets_of_the_quick_start() -> None:
    english, german = (
        re.findall(r"^```.*?^```", (ROOT / "docs" / page).read_text(), re.DOTALL | re.MULTILINE)
        for page in ("quickstart.md", "de/schnellstart.md")
    )
    assert german == english


def test_readme_test_file_has_at_most_ten_lines() -> None:
    [code] = files_in(ROOT / "README.md")
    lines = [line for line in code.splitlines() if line]
    assert len(lines) <= 10


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_fenced_blocks_are_of_a_kind_that_is_tested(document: Path) -> None:
    fences: Any = re.findall(r"^[`:]{3,}([^`:\s].*)$", document.read_text(), re.MULTILINE)
    assert {fence.split()[0] for fence in fences} <= FENCES


def test_log_record_in_settings_is_what_the_client_logs(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "tenios_ext"), Simulator().client() as tenios:
        tenios.start_callback("+49 221 4710123")
    [record] = caplog.records
    line = f"{record.levelname}:{record.name}:{record.getMessage()}"
    assert f"# {line}\n" in (ROOT / "docs/settings.md").read_text()
