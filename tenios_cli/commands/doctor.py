"""``tenios doctor``."""

from __future__ import annotations

import os
import platform
import stat
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import click

from tenios_cli._clients import client_arguments
from tenios_cli._exit_codes import ExitCode
from tenios_cli._options import client_options
from tenios_cli._output import describe_error, in_options
from tenios_cli._streams import escape_controls

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tenios_cli._run import Run
    from tenios_ext import Tenios

_PACKAGES = (
    "httpx",
    "attrs",
    "phonenumbers",
    "aiohttp",
    "httpx-aiohttp",
    "sqlalchemy",
    "psycopg",
    "starlette",
    "uvicorn",
    "rich",
)
_NO_OPERATION = {404, 405, 501}
_NO_CONFIG_ID = (
    "not set. Set TENIOS_CALLBACK_CONFIG_ID. The id is in the TENIOS portal on the page Callback "
    "Configurations."
)


class Check(NamedTuple):
    """A check, what it found, whether it has passed, and whether that deserves a look anyway."""

    check: str
    text: str
    ok: bool = True
    warning: bool = False


@click.command()
@client_options
@click.pass_obj
def doctor(run: Run) -> ExitCode | None:
    """
    Check the settings and the connection to TENIOS.

    Starts no callback and never sends or prints the access key. Exits with 1 if a check fails.
    """
    checks = list(_checks(client_arguments(run.simulator)))
    for check in checks:
        label = "WARN" if check.warning else "ok" if check.ok else "FAIL"
        line = f"{label:4} {check.check}: {escape_controls(check.text)}"
        run.say(line, **check._asdict())
    return None if all(check.ok for check in checks) else ExitCode.FAILED


def _checks(arguments: dict[str, Any]) -> Iterator[Check]:
    from tenios_ext import ConfigurationError, Tenios

    yield Check("versions", ", ".join(_versions()))
    uses_simulator = "access_key" in arguments
    if not uses_simulator:
        yield from _access_key_file()
    try:
        tenios = Tenios(**arguments)
    except ConfigurationError as error:
        yield Check("settings", in_options(str(error)), ok=False)
        return
    with tenios:
        variables = [
            name for name in ("TENIOS_ACCESS_KEY", "TENIOS_ACCESS_KEY_FILE") if os.environ.get(name)
        ]
        source = "the simulator's" if uses_simulator else f"set by {variables[0]}"
        yield Check("access key", source)
        settings = tenios.settings
        config_id = settings.callback_config_id
        yield Check("callback config id", config_id or _NO_CONFIG_ID, ok=bool(config_id))
        for name in ("allowed_numbers", "allowed_regions"):
            if (allowed := getattr(settings, name)) is not None:
                text = ", ".join(sorted(allowed)) or "none, so no number can be called"
                yield Check(name.replace("_", " "), text)
        if settings.allow_special_numbers:
            yield Check("special numbers", "allowed, including premium-rate numbers")
        if settings.one_call_per_number:
            yield Check("one call per number", "on, for calls with a key")
        if hosts := os.environ.get("TENIOS_INSECURE_HOSTS"):
            text = f"{hosts}: the access key may be sent to them unencrypted"
            yield Check("insecure hosts", text, warning=True)
        if uses_simulator:
            yield _simulator(tenios, in_process="transport" in arguments)
        else:
            yield from _ledger()
            yield from _connection(settings.base_url)


def _simulator(tenios: Tenios, *, in_process: bool) -> Check:
    """Check that the simulator responds, by the status of callback 0, which does not exist."""
    from tenios_ext import StatusUnavailableError

    url = tenios.settings.base_url
    try:
        tenios.callback(0).status()
    except StatusUnavailableError as error:
        if error.error_code in {None, "NOT_FOUND"}:
            text = f"{url} does not respond like a simulator: {describe_error(error)}"
            return Check("simulator", text, ok=False)
    return Check("simulator", "responds" if in_process else f"{url} responds")


def _ledger() -> Iterator[Check]:
    if not (url := os.environ.get("TENIOS_LEDGER")):
        return
    from tenios_ext import LedgerUnavailableError
    from tenios_ext.ledger import Ledger

    with Ledger(url) as ledger:
        try:
            count = len(ledger.entries(state="unknown"))
        except LedgerUnavailableError as error:
            yield Check("ledger", f"{ledger}: {error}", ok=False)
            return
        outcomes = "1 unknown outcome" if count == 1 else f"{count or 'no'} unknown outcomes"
        hint = ". List them with `tenios ledger list --state unknown`" if count else ""
        yield Check("ledger", f"{ledger}, {outcomes}{hint}")


def _access_key_file() -> Iterator[Check]:
    name = os.environ.get("TENIOS_ACCESS_KEY_FILE")
    if not name or os.environ.get("TENIOS_ACCESS_KEY") or os.name != "posix":
        return
    try:
        mode = stat.S_IMODE(Path(name).expanduser().stat().st_mode)
    except (OSError, RuntimeError, ValueError):
        return  # The client reports it.
    if mode & (stat.S_IRGRP | stat.S_IROTH):
        text = f"other users of this machine can read it (mode {mode:04o})"
        yield Check("access key file", text, warning=True)


def _connection(base_url: str) -> Iterator[Check]:
    import httpx

    from tenios_ext.shared import is_tenios, proxy_of_environment

    url = urlsplit(base_url)
    host = url.hostname or ""
    if os.environ.get("TENIOS_OFFLINE"):
        text = (
            "TENIOS_OFFLINE is set, so nothing is sent to TENIOS. Unset it to start real callbacks."
        )
        yield Check("offline", text, ok=not is_tenios(host))
        if is_tenios(host):
            return
    # Neither starts a callback or sends the access key. The first is no operation of the API.
    method, target = "GET", f"{base_url}/"
    if url.path or not is_tenios(host):
        method, target = "POST", f"{base_url}/callback/status"
    try:
        with (
            httpx.Client(
                proxy=None if base_url.startswith("http://") else proxy_of_environment(base_url),
                timeout=httpx.Timeout(30.0, connect=5.0),
                trust_env=False,
                verify=base_url.startswith("https://") and httpx.create_ssl_context(),
            ) as client,
            client.stream(method, target, json={} if method == "POST" else None) as response,
        ):
            ok = method == "GET" or response.status_code not in _NO_OPERATION
            text = f"{base_url} responds (HTTP {response.status_code})"
            if not ok:
                text += " but has no /callback/status. Check its host, port and path"
            yield Check("base URL", text, ok=ok)
    except Exception as error:  # noqa: BLE001 - proxies and certificates raise many types
        text = f"{base_url} cannot be reached: {describe_error(error)}"
        yield Check("base URL", text, ok=False)


def _versions() -> Iterator[str]:
    yield f"tenios-callback {version('tenios-callback')}"
    yield f"Python {platform.python_version()}"
    for name in _PACKAGES:
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError:
            continue
