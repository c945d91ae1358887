"""
Write the contract for tools that do not read openapi.yaml: as JSON, and as an OpenAPI 3.0 copy for older tools.

    artefacts.py FOLDER    write both files and their checksums

Hatch runs this module when it builds the wheel, which contains both files.
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
_LICENCE_URLS = {"Apache-2.0": "https://www.apache.org/licenses/LICENSE-2.0"}


def artefacts(contract: str) -> dict[str, str]:
    """Return the text of each file by its name."""
    document: dict[str, Any] = yaml.safe_load(contract)
    files = {
        f"openapi{suffix}.json": json.dumps(each, indent=2, ensure_ascii=False) + "\n"
        for suffix, each in {"": document, "-3.0": _to_3_0(document)}.items()
    }
    sums = [f"{hashlib.sha256(text.encode()).hexdigest()}  {name}\n" for name, text in files.items()]
    return {**files, "SHA256SUMS": "".join(sums)}


def _to_3_0(document: dict[str, Any]) -> dict[str, Any]:
    """
    Return *document* in OpenAPI 3.0. If it uses more of 3.1 than is converted here, the linters report it.

    Links are left out: openapi-generator refuses one whose request body is an object, and schemathesis follows no others.
    """
    older = copy.deepcopy(document)
    older["openapi"] = "3.0.3"
    del older["info"]["summary"]
    older["info"]["license"]["url"] = _LICENCE_URLS[older["info"]["license"].pop("identifier")]
    del older["components"]["links"]
    for response in older["components"]["responses"].values():
        response.pop("links", None)
    return older


def write(folder: Path) -> None:
    """Write all files into *folder*."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in artefacts((ROOT / "openapi.yaml").read_text(encoding="utf-8")).items():
        (folder / name).write_text(text, encoding="utf-8")


class BuildHook(BuildHookInterface[Any]):
    """Adds the files to the wheel, next to openapi.yaml."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the files before the wheel is built. An editable one reads the contract from the checkout."""
        if version == "editable":
            return
        self._folder = tempfile.TemporaryDirectory()
        write(Path(self._folder.name))
        for path in Path(self._folder.name).glob("*.json"):
            build_data["force_include"][str(path)] = f"tenios_ext/{path.name}"

    def finalize(self, *_: object) -> None:
        """Remove the temporary files after the wheel has been built."""
        if hasattr(self, "_folder"):
            self._folder.cleanup()


if __name__ == "__main__":
    write(Path(sys.argv[1]))
