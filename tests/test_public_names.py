"""
The public names of the client and the simulator, their documentation, and what an import costs.
"""

from __future__ import annotations

import ast
import inspect
import pkgutil
import re
import subprocess
import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from support.faults import FaultServer, respond

import tenios_campaign
import tenios_ext
import tenios_simulator
from tenios_ext import AsyncCallback, AsyncTenios, Callback, Tenios, _exceptions

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

PACKAGES = [tenios_campaign, tenios_ext, tenios_simulator]
PUBLIC = {name for package in PACKAGES for name in package.__all__}
#: Public modules besides the packages; what stands in them is reached through them.
MODULES = {"tenios_ext.ledger", "tenios_ext.openapi", "tenios_simulator.faults"}
OURS = {"tenios_campaign", "tenios_client", "tenios_ext", "tenios_simulator"}
#: Exceptions that reach no caller, and the one that fails a test.
INTERNAL_ERRORS = {
    "NoThreadError",
    "ConnectFailedError",
    "ExpiredError",
    "ForbiddenError",
    "RequestError",
    "ReachedTeniosError",
    "UnexpectedStatusError",
    "UnknownCredentialsError",
}
#: Made by the client's methods only, so that their constructors are not public.
NOT_CONSTRUCTED = {"AsyncCallback", "Callback"}
CLIENTS = [Tenios, AsyncTenios, Callback, AsyncCallback]
#: Methods that only one of the two clients has, and why.
ONLY_SYNC = {"close"}  # the async one is called aclose, as in httpx
ONLY_ASYNC = {"aclose", "watch_many"}  # threads would need one for each callback


def members(cls: type) -> dict[str, Any]:
    """Return the public methods and properties that a class defines itself, as functions."""
    found = {
        name: getattr(member, "fget", member)
        for name, member in vars(cls).items()
        if not name.startswith("_")
    }
    functions = {name: getattr(member, "__func__", member) for name, member in found.items()}
    return {name: member for name, member in functions.items() if inspect.isfunction(member)}


def exported(package: ModuleType) -> Iterator[tuple[str, Any]]:
    """Yield the classes and functions that a package exports, and those of its public modules."""
    for name in package.__all__:
        member = getattr(package, name)
        if isinstance(member, ModuleType):
            public = [
                (each, value) for each, value in vars(member).items() if not each.startswith("_")
            ]
            yield from (
                (each, value)
                for each, value in public
                if getattr(value, "__module__", "") == member.__name__
            )
        else:
            yield name, member


# What is exported.


@pytest.mark.parametrize("package", PACKAGES)
def test_all_names_exist_once(package: ModuleType) -> None:
    assert len(package.__all__) == len(set(package.__all__))
    assert [name for name in package.__all__ if not hasattr(package, name)] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_unknown_name_is_an_attribute_error(package: ModuleType) -> None:
    with pytest.raises(
        AttributeError, match=f"module '{package.__name__}' has no attribute 'Nothing'"
    ):
        _ = package.Nothing


@pytest.mark.parametrize("package", PACKAGES)
def test_all_has_every_error_that_the_package_defines(package: ModuleType) -> None:
    for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if ".hook-" in info.name:
            continue  # Only PyInstaller can import it.
        module = import_module(info.name)
        errors = {
            name
            for name, member in vars(module).items()
            if inspect.isclass(member)
            and issubclass(member, Exception)
            and member.__module__ == module.__name__
            and not name.startswith("_")
        }
        assert errors - INTERNAL_ERRORS <= set(package.__all__), module.__name__


def not_exported(package: ModuleType, public: Collection[str]) -> set[str]:
    """
    Return the names of ours that stand in a public signature of a package and are not *public*.
    """
    missing = set()
    for name, member in exported(package):
        if (
            not hasattr(member, "__module__")
            or member.__module__.partition(".")[0] != package.__name__
        ):
            continue
        is_error = isinstance(member, type) and issubclass(member, tenios_ext.TeniosError)
        module = _exceptions if is_error else import_module(member.__module__)
        tree = ast.parse(inspect.getsource(module))
        origins = origins_of(tree, module)
        for definition in tree.body:
            expressions = (
                public_annotations(definition) if getattr(definition, "name", None) == name else ()
            )
            for expression in expressions:
                names = {
                    node.id for node in ast.walk(expression) if isinstance(node, ast.Name)
                } & set(origins)
                missing |= {
                    each for each in names if each not in public and origins[each] not in MODULES
                }
    return missing


