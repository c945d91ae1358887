"""How the site is built: Sphinx, maintained and used by Python itself, with MyST, so that pages are Markdown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import tenios_ext

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "TENIOS Callback SDK"
author = "The TENIOS Callback SDK contributors"
project_copyright = author
version = release = tenios_ext.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode", "sphinx_click"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True}
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_use_ivar = True

man_pages = [("command", "tenios", "have two people called and joined by TENIOS", author, 1)]

html_theme = "furo"
html_title = "TENIOS Callback SDK"
html_static_path: list[str] = []


def _name_files(_: Sphinx, __: str, source: list[str]) -> None:
    """On the site, a link to a file of the repository becomes the file's name."""
    source[0] = re.sub(r"\[([^\]]+)\]\(\.\./([^)#]+)(?:#[^)]*)?\)", r"\1 (`\2`)", source[0])


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", _name_files)
