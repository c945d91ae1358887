"""The contract as a page to read: Jinja escapes what it is given, and markdown-it knows how descriptions are written."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from jinja2 import Environment
from markdown_it import MarkdownIt
from markupsafe import Markup

from .shape import contract

if TYPE_CHECKING:
    from collections.abc import Mapping


@cache
def contract_page() -> str:
    """HTML, whole."""
    markdown = MarkdownIt("js-default")  # HTML in a description stays text
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["markdown"] = lambda text: Markup(markdown.render(text))  # noqa: S704 - it has just been escaped
    environment.filters["resolved"] = _resolved
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False}
    template = (files(__package__) / "console" / "contract.html").read_text(encoding="utf-8")
    return environment.from_string(template).render(contract=contract())


def _resolved(node: Mapping[str, Any]) -> Mapping[str, Any]:
    """*node*, or what it refers to, with the name of that."""
    if "$ref" not in node:
        return node
    *_, section, name = node["$ref"].split("/")
    target: Mapping[str, Any] = contract()["components"][section][name]
    return {"name": name, **target}