def origins_of(tree: ast.Module, module: ModuleType) -> dict[str, str]:
    """Return the module in which each of our names in *tree* is defined."""
    origins = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            parts = module.__name__.split(".")[: -node.level] if node.level else []
            source = ".".join([*parts, *([node.module] if node.module else [])])
            if source.partition(".")[0] in OURS:
                origins.update({alias.asname or alias.name: source for alias in node.names})
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            origins[node.name] = module.__name__
        elif isinstance(node, ast.Assign):
            origins.update(
                {each.id: module.__name__ for each in node.targets if isinstance(each, ast.Name)}
            )
    return origins


def public_annotations(node: ast.AST) -> Iterator[ast.expr]:
    """Yield the annotations in the public part of a class or function, and the bases of a class."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        arguments = [
            *node.args.posonlyargs,
            *node.args.args,
            *node.args.kwonlyargs,
            node.args.vararg,
            node.args.kwarg,
        ]
        yield from (
            each.annotation
            for each in arguments
            if each is not None and each.annotation is not None
        )
        if node.returns is not None:
            yield node.returns
    elif isinstance(node, ast.ClassDef):
        yield from node.bases
        for member in node.body:
            name = getattr(member, "name", "") or getattr(getattr(member, "target", None), "id", "")
            if name.startswith("_") and not (
                name == "__init__" and node.name not in NOT_CONSTRUCTED
            ):
                continue
            if isinstance(member, ast.AnnAssign):
                yield member.annotation
            else:
                yield from public_annotations(member)


@pytest.mark.parametrize("package", PACKAGES)
def test_names_in_public_signatures_are_exported(package: ModuleType) -> None:
    assert not_exported(package, PUBLIC) == set()


@pytest.mark.parametrize(
    ("package", "name"),
    [
        (tenios_ext, "Clock"),  # an argument of Tenios
        (tenios_ext, "Outcome"),  # returned by Callback.wait
        (tenios_ext, "PollInterval"),  # an alias
        (tenios_ext, "TeniosError"),  # the base class of other errors
        (tenios_ext, "StatusChange"),  # an attribute of Outcome
        (tenios_simulator, "Leg"),  # an attribute of Scenario
        (tenios_simulator, "RecordedRequest"),  # in Simulator.requests
    ],
)
def test_missing_export_is_noticed(package: ModuleType, name: str) -> None:
    assert name in not_exported(package, PUBLIC - {name})


# What is documented.


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_class_function_and_method_has_a_docstring(package: ModuleType) -> None:
    missing = []
    for name, member in exported(package):
        ours = getattr(member, "__module__", "").startswith(package.__name__)
        if ours and inspect.isfunction(member) and not member.__doc__:
            missing.append(name)
        if ours and inspect.isclass(member):
            missing += [] if vars(member).get("__doc__") else [name]
            missing += [
                f"{name}.{method}"
                for method, function in members(member).items()
                if not function.__doc__
            ]
    assert missing == []


def undocumented(doc: str | None, parameters: Collection[str]) -> list[str]:
    """Return the parameters that have no line in the Args section of a docstring."""
    _, _, arguments = (doc or "").partition("Args:")
    section = re.split(r"\n\s*(?:Attributes|Raises|Returns):", arguments)[0]
    return [name for name in parameters if not re.search(rf"^\s+{name}: \S", section, re.MULTILINE)]


@pytest.mark.parametrize("cls", CLIENTS)
def test_docstrings_of_both_clients_are_complete(cls: type) -> None:
    """Hover help shows them, so neither client's may refer to the other's."""
    own = [] if cls.__name__ in NOT_CONSTRUCTED else list(inspect.signature(cls).parameters)
    documented = {cls.__name__: (cls.__doc__, own)}
    for name, function in members(cls).items():
        documented[name] = (function.__doc__, list(inspect.signature(function).parameters)[1:])
    for name, (doc, parameters) in documented.items():
        assert doc, name
        assert "As :meth:" not in doc, name
        assert undocumented(doc, parameters) == [], name
    text = "\n".join(str(doc) for doc, _ in documented.values())
    assert ("AsyncTenios" in text or "AsyncCallback" in text) <= cls.__name__.startswith("Async")


def test_undocumented_parameter_is_noticed() -> None:
    assert undocumented(Tenios.start_callback.__doc__, ["number", "colour", "NotPlacedError"]) == [
        "colour",
        "NotPlacedError",
    ]
    assert undocumented("Return it.", ["number"]) == ["number"]


# The two clients.


def signature(function: Any) -> list[tuple[str, Any, Any, str]]:
    """Return the parameters and the return type, without what makes the async ones async."""
    found = inspect.signature(function)
    parameters = [
        (p.name, p.kind, p.default, str(p.annotation))
        for p in found.parameters.values()
        if p.name != "aiohttp"
    ]
    return [
        (name, kind, default, annotation.replace("Async", ""))
        for name, kind, default, annotation in [
            *parameters,
            ("return", None, None, str(found.return_annotation)),
        ]
    ]


@pytest.mark.parametrize(
    ("sync", "asynchronous"), [(Tenios, AsyncTenios), (Callback, AsyncCallback)]
)
def test_both_clients_have_the_same_methods_with_the_same_arguments(
    sync: type, asynchronous: type
) -> None:
    here, there = members(sync), members(asynchronous)
    only_here = ONLY_SYNC if sync is Tenios else set()
    only_there = ONLY_ASYNC if sync is Tenios else set()
    assert set(here) - set(there) == only_here
    assert set(there) - set(here) == only_there
    for name in set(here) & set(there):
        assert signature(here[name]) == signature(there[name]), name
    assert signature(sync) == signature(asynchronous)


def test_only_the_async_client_has_the_setting_aiohttp() -> None:
    assert set(inspect.signature(AsyncTenios).parameters) - set(
        inspect.signature(Tenios).parameters
    ) == {"aiohttp"}


# What an import costs.


def imported_by(statement: str) -> set[str]:
    """Return the top-level packages that *statement* imports in a new interpreter."""
    code = f"import sys; {statement}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    output = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout
    return set(output.split())


FIRST_REQUESTS = """
import asyncio, sys
from tenios_ext import AsyncTenios

