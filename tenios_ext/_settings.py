"""The settings of a client, from keyword arguments, the environment and defaults."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from attrs import Attribute, converters, field, frozen, validators

from ._checks import is_number, must_be, one_line_problem
from ._exceptions import ConfigurationError
from ._hosts import is_loopback, is_tenios, parse_url
from ._phone import check_region, to_e164
from ._secret import Secret

if TYPE_CHECKING:
    from ._polling import PollInterval
    from .ledger import Ledger

SERVICE = "https://api.tenios.com"
MAX_TIMEOUT = 24 * 3600.0
_DEFAULTS = {"base_url": SERVICE}
_SCHEMES = {"http", "https"}
_SWITCH = {"1": True, "true": True, "yes": True, "": False, "0": False, "false": False, "no": False}
DEFAULT_TIMEOUT = 30.0


def _one_line(_: object, attribute: Attribute[Any], value: Any) -> None:
    if problem := one_line_problem(attribute.name, value):
        raise ConfigurationError(problem)


def _safe_url(settings: ClientSettings, _: Attribute[Any], text: Any) -> None:
    url = parse_url(text)
    if url is None or url.scheme not in _SCHEMES or url.userinfo or url.query or url.fragment:
        raise ConfigurationError(
            f"base_url must be a URL such as {SERVICE!r}, with https:// or http://, and without "
            "user, query or fragment."
        )
    host = url.host.rstrip(".")
    is_trusted = is_loopback(host) or host in (settings.insecure_hosts or ())
    if url.scheme == "http" and not is_trusted:
        raise ConfigurationError(
            f"base_url uses http:// to another machine ({host}), which would send the access key "
            f"unencrypted. Use https://. If {host} is a simulator in your own network, set "
            f"TENIOS_INSECURE_HOSTS={host}."
        )


def _hosts(_: object, __: Attribute[Any], hosts: frozenset[str] | None) -> None:
    if any(map(is_tenios, hosts or ())):
        raise ConfigurationError("insecure_hosts must not name TENIOS, whose API requires HTTPS.")


def _seconds(value: Any, name: str = "timeout", alternative: str = "") -> float:
    if not is_number(value) or not 0 < value <= MAX_TIMEOUT:
        expected = f"a number of seconds greater than 0 and at most {MAX_TIMEOUT:g}"
        raise ConfigurationError(must_be(name, alternative + expected, value))
    return float(value)


def _poll_interval(value: Any) -> PollInterval:
    if callable(value):
        return cast("PollInterval", value)
    seconds = _seconds(value, "poll_interval", "a function, or ")
    return lambda *_: seconds


def _base_url(url: Any) -> Any:
    return url.rstrip("/") if isinstance(url, str) else url


@frozen(kw_only=True, eq=False)
class ClientSettings:
    """
    The settings that a client uses: its arguments, the environment variables and the defaults.

    Attributes:
        callback_config_id: The default callback configuration; None if each call must specify one.
        base_url: The URL of the API, without a trailing slash.
        insecure_hosts: The other hosts for which plain HTTP is allowed; None for none.
        region: The country of numbers without a country code, such as "DE"; None if they are
            refused.
        allowed_numbers: The numbers that may be called, as E.164; None for all.
        allowed_regions: The countries that may be called, such as "DE"; None for all.
        allow_special_numbers: Whether premium-rate, shared-cost, personal, pager and satellite
            numbers are called.
        one_call_per_number: Whether to refuse a call with a key while another call to its number is
            in progress.
        timeout: Seconds to wait for a response.
        poll_interval: The function that returns the seconds until the next status request.
    """

    callback_config_id: str | None = field(validator=validators.optional(_one_line))
    base_url: str = field(converter=_base_url, validator=[_one_line, _safe_url])
    insecure_hosts: frozenset[str] | None = field(validator=_hosts)
    region: str | None = field(converter=converters.optional(check_region))
    allowed_numbers: frozenset[str] | None
    allowed_regions: frozenset[str] | None
    allow_special_numbers: bool
    one_call_per_number: bool
    timeout: float = field(converter=_seconds)
    poll_interval: PollInterval = field(converter=_poll_interval)


@frozen(kw_only=True, eq=False)
class Settings(ClientSettings):
    """The settings of a client, and its access key."""

    access_key: Secret


def read_settings(*, access_key: Secret | None, **given: Any) -> Settings:
    """
    Return checked settings. None is replaced by variables such as ``TENIOS_ACCESS_KEY``.

    Raises:
        ConfigurationError: A setting is missing or invalid.
    """
    key = access_key or _access_key_from_environment()
    key.check()

    def number(text: Any) -> str:
        special = given["allow_special_numbers"]
        return read_number(text, key, region=given["region"], allow_special_numbers=special)

    try:
        for name in ("callback_config_id", "base_url", "region"):
            if given[name] is None:
                given[name] = os.environ.get(f"TENIOS_{name.upper()}") or _DEFAULTS.get(name)
        for name in ("allow_special_numbers", "one_call_per_number"):
            given[name] = _switch(name, given[name])
        items = {"insecure_hosts": str.lower, "allowed_regions": check_region}
        for name, convert in {**items, "allowed_numbers": number}.items():
            given[name] = _listed(name, given[name], convert)
        return Settings(access_key=key, **given)
    except ValueError as error:
        message = key.redact(str(error))  # The key may have been passed as the wrong argument.
    raise ConfigurationError(message)


def read_number(number: Any, key: Secret, **options: Any) -> str:
    """Return :func:`to_e164` of a number. No message quotes any part of the access key."""
    try:
        return to_e164(number, **options)
    except ValueError:
        if not key.is_in(number):
            raise
    raise ValueError("The number contains the access key.")


def _listed(name: str, values: Any, convert: Any) -> frozenset[str] | None:
    """Return the values of a setting, else those of its variable, else None."""
    listed = os.environ.get(f"TENIOS_{name.upper()}") if values is None else None
    if listed is not None:
        values = [part.strip() for part in listed.split(",") if part.strip()]
    if values is None:
        return None
    if isinstance(values, str | bytes):
        kind = type(values).__name__
        raise ConfigurationError(f"{name} must be a list or another collection, got {kind}.")
    try:
        return frozenset(convert(value) for value in values)
    except (TypeError, ValueError) as error:
        hint = " Separate several with commas." if listed is not None else ""
        raise ConfigurationError(f"{name}: {error}{hint}") from None


def _switch(name: str, value: object) -> bool:
    """Return the value of a setting, else that of its variable, else False."""
    if value is None:
        value = _SWITCH.get(os.environ.get(f"TENIOS_{name.upper()}", "").strip().lower())
        if value is None:
            raise ConfigurationError(f"TENIOS_{name.upper()} must be 1 (on) or 0 (off).")
    if not isinstance(value, bool):
        raise ConfigurationError(must_be(name, "True or False", value))
    return value


def _access_key_from_environment() -> Secret:
    key = Secret(os.environ.get("TENIOS_ACCESS_KEY", ""))
    problem = (
        "The access key is missing. Pass access_key=..., or set TENIOS_ACCESS_KEY, or "
        "TENIOS_ACCESS_KEY_FILE to the path of a file with the key. You find the key in the TENIOS "
        "portal under General Settings, API."
    )
    name = os.environ.get("TENIOS_ACCESS_KEY_FILE")
    if name and not key.reveal():
        try:
            # Some editors and secret stores add a byte order mark.
            key = Secret(Path(name).expanduser().read_text(encoding="utf-8-sig").strip())
        except (OSError, RuntimeError, ValueError) as error:
            # The path is not shown, because the wrong variable may contain the key.
            reason = getattr(error, "strerror", None) or "It is not a text file"
            problem = f"Cannot read the file that TENIOS_ACCESS_KEY_FILE names: {reason}."
    # Raised here, so that a decoding error, which contains the key, is not chained.
    if not key.reveal():
        raise ConfigurationError(problem)
    return key


def ledger_of(ledger: object) -> tuple[Ledger | None, bool]:
    """Return the ledger, else that of ``TENIOS_LEDGER``, and whether the client must close it."""
    url = os.environ.get("TENIOS_LEDGER") if ledger is None else None
    if not url and (ledger is None or ledger is False):
        return None, False
    from .ledger import Ledger  # Most programs have no ledger.

    if url:
        _check_absolute(url)
        return Ledger(url), True
    if not isinstance(ledger, Ledger):
        raise ConfigurationError(f"ledger must be a Ledger, got {type(ledger).__name__}.")
    return ledger, False


def _check_absolute(url: str) -> None:
    """Raise ConfigurationError if the ledger would depend on the working directory."""
    scheme, _, name = url.partition(":///")
    if scheme == "sqlite" and name and name[0] != "~" and not Path(name).is_absolute():
        raise ConfigurationError(
            "TENIOS_LEDGER must name an absolute path, such as "
            "sqlite:////var/lib/app/callbacks.db. A relative path is a different ledger in each "
            "directory."
        )
