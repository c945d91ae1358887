"""
Change the Python code in small ways, one at a time, and list the changes that no test notices.

    mutants.py [--count 150] [--seed 1] [--package tenios_ext] [--whole]

Each mutant runs in a copy of the checkout: first the tests that are named after its module, then
those of its package and, with --whole, all tests of `make test`. A run that hangs counts as a
failure. Takes about half a minute for each mutant, and longer with --whole.
"""

from __future__ import annotations

import argparse
import ast
import copy
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
TESTS = {
    "tenios_ext": ["tests/ext", "tests/promises"],
    "tenios_ext/ledger": ["tests/ledger", "tests/promises"],
    "tenios_cli": ["tests/cli"],
    "tenios_campaign": ["tests/campaign", "tests/cli"],
    "tenios_simulator": ["tests/simulator"],
}
GENERATED = {"_sync_client.py", "_poller.py", "_transport.py", "_network.py"}
IGNORED = ["clients", "mutation", "campaign/test_chaos.py"]  # also by make test
PAIRS: list[tuple[Any, Any]] = [
    *((ast.Eq, ast.NotEq), (ast.Is, ast.IsNot), (ast.In, ast.NotIn), (ast.Lt, ast.LtE)),
    *((ast.Gt, ast.GtE), (ast.And, ast.Or), (ast.Add, ast.Sub)),
]
OPPOSITE = dict(PAIRS) | {second: first for first, second in PAIRS}
SECONDS = 300


def changed(node: ast.AST) -> ast.AST | None:
    """Return the replacement of *node*, or None if there is none."""
    new: Any = copy.copy(node)
    match node:
        case ast.Compare(ops=[first, *others]):
            new.ops = [OPPOSITE[type(first)](), *others]
        case ast.BoolOp() | ast.BinOp(op=ast.Add() | ast.Sub()):
            new.op = OPPOSITE[type(node.op)]()
        case ast.Constant(value=bool(value)):
            new.value = not value
        case ast.Constant(value=int(value) | float(value)):
            new.value = value + 1
        case ast.Return(value=ast.expr() as value) if ast.unparse(value) != "None":
            new.value = ast.Constant(None)
        case ast.Expr(value=ast.Constant() | ast.Yield()):
            return None
        case ast.Assign(targets=[ast.Name() | ast.Tuple(), *_]) | ast.AnnAssign():
            return None  # Any test would notice the missing name.
        case ast.Expr() | ast.Assign() | ast.AugAssign() | ast.Raise():
            new = ast.Pass()
        case _:
            return None
    return new  # type: ignore[no-any-return] # any kind of node


def nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes in *node*, except annotations and f-strings, which have no positions."""
    for field, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            positioned = isinstance(child, ast.AST) and not isinstance(child, ast.JoinedStr)
            if positioned and field not in {"annotation", "returns"}:
                yield child
                yield from nodes(child)


def mutants(path: Path) -> Iterator[tuple[Path, int, str, str, bytes]]:
    """Yield the mutants of a file: path, line, old and new code, and the new text of the file."""
    text = (ROOT / path).read_bytes()
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for node in nodes(ast.parse(text)):
        if (new := changed(node)) is not None:
            at: Any = node  # all these nodes have a position
            start = starts[at.lineno - 1] + at.col_offset
            end = starts[at.end_lineno - 1] + at.end_col_offset
            after = ast.unparse(new)
            whole = text[:start] + after.encode() + text[end:]
            yield path, at.lineno, ast.unparse(node), after, whole


def folders_of(path: Path) -> list[str]:
    """Return the folders of the tests for a module."""
    return TESTS.get(path.parent.as_posix(), TESTS[path.parts[0]])


def failure_of(copied: Path, tests: list[str], *, workers: str = "0") -> str | None:
    """Return the first test that fails in a copy, or None."""
    command: list[str | Path] = [ROOT / ".venv/bin/python", "-m", "pytest", "-qx", "-n", workers]
    command += [f"--ignore=tests/{each}" for each in IGNORED]
    try:
        result = subprocess.run(
            [*command, *tests],
            cwd=copied,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "a run that hangs"
    failed = [line for line in result.stdout.splitlines() if line[:6] in {"FAILED", "ERROR "}]
    return (failed or ["pytest itself"])[0] if result.returncode else None


def first_failure(copied: Path, path: Path, *, whole: bool) -> str | None:
    """Return the first test that fails in a copy with a changed file, or None."""
    name = path.stem.removeprefix("_").removeprefix("async_")
    folders = folders_of(path)
    named = [str(each) for folder in folders for each in Path(folder).glob(f"test_{name}*.py")]
    return (
        (failure_of(copied, named) if named else None)
        or failure_of(copied, folders)
        or (failure_of(copied, ["tests"], workers="auto") if whole else None)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().partition("\n")[0])
    parser.add_argument("--count", type=int, default=150)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--package", default="tenios_*")
    parser.add_argument("--whole", action="store_true")
    options = parser.parse_args()
    files = sorted(
        path.relative_to(ROOT)
        for path in ROOT.glob(f"{options.package}/**/*.py")
        if path.name not in GENERATED
    )
    found = [mutant for path in files for mutant in mutants(path)]
    chosen = random.Random(options.seed).sample(found, min(options.count, len(found)))
    killed = 0
    with tempfile.TemporaryDirectory() as folder:
        copied = Path(folder) / "copy"
        ignored = shutil.ignore_patterns(".*", "node_modules", "build", "dist")
        shutil.copytree(ROOT, copied, symlinks=True, ignore=ignored)
        for tests in sorted({each for path, *_ in chosen for each in folders_of(path)}):
            if failure := failure_of(copied, [tests], workers="auto"):
                sys.exit(f"This fails without a mutant. Fix it first: {failure}")
        for path, line, before, after, text in chosen:
            original = (copied / path).read_bytes()
            (copied / path).write_bytes(text)
            if "_async_" in path.name:
                generate: list[str | Path] = [ROOT / ".venv/bin/python", "scripts/generate_sync.py"]
                subprocess.run(generate, cwd=copied, capture_output=True, check=False)
            failure = first_failure(copied, path, whole=options.whole)
            (copied / path).write_bytes(original)
            killed += failure is not None
            verdict = "killed" if failure else "LIVES "
            print(verdict, f"{path}:{line}", before, "->", after, failure or "", flush=True)
    print(f"Tests noticed {killed} of {len(chosen)} mutants.")


if __name__ == "__main__":
    main()
