"""
Forks of a process that has imported the slow modules. A function that runs in one must be in a
module of this package.
"""

from __future__ import annotations

import multiprocessing

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    [
        "anyio._backends._asyncio",
        "httpx_aiohttp",
        "phonenumbers",
        "psycopg",
        "sqlalchemy.dialects.postgresql.psycopg",
        "sqlalchemy.dialects.sqlite.pysqlite",
        "tenios_ext._async_client",
        "tenios_ext._sync_client",
        "tenios_ext.ledger",
        "tenios_simulator._simulator",
        "tenios_simulator.pytest_plugin",
        "uvloop",
    ]
)
