"""The contract, as it is shipped with the package."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Literal

Form = Literal["yaml", "json", "3.0"]

_NAMES: dict[Form, str] = {"yaml": "openapi.yaml", "json": "openapi.json", "3.0": "openapi-3.0.json"}
_CHECKOUT = Path(__file__).parent.parent


def contract_text(form: Form = "yaml") -> str:
    """
    The contract's text.

    Args:
        form: "yaml" for ``openapi.yaml``, OpenAPI 3.1, as it was written; "json" for the same as JSON; "3.0" for a JSON copy in
            OpenAPI 3.0.

    Raises:
        FileNotFoundError: In a checkout of the sources, the JSON files have not been made yet; ``make artefacts`` does.
    """
    name = _NAMES[form]
    shipped = files(__package__) / name
    if shipped.is_file():
        return shipped.read_text(encoding="utf-8")
    # In a checkout it lies beside the package instead of in it, or is built there.
    folder = _CHECKOUT if form == "yaml" else _CHECKOUT / "build/contract"
    return (folder / name).read_text(encoding="utf-8")
