"""
Write generated/tenios_client from openapi.yaml, or check that it is up to date.

    generate.py               write the package
    generate.py --check       write nothing; list the differences and exit with 1 if there are any
    generate.py --root DIR    use another copy of the repository
"""

from __future__ import annotations

import argparse
import filecmp
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PACKAGE = Path("generated/tenios_client")
HEADER = (
    "# Generated from openapi.yaml by openapi-python-client. Do not edit: change the contract and "
    'run "make generate".\n'
)

# The generator passes `*args: object` to httpx's typed __exit__, which strict type checkers reject.
UNTYPED_EXIT, TYPED_EXIT = "*args: object,", "*args: Any,"


def generate(root: Path, output: Path) -> None:
    """
    Generate the package from the contract in *root* into the new folder *output*.

    Uses the generator and ruff that are installed next to this interpreter. Raises
    CalledProcessError if the generator fails or warns, and RuntimeError if its output no longer
    needs a correction of this script.
    """
    tools = Path(sys.executable).parent
    command: list[str | Path] = [
        tools / "openapi-python-client",
        "generate",
        "--meta",
        "none",
        "--fail-on-warning",
    ]
    command += ["--config", root / "generator-config.yaml", "--output-path", output]
    command += ["--custom-template-path", root / "generator-templates"]
    path = f"{tools}{os.pathsep}{os.environ.get('PATH', '')}"
    with tempfile.TemporaryDirectory() as folder:
        # The generator does not support open lists of values. The template keeps the enum open.
        contract = Path(folder) / "openapi.yaml"
        text = (root / contract.name).read_text(encoding="utf-8")
        contract.write_text(text.replace("x-extensible-enum:", "enum:"), encoding="utf-8")
        subprocess.run(
            [*command, "--path", contract],
            check=True,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "PATH": path},
        )

    client = output / "client.py"
    source = client.read_text()
    if UNTYPED_EXIT not in source:
        raise RuntimeError(
            "The generator now types __exit__. Remove UNTYPED_EXIT from scripts/generate.py."
        )
    client.write_text(source.replace(UNTYPED_EXIT, TYPED_EXIT))
    (output / "py.typed").touch()
    for module in sorted(output.rglob("*.py")):
        module.write_text(HEADER + module.read_text())


def files_in(folder: Path) -> set[Path]:
    """Return the relative paths of the files in *folder*, without Python's caches."""
    return {
        p.relative_to(folder)
        for p in folder.rglob("*")
        if p.is_file() and "__pycache__" not in p.parts
    }


def differences(expected: Path, actual: Path) -> list[str]:
    """Return a line for each file of *actual* that is missing, changed or stale."""
    want, have = files_in(expected), files_in(actual)
    changed = {p for p in want & have if not filecmp.cmp(expected / p, actual / p, shallow=False)}
    lines = [f"missing  {p}" for p in want - have] + [f"changed  {p}" for p in changed]
    return sorted(lines + [f"stale    {p}" for p in have - want])


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent.parent)
    arguments = parser.parse_args()
    target = arguments.root / PACKAGE

    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder) / target.name
        generate(arguments.root, fresh)
        if not arguments.check:
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(fresh, target)
            return 0
        found = differences(fresh, target)
    if found:
        print(
            f'{PACKAGE} is out of date. Run "make generate" and commit the result:',
            *found,
            sep="\n  ",
        )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
