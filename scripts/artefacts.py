"""
The contract for tools that do not read openapi.yaml: as JSON, and as a 3.0 copy for older tool chains.

    artefacts.py FOLDER    write both, and their checksums

Hatch runs the same when it builds the wheel, which has both inside.
"""

from __future__ import annotations

import copy
import hashlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).resolve().parent.parent
_LICENCES = {"Apache-2.0": "https://www.apache.org/licenses/LICENSE-2.0"}


def artefacts(contract: str) -> dict[str, str]:
    """The text of each file, by name."""
    document: dict[str, Any] = yaml.safe_load(contract)
    files = {
        f"openapi{suffix}.json": json.dumps(each, indent=2, ensure_ascii=False) + "\n"
        for suffix, each in {"": document, "-3.0": _as_3_0(document)}.items()
    }
    sums = [f"{hashlib.sha256(text.encode()).hexdigest()}  {name}\n" for name, text in files.items()]
    return {**files, "SHA256SUMS": "".join(sums)}


def _as_3_0(document: dict[str, Any]) -> dict[str, Any]:
    """
    What OpenAPI 3.0 can say of *document*; the linters say whether that is enough.

    Links go, too: openapi-generator refuses them where their request body is an object, the only form that schemathesis follows.
    """
    older = copy.deepcopy(document)
    older["openapi"] = "3.0.3"
    del older["info"]["summary"]
    older["info"]["license"]["url"] = _LICENCES[older["info"]["license"].pop("identifier")]
    del older["components"]["links"]
    for response in older["components"]["responses"].values():
        response.pop("links", None)
    return older


def write(folder: Path) -> None:
    """Write all of them into *folder*."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in artefacts((ROOT / "openapi.yaml").read_text(encoding="utf-8")).items():
        (folder / name).write_text(text, encoding="utf-8")


class BuildHook(BuildHookInterface[Any]):
    """Puts the files into the wheel, beside openapi.yaml."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before the wheel is built; an editable one reads the contract from the checkout."""
        if version == "editable":
            return
        self._folder = tempfile.TemporaryDirectory()
        write(Path(self._folder.name))
        for path in Path(self._folder.name).glob("*.json"):
            build_data["force_include"][str(path)] = f"tenios_ext/{path.name}"

    def finalize(self, *_: object) -> None:
        """Called after it."""
        if hasattr(self, "_folder"):
            self._folder.cleanup()


if __name__ == "__main__":
    write(Path(sys.argv[1]))
