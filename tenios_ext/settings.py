"""What a client is told: each setting by keyword, else from the environment, else a default."""

from __future__ import annotations

import ipaddress
import os
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

from attrs import field, frozen

from .errors import InvalidRequestError
from .numbers import check_region, to_e164
from .pacing import default_pacing

if TYPE_CHECKING:
    from collections.abc import Collection

    from .pacing import Pacing

SERVICE = "https://api.tenios.com"
_WHERE = "in the TENIOS portal under"


class Secret(str):
    """Text that is sent as it is, but shows as asterisks wherever it is printed, logged or formatted."""

    __slots__ = ()
    MASK = "***"

    def __repr__(self) -> str:
        return repr(self.MASK)

    def __str__(self) -> str:
        return self.MASK

    def __format__(self, spec: str) -> str:
        return format(self.MASK, spec)

    def __reduce__(self) -> NoReturn:
        raise TypeError("A secret is not pickled; give the other process its own access key.")

    def hidden_in(self, text: str) -> str:
        """*text* with each occurrence of the secret masked."""
        return text.replace(str.__str__(self), self.MASK)


@frozen(kw_only=True, eq=False)
class Settings:
    """
    Checked settings of a client; make them with :meth:`of`.

    Attributes:
        access_key: The API's access key.
        callback_config_id: The callback configuration that is used where a call names none; None where each call must.
        base_url: Where TENIOS is; HTTPS, or HTTP to this machine.
        region: The country whose spelling of numbers is understood, such as "DE"; None for international spelling only.
        allowed_numbers: The only numbers that may be called, as E.164; None for all.
        timeout: Seconds to wait for an answer.
        pacing: When a running callback is asked about.
    """

    access_key: Secret
    callback_config_id: str | None = None
    base_url: str = SERVICE
    region: str | None = None
    allowed_numbers: frozenset[str] | None = None
    timeout: float = 30.0
    pacing: Pacing = field(default=default_pacing)

    @classmethod
    def of(
        cls, *, timeout: float, pacing: Pacing, allowed_numbers: Collection[str] | None, **texts: str | None
    ) -> Settings:
        """
        Fill what is None in *texts* from the environment, where ``access_key`` is called ``TENIOS_ACCESS_KEY``, and so on.

        Raises InvalidRequestError where a setting is missing or wrong.
        """
        known: dict[str, Any] = {
            name: text for name, value in texts.items() if (text := _text(name, value)) is not None
        }
        if "access_key" not in known:
            raise InvalidRequestError(
                "There is no access key. Pass access_key=..., or set TENIOS_ACCESS_KEY (or TENIOS_ACCESS_KEY_FILE, the name of a "
                f"file); it is {_WHERE} General Settings, API.",
            )
        if not 0 < timeout < float("inf"):
            raise InvalidRequestError(f"timeout is a number of seconds greater than 0, not {timeout!r}.")
        if "region" in known:
            check_region(known["region"])
        known["base_url"] = _base_url(known.get("base_url", SERVICE))
        if allowed_numbers is None and (listed := os.environ.get("TENIOS_ALLOWED_NUMBERS")) is not None:
            allowed_numbers = [part for part in listed.split(",") if part.strip()]
        if allowed_numbers is not None:
            if isinstance(allowed_numbers, str):
                raise InvalidRequestError("allowed_numbers is a collection of numbers, not one text.")
            known["allowed_numbers"] = frozenset(to_e164(n, region=known.get("region")) for n in allowed_numbers)
        return cls(timeout=timeout, pacing=pacing, **known)


def _text(name: str, value: object) -> str | None:
    variable = f"TENIOS_{name.upper()}"
    if value is not None and not isinstance(value, str):
        raise InvalidRequestError(f"{name} is text, not {type(value).__name__}.")
    if value is None:
        kind = Secret if name == "access_key" else str
        value = kind(os.environ.get(variable, "")) or None
        if value is None and name == "access_key":
            value = _secret_in_file()
    elif not value:
        raise InvalidRequestError(f"{name} is empty; leave it out to use {variable}.")
    if value is not None and (value != value.strip() or not value.isprintable()):
        raise InvalidRequestError(
            f"{name} (or {variable}) has blanks or line breaks around or in it; was it copied whole?"
        )
    return value


def _secret_in_file() -> Secret | None:
    path = os.environ.get("TENIOS_ACCESS_KEY_FILE")
    if not path:
        return None
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 - one descriptor is checked and read
            is_open_to_others = os.name == "posix" and os.fstat(file.fileno()).st_mode & 0o077
            if not is_open_to_others:
                return Secret(file.read().strip()) or None
            reason = f"can be read by others than you. Make it yours alone: chmod 600 {path}"
    except (OSError, UnicodeDecodeError) as error:
        reason = f"cannot be read: {error}"
    # Raised out here, where an error of decoding, which holds what is in the file, is no longer chained.
    raise InvalidRequestError(f"TENIOS_ACCESS_KEY_FILE names {path}, which {reason}")


def _base_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise InvalidRequestError(f"base_url is an address such as {SERVICE!r}, without user, query or fragment.")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise InvalidRequestError(
            "base_url is http:// to another machine, which would send the access key in the clear; use https://.",
        )
    return url.rstrip("/")


def is_loopback(host: str) -> bool:
    """Whether *host* is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
