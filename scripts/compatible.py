"""
Compare the contract with the last release. Fail if info.version is too low for the changes.

    compatible.py [--base FILE] [CONTRACT]    (default: compare with the newest tag)

oasdiff, a Go program, reports changes that break clients. It does not compare open lists of values,
so they are passed as enums, with the rule that a new value is compatible and a removed one is not.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
OASDIFF = ["go", "run", "github.com/oasdiff/oasdiff@v1.36.0"]
SEVERITIES = "response-property-enum-value-added info\nresponse-property-enum-value-removed err\n"


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--base", type=Path)
    parser.add_argument("contract", nargs="?", type=Path, default=ROOT / "openapi.yaml")
    options = parser.parse_args()
    if options.base is not None:
        return compare(options.base, options.contract)
    tag = newest_tag()
    if tag is None:
        print("There is no release yet to compare with.")
        return 0
    with tempfile.NamedTemporaryFile(suffix=".yaml") as released:
        released.write(
            subprocess.run(
                ["git", "show", f"{tag}:openapi.yaml"], cwd=ROOT, check=True, capture_output=True
            ).stdout
        )
        released.flush()
        return compare(Path(released.name), options.contract)


def newest_tag() -> str | None:
    command = ["git", "tag", "--list", "v*", "--sort=-version:refname", "--merged", "HEAD"]
    tags = subprocess.run(
        command, cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()
    return tags[0] if tags else None


def compare(base: Path, contract: Path) -> int:
    old, new = (yaml.safe_load(path.read_text(encoding="utf-8")) for path in (base, contract))
    old_version, new_version = version_of(old), version_of(new)
    if without_version(old) == without_version(new):
        print("The contract has not changed since the last release.")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        severities = Path(folder) / "severities"
        severities.write_text(SEVERITIES, encoding="utf-8")
        command: list[str | Path] = [
            *OASDIFF,
            "breaking",
            "--fail-on",
            "WARN",
            "--severity-levels",
            severities,
        ]
        for name, path in (("released", base), ("current", contract)):
            closed = Path(folder) / f"{name}.yaml"
            text = path.read_text(encoding="utf-8")
            closed.write_text(text.replace("x-extensible-enum:", "enum:"), encoding="utf-8")
            command.append(closed)
        found = subprocess.run(command, check=False)
    if found.returncode not in {0, 1}:
        return found.returncode
    needed = (
        next_breaking(old_version) if found.returncode else (*old_version[:2], old_version[2] + 1)
    )
    kind = "in a way that breaks clients" if found.returncode else "without breaking clients"
    print(f"The contract has changed {kind} since version {dotted(old_version)}.", end=" ")
    if new_version >= needed:
        print(f"Its version {dotted(new_version)} is high enough.")
        return 0
    print(f"Raise info.version from {dotted(new_version)} to {dotted(needed)} or higher.")
    return 1


def next_breaking(version: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return the lowest version that may break clients: below 1.0.0, the next minor version."""
    major, minor, _ = version
    return (major + 1, 0, 0) if major else (0, minor + 1, 0)


def version_of(document: dict[str, Any]) -> tuple[int, int, int]:
    major, minor, patch = map(int, document["info"]["version"].split("."))
    return major, minor, patch


def without_version(document: dict[str, Any]) -> dict[str, Any]:
    return {**document, "info": {**document["info"], "version": None}}


def dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


if __name__ == "__main__":
    sys.exit(main())