async def main(url, aiohttp):
    async with AsyncTenios("KEY", "CONFIG", base_url=url, aiohttp=aiohttp) as tenios:
        before = set(sys.modules)
        await tenios.callback(10).status()
        await tenios.start_callback("+492214710123")
        print(*set(sys.modules) - before)

asyncio.run(main(sys.argv[1], sys.argv[2] == "aiohttp"))
"""


@pytest.mark.parametrize("connections", ["httpx", "aiohttp"])
def test_async_client_imports_what_it_needs_when_it_is_made(connections: str) -> None:
    """At the first request, it would hold the event loop."""
    with FaultServer(respond("200 OK", {"id": 10, "status": "CONNECTED"})) as server:
        command = [sys.executable, "-c", FIRST_REQUESTS, server.url, connections]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    # httpx imports certifi with a TLS context, which is not made for plain HTTP; httpx-aiohttp asks
    # httpx once more.
    late = {"certifi", *sys.stdlib_module_names}
    names = {name for name in output.split() if name.partition(".")[0] not in late}
    # phonenumbers reads the rules of a country with its first number.
    assert {name for name in names if not name.endswith("data.region_DE")} == set()


def test_import_loads_httpx_and_attrs_and_nothing_else_of_weight() -> None:
    added = imported_by("import tenios_ext") - imported_by("import httpx, attrs")
    assert added - sys.stdlib_module_names == {"tenios_client", "tenios_ext"}
    assert "asyncio" not in added


def test_import_of_a_package_waits_until_it_is_used() -> None:
    uses = {
        "phonenumbers": "tenios_ext.to_e164('+49 221 4710123')",
        "asyncio": "tenios_ext.AsyncTenios",
        "tenios_simulator": "__import__('tenios_simulator').Simulator",
        "tenios_campaign": "__import__('tenios_campaign').Campaign",
    }
    waiting = f"print(*{set(uses)} - set(sys.modules))"
    code = "; ".join(
        ["import sys, tenios_ext", waiting, *(f"{use}; {waiting}" for use in uses.values())]
    )
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    expected = [set(list(uses)[number:]) for number in range(len(uses) + 1)]
    assert [set(line.split()) for line in run.stdout.split("\n")[:-1]] == expected
