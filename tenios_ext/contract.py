"""The contract, as it is shipped with the package."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path


def contract_text() -> str:
    """The text of ``openapi.yaml``, OpenAPI 3.1 in YAML."""
    shipped = files(__package__) / "openapi.yaml"
    if shipped.is_file():
        return shipped.read_text(encoding="utf-8")
    # In a checkout it lies beside the package instead of in it.
    return (Path(__file__).parent.parent / "openapi.yaml").read_text(encoding="utf-8")
