"""Fixtures of the campaigns' tests: a new ledger in each database."""

from ledger.conftest import ledger, server, url

__all__ = ["ledger", "server", "url"]
