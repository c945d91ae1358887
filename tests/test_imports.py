"""
The packages import one another in one direction, and no modules in a circle, not even for type
checkers.
"""

from __future__ import annotations

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
#: What each package may import besides itself.
ALLOWED = {
    "tenios_cli": {"tenios_campaign", "tenios_simulator", "tenios_ext"},
    "tenios_campaign": {"tenios_ext"},
    "tenios_simulator": {"tenios_ext"},
    "tenios_ext": {"tenios_client"},
}
OURS = {*ALLOWED, "tenios_client"}

Graph = dict[str, set[str]]


def module_paths(root: Path) -> dict[str, Path]:
    """Return the modules of our packages, by name."""
    paths = {}
    for package in ALLOWED:
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            paths[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return paths


def import_graph(root: Path) -> Graph:
    """
    Return which modules of ours each module imports: anywhere in it, under TYPE_CHECKING, in
    functions and by `import_module`, too.
    """
    paths = module_paths(root)
    return {
        name: {
            imported
            for imported in imports(
                ast.parse(path.read_text(encoding="utf-8")), name, path, set(paths)
            )
            if imported.partition(".")[0] in OURS and imported != name
        }
        for name, path in paths.items()
    }


def imports(tree: ast.Module, name: str, path: Path, modules: set[str]) -> Iterator[str]:
    package = name if path.stem == "__init__" else name.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = (
                package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            )
            source = ".".join([*parents, *([node.module] if node.module else [])])
            # "from package import name" imports the module of that name if there is one, else
            # something from the package.
            submodules = {f"{source}.{alias.name}" for alias in node.names}
            yield from submodules & modules
            if not submodules <= modules:
                yield source
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield from named_in_call(node, package, modules)


def named_in_call(call: ast.Call, package: str, modules: set[str]) -> set[str]:
    """Return the modules that `import_module` can import with the text that it is given."""
    match call.args[0]:
        case ast.Constant(str(text)):
            begins, ends = text, ""
        case ast.JoinedStr([ast.Constant(str(text)), ast.FormattedValue()]):
            begins, ends = text, "."  # the modules in a package
        case _:
            return set()
    if begins.startswith("."):
        begins = f"{package}{begins}"
    return {
        module for module in modules if module == begins or (ends and module.startswith(begins))
    }


def cycle(graph: Graph) -> list[str]:
    """Return the modules of an import cycle, if there is one."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def wrong_directions(graph: Graph) -> set[tuple[str, str]]:
    """Return the imports from one package to another that are not allowed."""
    return {
        (module, imported)
        for module, targets in graph.items()
        for imported in targets
        if imported.partition(".")[0]
        not in ALLOWED[package := module.partition(".")[0]] | {package}
    }


def private_names(text: str, package: str) -> set[str]:
    """Return the private modules and names of other packages of ours that a program imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            names |= {str(each.value) for each in node.args if isinstance(each, ast.Constant)}
    return {
        name
        for name in names
        if name.partition(".")[0] in OURS - {package} and re.search(r"\._(?!_)", name)
    }


def test_modules_do_not_import_one_another_in_a_cycle() -> None:
    assert cycle(import_graph(ROOT)) == []


def test_packages_import_only_those_below_them() -> None:
    assert wrong_directions(import_graph(ROOT)) == set()


@pytest.mark.parametrize("folder", [*ALLOWED, "benchmarks", "conformance", "examples", "scripts"])
def test_packages_use_no_private_module_or_name_of_another(folder: str) -> None:
    found = {
        (str(path.relative_to(ROOT)), name)
        for path in (ROOT / folder).rglob("*.py")
        for name in private_names(path.read_text(encoding="utf-8"), folder)
    }
    assert found == set()


@pytest.mark.parametrize(
    "text",
    [
        "from tenios_ext._clock import SystemClock",
        "from tenios_ext import _clock",
        "def function():\n    import tenios_ext.ledger._database",
        "import_module('tenios_ext._clock').SystemClock",
    ],
)
def test_use_of_a_private_module_is_noticed(text: str) -> None:
    assert private_names(text, "tenios_cli")
    assert not private_names(text, "tenios_ext")
    assert not private_names(text.replace("_clock", "clock").replace("_data", "data"), "tenios_cli")


def test_graph_has_the_imports_that_are_known_to_exist() -> None:
    graph = import_graph(ROOT)
    assert {"tenios_cli", "tenios_simulator", "tenios_ext", "tenios_ext._polling"} <= set(graph)
    assert "tenios_ext._exceptions" in graph["tenios_ext._polling"]
    assert "tenios_client.models" in graph["tenios_ext._models"]
    assert "tenios_ext._models" in graph["tenios_ext._exceptions"], "under TYPE_CHECKING"
    assert "tenios_ext._arguments" in graph["tenios_ext._sync_client"], "from . import"
    assert "tenios_ext._aiohttp" in graph["tenios_ext._async_transport"], "in a function"
    assert any(
        "tenios_ext" in imported
        for name, imported in graph.items()
        if name.startswith("tenios_simulator")
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("from . import _b", "from . import _a"),
        ("from ._b import name", "from ._a import name"),
        ("from tenios_ext._b import name", "import tenios_ext._a"),
        (
            "from ._b import name",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ._a import name",
        ),
        ("from ._b import name", "def function():\n    from ._a import name"),
        ("from .server._c import name", "from . import _a"),
        ("from . import _b", "from tenios_ext import name"),
        ("import_module('._b', __package__).name", "importlib.import_module('tenios_ext._a')"),
        ("from .server._c import name", "import_module(f'.{name}', __package__)"),
    ],
)
def test_cycle_is_noticed(tmp_path: Path, first: str, second: str) -> None:
    for path, text in {
        "__init__.py": "from ._a import name",
        "_a.py": first,
        "_b.py": second,
        "server/__init__.py": "",
        "server/_c.py": "from .._b import name",
    }.items():
        (tmp_path / "tenios_ext" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tenios_ext" / path).write_text(text)
    found = cycle(import_graph(tmp_path))
    assert {"tenios_ext._a", "tenios_ext._b"} <= set(found)
    (tmp_path / "tenios_ext/_b.py").write_text("")
    assert cycle(import_graph(tmp_path)) == []


@pytest.mark.parametrize(
    ("importing", "text", "imported"),
    [
        ("tenios_ext", "import tenios_simulator", "tenios_simulator"),
        ("tenios_ext", "def function():\n    from tenios_cli import name", "tenios_cli"),
        (
            "tenios_simulator",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import tenios_cli.x",
            "tenios_cli.x",
        ),
        (
            "tenios_simulator",
            "from tenios_client.models import CallbackStatus",
            "tenios_client.models",
        ),
        ("tenios_cli", "import tenios_client", "tenios_client"),
    ],
)
def test_wrong_direction_is_noticed(
    tmp_path: Path, importing: str, text: str, imported: str
) -> None:
    (tmp_path / importing).mkdir()
    (tmp_path / importing / "_a.py").write_text(text)
    assert wrong_directions(import_graph(tmp_path)) == {(f"{importing}._a", imported)}
