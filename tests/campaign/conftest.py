"""Fixtures of the campaigns' tests: a new ledger in each database."""

from ledger.conftest import _watchdog, ledger, server, url

__all__ = ["_watchdog", "ledger", "server", "url"]
