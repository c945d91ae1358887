"""The contract as an HTML page."""

from __future__ import annotations

import json
from functools import cache, partial
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from jinja2 import Environment
from markdown_it import MarkdownIt

from .._schema import contract

if TYPE_CHECKING:
    from collections.abc import Mapping


@cache
def contract_page() -> str:
    """Return the contract as an HTML page."""
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    # "js-default" escapes HTML in descriptions, so the template may mark the result as safe.
    environment.filters["markdown"] = MarkdownIt("js-default").render
    environment.filters["resolved"] = _resolve
    # Jinja's own "tojson" writes apostrophes as \u0027.
    environment.filters["json"] = partial(json.dumps, indent=2, ensure_ascii=False)
    template = (files(__package__) / "console" / "contract.html").read_text(encoding="utf-8")
    return environment.from_string(template).render(contract=contract())


def _resolve(node: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return *node* or, if it is a reference, the component with its name added."""
    if "$ref" not in node:
        return node
    *_, section, name = node["$ref"].split("/")
    target: Mapping[str, Any] = contract()["components"][section][name]
    return {"name": name, **target}
