"""The plugin's imports and startup."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from support.plugin_runs import PLUGIN, counts, run, run_alone

from tenios_ext._settings import SERVICE
from tenios_simulator._pytest_guard import HOST

if TYPE_CHECKING:
    import pytest

EXTRA_MODULES = [
    "httptools",
    "jinja2",
    "jsonschema_rs",
    "markdown_it",
    "starlette",
    "uvicorn",
    "yaml",
]


def test_host_is_the_host_of_the_client() -> None:
    """The plugin does not import the client, so it repeats the name."""
    assert urlsplit(SERVICE).hostname == HOST


def test_pytest_finds_the_plugin_by_its_entry_point() -> None:
    (found,) = entry_points(group="pytest11", name="tenios")
    assert found.value == PLUGIN


def test_importing_the_plugin_imports_only_its_own_package() -> None:
    code = """
import mmap, pytest, socket, ssl, sys
def top_level():
    return {name.partition(".")[0] for name in sys.modules}
before = top_level()
import tenios_simulator.pytest_plugin
print(*sorted(top_level() - before))
print(*sorted(name for name in sys.modules if name.startswith("tenios_")))
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    top_level, ours = found.stdout.splitlines()
    assert top_level == "tenios_simulator"
    assert ours.split() == [
        "tenios_simulator",
        "tenios_simulator._pytest_guard",
        "tenios_simulator.pytest_plugin",
    ]


def test_run_without_our_fixtures_imports_no_client(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = run_alone(
        pytester,
        monkeypatch,
        """
        import sys
        def test_it(request):
            assert request.config.pluginmanager.has_plugin("tenios_simulator.pytest_plugin")
            assert not {"attr", "attrs", "httpx", "tenios_client", "tenios_ext"} & set(sys.modules)
        """,
    )
    assert counts(result) == {"passed": 1}, result.stdout.str()


def test_guard_works_without_the_extra_and_fixtures_name_it(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makepyfile(
        without_extra=f"""
        import sys
        class Missing:
            def find_spec(self, name, path=None, target=None):
                if name in {EXTRA_MODULES}:
                    raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
        sys.meta_path.insert(0, Missing())
        """
    )
    result = run_alone(
        pytester,
        monkeypatch,
        """
        from tenios_ext import Tenios
        def test_client():
            with Tenios("KEY", "CONFIG") as client:
                client.start_callback("+49 221 4710123")
        def test_fixture(tenios):
            pass
        """,
        "-p",
        "without_extra",
    )
    assert counts(result) == {"failed": 1, "errors": 1}, result.stdout.str()
    result.stdout.fnmatch_lines(
        ["E*ReachedTeniosError: A test tried to reach api.tenios.com. Nothing was sent.*"]
    )
    result.stdout.fnmatch_lines(
        ["E*: yaml is not installed. Run: pip install 'tenios-callback?simulator?'"]
    )


def test_async_tenios_works_with_pytest_asyncio(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With anyio, an example of the documents does."""
    code = """
        import pytest
        @pytest.mark.asyncio
        async def test_customer_answers(async_tenios):
            callback = await async_tenios.start_callback("+49 221 4710123")
            assert (await callback.wait()).connected
        """
    result = run_alone(pytester, monkeypatch, code, "-p", "pytest_asyncio.plugin")
    assert counts(result) == {"passed": 1}, result.stdout.str()


def test_error_of_another_plugin_at_startup_is_shown(pytester: pytest.Pytester) -> None:
    """This plugin must not add an error if its pytest_configure has not run."""
    pytester.makeconftest(
        """
        import pytest
        @pytest.hookimpl(tryfirst=True)
        def pytest_configure():
            raise pytest.UsageError("broken")
        """
    )
    result = run(pytester, "")
    assert [line for line in result.outlines if line] == ["ERROR: broken"]
