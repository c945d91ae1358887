"""``tenios doctor``: are the settings there, and can TENIOS be reached?"""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import httpx

from ..errors import InvalidRequestError
from ..transport import NotOk
from ..version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..client import Tenios

_PACKAGES = ("httpx", "attrs", "phonenumbers", "aiohttp", "httpx-aiohttp", "starlette", "uvicorn", "rich")


def examine(client: Callable[[], Tenios]) -> Iterator[dict[str, Any]]:
    """Each check, with whether all is well and a line about it."""
    yield {"check": "versions", "ok": True, "text": ", ".join(_versions())}
    try:
        tenios = client()
    except InvalidRequestError as error:
        yield {"check": "settings", "ok": False, "text": str(error)}
        return
    with tenios:
        settings = tenios._settings
        named = [name for name in ("TENIOS_ACCESS_KEY", "TENIOS_ACCESS_KEY_FILE") if os.environ.get(name)]
        yield {"check": "access key", "ok": True, "text": f"set ({named[0]})" if named else "set"}
        config_id = settings.callback_config_id
        hint = "not set (TENIOS_CALLBACK_CONFIG_ID); in the TENIOS portal on the page Callback Configurations"
        yield {"check": "callback config id", "ok": bool(config_id), "text": config_id or hint}
        if settings.allowed_numbers is not None:
            listed = ", ".join(sorted(settings.allowed_numbers)) or "none at all"
            yield {"check": "allowed numbers", "ok": True, "text": listed}
        yield _reached(tenios)


def _reached(tenios: Tenios) -> dict[str, Any]:
    """Whether somebody answers at the base URL; asks for no operation, so that no callback is started and no key is sent."""
    url = tenios._settings.base_url
    try:
        status = tenios._http.get("/").status_code
    except NotOk as answered:
        status = answered.response.status_code
    except httpx.HTTPError as error:
        return {"check": "base URL", "ok": False, "text": f"{url} cannot be reached: {type(error).__name__}: {error}"}
    return {"check": "base URL", "ok": True, "text": f"{url} answers (HTTP {status})"}


def _versions() -> Iterator[str]:
    yield f"tenios-callback {__version__}"
    yield f"Python {platform.python_version()}"
    for name in _PACKAGES:
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError:
            continue
