"""What users may rely on: the names, the twins, the documentation of each."""

from __future__ import annotations

import inspect
import subprocess
import sys
from typing import Any

import pytest

import tenios_ext
import tenios_ext.simulator
from tenios_ext import AsyncCallback, AsyncTenios, Callback, Tenios

MODULES = [tenios_ext, tenios_ext.simulator]
#: Methods that only one of the twins has, with the reason.
ONLY_SYNC = {"close"}  # the twin's is a coroutine and so called aclose, as in httpx
ONLY_ASYNC = {"aclose", "watch_many"}  # threads would need one each


def public(cls: type) -> dict[str, Any]:
    return {name: member for name, member in vars(cls).items() if not name.startswith("_")}


@pytest.mark.parametrize("module", MODULES)
def test_all_is_importable(module: Any) -> None:
    """`__all__` is what there is, and nothing twice; ruff judges its order."""
    assert len(module.__all__) == len(set(module.__all__))
    assert all(hasattr(module, name) for name in module.__all__)


def test_all_holds_every_public_class_and_error() -> None:
    """A class that a user meets can be imported from the top."""
    met = {
        name for name, member in vars(tenios_ext.errors).items() if inspect.isclass(member) and name.endswith("Error")
    }
    assert met <= set(tenios_ext.__all__)


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_is_documented(module: Any) -> None:
    """Each class and function, and each public method, has a docstring of its own."""
    for name in module.__all__:
        member = getattr(module, name)
        if not (inspect.isclass(member) or inspect.isfunction(member)):
            continue
        if member.__module__.startswith("tenios_ext"):
            assert member.__doc__, name
        if inspect.isclass(member):
            for method, function in public(member).items():
                if inspect.isfunction(function) and member.__module__.startswith("tenios_ext"):
                    assert function.__doc__, f"{name}.{method}"


@pytest.mark.parametrize(("sync", "asynchronous"), [(Tenios, AsyncTenios), (Callback, AsyncCallback)])
def test_twins_have_the_same_methods_and_arguments(sync: type, asynchronous: type) -> None:
    """Whoever knows one knows the other."""
    here, there = public(sync), public(asynchronous)
    assert set(here) - ONLY_SYNC == set(there) - ONLY_ASYNC
    for name in set(here) & set(there):
        if inspect.isfunction(here[name]):
            assert arguments(here[name]) == arguments(there[name]), name


def arguments(function: Any) -> list[tuple[str, Any, Any, str]]:
    parameters = inspect.signature(function).parameters.values()
    return [(p.name, p.kind, p.default, p.annotation) for p in parameters if p.name not in {"transport", "aiohttp"}]


def test_twins_take_the_same_settings() -> None:
    """The async client has one setting more: whether to use aiohttp."""
    sync, asynchronous = inspect.signature(Tenios), inspect.signature(AsyncTenios)
    assert [*sync.parameters, "aiohttp"] == list(asynchronous.parameters)
    assert arguments(Tenios.__init__) == arguments(AsyncTenios.__init__)


def imported_by(statement: str) -> set[str]:
    """The top-level packages that are imported after *statement*, in a fresh interpreter."""
    code = f"import sys; {statement}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    return set(output.split())


def test_importing_the_package_imports_nothing_heavy() -> None:
    """What only some users need is imported when it is needed."""
    heavy = {"phonenumbers", "aiohttp", "httpx_aiohttp", "starlette", "uvicorn", "jsonschema_rs", "jinja2", "yaml"}
    assert not imported_by("import tenios_ext") & heavy
    assert "asyncio" not in imported_by("import tenios_ext") - imported_by("import httpx")


def test_command_help_does_not_wait_for_the_http_library() -> None:
    """`tenios --help` imports click and little else."""
    assert not imported_by("import tenios_ext.cli.main") & {"phonenumbers", "starlette", "uvicorn"}
