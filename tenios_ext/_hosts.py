"""Recognises hosts: this machine and TENIOS."""

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
    name = host or ""
    with suppress(UnicodeError):  # Other scripts have dots and letters that mean the same.
        name = name.encode("idna").decode()
    name = name.lower().rstrip(".")
    return name == "tenios.com" or name.endswith(".tenios.com")
