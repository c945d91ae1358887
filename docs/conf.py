"""
Sphinx settings: pages are in Markdown (MyST), the reference is made from docstrings, and
command-line.md is also the man page.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING, Any

from docutils.nodes import reference

import tenios_ext
import tenios_simulator

if TYPE_CHECKING:
    from docutils.nodes import document
    from sphinx.application import Sphinx

project = "TENIOS Callback SDK"
author = "The TENIOS Callback SDK contributors"
project_copyright = author
version = release = tenios_ext.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_click"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

smartquotes = False  # They turn the dashes of --simulator into one.

for module in (tenios_ext, tenios_simulator):  # autodoc does not see what is imported on first use
    vars(module).update({name: getattr(module, name) for name in module.__all__})

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True}
napoleon_attr_annotations = False  # They name private modules, and constructors have the types.
napoleon_google_docstring = True
napoleon_use_ivar = True

man_pages = [("command-line", "tenios", "start and follow callbacks with TENIOS", author, 1)]

html_theme = "furo"
html_title = "TENIOS Callback SDK"
html_static_path = ["static"]
html_css_files = ["narrow.css"]


def _unlink_files(_: Sphinx, page: str, source: list[str]) -> None:
    """Turn links to files of the repository, which the site does not have, into their names."""
    root = re.escape("../" * (page.count("/") + 1))
    source[0] = re.sub(rf"\[([^\]]+)\]\({root}([^)#]+)(?:#[^)]*)?\)", r"\1 (`\2`)", source[0])


def _readable_signature(
    _: Sphinx,
    what: str,
    __: str,
    ___: object,
    ____: object,
    signature: str | None,
    returns: str | None,
) -> tuple[str, str | None] | None:
    """
    Write defaults as in source code, and leave out the constructors of errors, which only this
    package calls, and of protocols.
    """
    if signature is None:
        return None
    if what == "exception" or signature == "(*args, **kwargs)":
        return "", None
    signature = re.sub(r"<function (\w+)>", r"\1", signature)
    signature = re.sub(r"<[\w.]+\.(\w+) object>", r"\1()", signature)
    signature = re.sub(r"<(\w+\.\w+): [^>]*>", r"\1", signature)
    return signature, returns


def _property_or_error(
    _: Sphinx, what: str, __: str, thing: Any, ___: object, lines: list[str]
) -> None:
    """
    Begin properties with an empty comment, because napoleon would take the first line up to a colon
    for a type, and errors with their base classes.
    """
    if what == "property":
        lines[:0] = ["..", ""]
    if what == "exception":
        bases = ", ".join(f":exc:`{base.__name__}`" for base in thing.__bases__)
        lines[:0] = [f"Bases: {bases}", ""]


def _show_enum_members(
    _: Sphinx, __: str, ___: str, thing: object, ____: object, _____: object
) -> bool | None:
    """Show the members of enums, which have no docstrings."""
    return False if isinstance(thing, Enum) else None


def _adapt_links(app: Sphinx, page: document, _: str) -> None:
    """
    Show the public name of a class, not its private module, when the mouse is over a link to it.
    In the man page, keep only the text of links to pages, or an empty <> would follow it.
    """
    for link in list(page.findall(reference)):
        if "reftitle" in link:
            link["reftitle"] = re.sub(r"\._\w+(?=\.)", "", link["reftitle"])
        if app.builder.name == "man" and link.get("internal"):
            link.replace_self(link.children)


def _language(_: Sphinx, page: str, __: str, context: dict[str, Any], ___: object) -> None:
    """Mark the German pages as German."""
    if page.startswith("de/"):
        context["language"] = "de"


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", _unlink_files)
    app.connect("autodoc-skip-member", _show_enum_members)
    app.connect("autodoc-process-signature", _readable_signature)
    app.connect("autodoc-process-docstring", _property_or_error, priority=400)  # before napoleon
    app.connect("doctree-resolved", _adapt_links)
    app.connect("html-page-context", _language)
