from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.plugin_runs import counts, run

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = ["README.md", "docs/testing.md"]


def documented_test_files() -> list[object]:
    """Return the code blocks in the docs that begin with the name of a test file."""
    found = [
        (document, code)
        for document in DOCUMENTS
        for code in re.findall(
            r"```python\n(# test_.*?)```", (ROOT / document).read_text(), re.DOTALL
        )
    ]
    return [pytest.param(code, id=f"{document}:{code.split()[1]}") for document, code in found]


def test_each_document_has_a_test_file() -> None:
    ids = str(documented_test_files())
    assert all(f"{document}:test_" in ids for document in DOCUMENTS)


@pytest.mark.parametrize("code", documented_test_files())
def test_documented_test_file_passes_and_is_short(pytester: pytest.Pytester, code: str) -> None:
    lines = [
        line for line in code.splitlines() if line and not line.startswith(("#", "import", "from"))
    ]
    assert len(lines) <= 10
    result = run(pytester, code)
    assert counts(result) == {"passed": code.count("def test_")}, result.stdout.str()


def test_async_tenios_is_closed_and_keeps_the_current_event_loop(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nfilterwarnings = error")
    result = run(
        pytester,
        """
        import asyncio, pytest
        LOOP = asyncio.new_event_loop()
        asyncio.set_event_loop(LOOP)
        clients = []
        @pytest.mark.parametrize("time", [1, 2])
        def test_async(async_tenios, tenios_simulator, time):
            async def run():
                return await (await async_tenios.start_callback("+49 221 4710123")).wait()
            assert LOOP.run_until_complete(run()).connected
            assert tenios_simulator.dialled == ["+492214710123"]
            assert asyncio.get_event_loop() is LOOP
            clients.append(async_tenios)
        def test_last():
            assert asyncio.get_event_loop() is LOOP
            assert all(client._http.is_closed for client in clients)
            LOOP.close()
        """,
    )
    assert counts(result) == {"passed": 3}, result.stdout.str()


def test_fixtures_ignore_the_developers_own_settings(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENIOS_ALLOWED_NUMBERS", "+498999998001")
    monkeypatch.setenv("TENIOS_REGION", "DE")
    monkeypatch.setenv("TENIOS_LEDGER", f"sqlite:///{pytester.path}/callbacks.db")
    result = run(
        pytester,
        """
        import asyncio, os, pytest
        from tenios_ext import InvalidArgumentError
        def test_sync(tenios):
            assert tenios.start_callback("+49 221 4710123").wait().connected
            with pytest.raises(InvalidArgumentError):
                tenios.start_callback("0221 4710123")
            assert os.environ["TENIOS_REGION"] == "DE"
        def test_async(async_tenios):
            asyncio.run(async_tenios.start_callback("+49 221 4710123"))
        """,
    )
    assert counts(result) == {"passed": 2}, result.stdout.str()
    assert not (pytester.path / "callbacks.db").exists()


def test_fixtures_take_the_settings_that_a_test_gives(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        import asyncio, pytest
        @pytest.fixture
        def tenios_settings():
            return {"region": "DE", "allowed_regions": ["DE"]}
        def test_sync(tenios, tenios_simulator):
            tenios.start_callback("0221 4710123")
            assert tenios_simulator.dialled == ["+492214710123"]
            assert tenios.settings.allowed_regions == {"DE"}
        def test_async(async_tenios, tenios_simulator):
            asyncio.run(async_tenios.start_callback("0221 4710123"))
            assert tenios_simulator.dialled == ["+492214710123"]
        """,
    )
    assert counts(result) == {"passed": 2}, result.stdout.str()
