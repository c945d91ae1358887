"""
Write the contract for tools that do not read openapi.yaml.

    artefacts.py FOLDER    write the files and their checksums

- openapi.json is the contract without links: openapi-generator refuses a link with an object as its
  request body.
- openapi-3.0.json is the same in OpenAPI 3.0. The responses 4XX and 5XX replace the default
  response, which progenitor refuses.
- callback.postman_collection.json sends requests to the simulator.
- callback.arazzo.yaml is the document in the root, for openapi.json.

Hatch runs this module as a build hook, because the wheel contains the files.
"""

from __future__ import annotations

import copy
import hashlib
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
_METHODS = ("get", "put", "post", "delete", "patch")
_KEEP_ID = "if (pm.response.code === 200) pm.collectionVariables.set('id', pm.response.json().id);"
_LICENCE_URLS = {"Apache-2.0": "https://www.apache.org/licenses/LICENSE-2.0"}


def artefacts(contract: str, workflow: str) -> dict[str, str]:
    """Return the text of each file by name."""
    document = _without_links(yaml.safe_load(contract))
    documents = {
        "openapi.json": document,
        "openapi-3.0.json": _to_3_0(document),
        "callback.postman_collection.json": _postman_collection(document),
    }
    files = {
        name: json.dumps(each, indent=2, ensure_ascii=False) + "\n"
        for name, each in documents.items()
    }
    files["callback.arazzo.yaml"] = workflow.replace("url: ./openapi.yaml", "url: ./openapi.json")
    sums = [
        f"{hashlib.sha256(text.encode()).hexdigest()}  {name}\n" for name, text in files.items()
    ]
    return {**files, "SHA256SUMS": "".join(sums)}


def _without_links(document: dict[str, Any]) -> dict[str, Any]:
    components = document.get("components", {})
    components.pop("links", None)
    responses = [*components.get("responses", {}).values()]
    for _, _, operation in _operations(document):
        responses += operation["responses"].values()
    for response in responses:
        response.pop("links", None)
    return document


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield the path, method and content of each operation."""
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                yield path, method, item[method]


def _resolved(document: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    """Return *node*, or the component that it refers to."""
    while "$ref" in node:
        _, *names = node["$ref"].split("/")
        node = document
        for name in names:
            node = node[name]
    return node


def _to_3_0(document: dict[str, Any]) -> dict[str, Any]:
    """Return *document* in OpenAPI 3.0. Linters report features of 3.1 that are not converted."""
    older = copy.deepcopy(document)
    older["openapi"] = "3.0.3"
    older["info"].pop("summary", None)
    licence = older["info"].get("license", {})
    if "identifier" in licence:
        licence["url"] = _LICENCE_URLS[licence.pop("identifier")]
    for _, _, operation in _operations(older):
        responses = operation["responses"]
        if "default" in responses:
            default = responses.pop("default")
            responses.setdefault("4XX", default)
            responses.setdefault("5XX", default)
    return older


def _postman_collection(document: dict[str, Any]) -> dict[str, Any]:
    """
    Return a Postman collection that calls a magic number on the simulator.

    Postman's importer would invent a number from its pattern, and send it to TENIOS.
    """
    variables = {
        "base_url": document["servers"][-1]["url"],
        "access_key": "SIMULATOR-ACCESS-KEY",
        "callback_config_id": "SIMULATOR-CONFIG",
        "callback_number": "+493023125100",
        "delay": "0",
        "id": "10",
    }
    items: list[dict[str, Any]] = []
    for path, method, operation in _operations(document):
        request: dict[str, Any] = {"method": method.upper(), "url": "{{base_url}}" + path}
        body = _resolved(document, operation.get("requestBody", {}))
        if media := body.get("content", {}).get("application/json"):
            example = _example(document, media)
            fields = {
                name: f"{{{{{name}}}}}" if name in variables else value
                for name, value in example.items()
            }
            # These variables are numbers, so they have no quotes.
            raw = json.dumps(fields, indent=2, ensure_ascii=False)
            for name in ("id", "delay"):
                raw = raw.replace(f'"{{{{{name}}}}}"', f"{{{{{name}}}}}")
            request["header"] = [{"key": "Content-Type", "value": "application/json"}]
            request["body"] = {"mode": "raw", "raw": raw, "options": {"raw": {"language": "json"}}}
        item: dict[str, Any] = {"name": operation.get("summary", path), "request": request}
        if operation.get("operationId") == "initCallback":
            script = {"type": "text/javascript", "exec": [_KEEP_ID]}
            item["event"] = [{"listen": "test", "script": script}]
        items.append(item)
    return {
        "info": {
            "name": document["info"]["title"],
            "description": (
                "Starts a callback on the simulator (`tenios simulate`) and gets its status. No "
                "phone rings."
            ),
            "version": document["info"]["version"],
            "schema": "https://schema.getpostman.com/json/collection/v2.1.0/collection.json",
        },
        # Following a redirect would repeat the init request.
        "protocolProfileBehavior": {"followRedirects": False},
        "variable": [{"key": key, "value": value} for key, value in variables.items()],
        "item": items,
    }


def _example(document: dict[str, Any], media: dict[str, Any]) -> dict[str, Any]:
    """Return the first example of a body, or one made of the examples of its fields."""
    if "examples" in media:
        shown: dict[str, Any] = _resolved(document, next(iter(media["examples"].values())))["value"]
        return shown
    schema = _resolved(document, media.get("schema", {}))
    fields = {
        name: _resolved(document, field) for name, field in schema.get("properties", {}).items()
    }
    return media.get("example") or {
        name: field["example"] for name, field in fields.items() if "example" in field
    }


def write(folder: Path) -> None:
    """Write all files into *folder*."""
    folder.mkdir(parents=True, exist_ok=True)
    sources = [
        (ROOT / name).read_text(encoding="utf-8")
        for name in ("openapi.yaml", "callback.arazzo.yaml")
    ]
    for name, text in artefacts(*sources).items():
        (folder / name).write_text(text, encoding="utf-8")


class BuildHook(BuildHookInterface[Any]):
    """Adds the files to the wheel, next to openapi.yaml."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the files, except to an editable wheel, which reads those in the checkout."""
        if version == "editable":
            return
        self._folder = tempfile.TemporaryDirectory()
        write(Path(self._folder.name))
        for path in Path(self._folder.name).iterdir():
            if path.name != "SHA256SUMS":
                build_data["force_include"][str(path)] = f"tenios_ext/{path.name}"

    def finalize(self, *_: object) -> None:
        """Delete the temporary files."""
        if hasattr(self, "_folder"):
            self._folder.cleanup()


if __name__ == "__main__":
    write(Path(sys.argv[1]))
