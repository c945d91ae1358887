"""Recognises hosts: this machine, TENIOS, and those that NO_PROXY lists."""

from __future__ import annotations

import ipaddress
from contextlib import suppress
from urllib.parse import urlsplit

import httpx


def parse_url(text: str) -> httpx.URL | None:
    """Return a URL; None if it is invalid or has no host."""
    try:
        has_port = urlsplit(text).port != 0  # Stricter than httpx.
        url = httpx.URL(text)
        return url if url.host.rstrip(".") and has_port and " " not in text else None
    except (ValueError, httpx.InvalidURL):
        return None


def is_loopback(host: str) -> bool:
    """Return whether *host* is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_tenios(host: str | None) -> bool:
    """Return whether *host* belongs to TENIOS."""
    name = (host or "").lower().rstrip(".")
    return name == "tenios.com" or name.endswith(".tenios.com")


def is_excluded(host: str, port: int, no_proxy: str) -> bool:
    """
    Return whether ``NO_PROXY`` lists *host*, in curl's format.

    An entry is ``*``, an address, a network such as ``10.0.0.0/8``, or a domain with its
    subdomains, optionally with a leading dot or ``*.``. It may have a port.
    """
    name = host.lower().strip("[]").rstrip(".")
    for entry in no_proxy.lower().replace(",", " ").split():
        domain, separator, number = entry.rpartition(":")
        if not separator or not number.isdecimal() or (":" in domain and "]" not in domain):
            domain, number = entry, ""  # No port: an IPv6 address also contains colons.
        if number and int(number) != port:
            continue
        domain = domain.strip("[]").removeprefix("*.").strip(".")
        if domain in {"*", name} or (domain and name.endswith(f".{domain}")):
            return True
        with suppress(ValueError):
            if ipaddress.ip_address(name) in ipaddress.ip_network(domain, strict=False):
                return True
    return False
