"""The OpenAPI description that ships with the package."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Literal

ContractFormat = Literal["yaml", "json", "3.0"]

_NAMES = {"yaml": "openapi.yaml", "json": "openapi.json", "3.0": "openapi-3.0.json"}


def contract_text(format: ContractFormat = "yaml") -> str:  # noqa: A002 - the option of the command has this name
    """
    Return the OpenAPI description of the TENIOS Callback API.

    Args:
        format: "yaml" for ``openapi.yaml`` (OpenAPI 3.1), "json" for JSON without
            ``links``, "3.0" for that JSON in OpenAPI 3.0.

    Raises:
        FileNotFoundError: The JSON files of a source checkout have not been built. Run ``make
            artefacts``.
    """
    name = _NAMES[format]
    shipped = files(__package__) / name
    if shipped.is_file():
        return shipped.read_text(encoding="utf-8")
    folder = "." if format == "yaml" else "build/contract"
    return (Path(__file__).parents[1] / folder / name).read_text(encoding="utf-8")
