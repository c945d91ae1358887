"""The ledger's tables."""

from __future__ import annotations

import sqlalchemy as sa

#: The version of the tables. A later release that changes them counts up.
SCHEMA = 1

#: The arguments of a key that is never to be used again.
VOID = "void"

metadata = sa.MetaData()
entries = sa.Table(
    "tenios_ledger",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("token", sa.Text, nullable=False),  # of the attempt that has the key
    sa.Column("number", sa.Text, index=True),
    sa.Column("arguments", sa.Text),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("delay", sa.Integer, nullable=False),
    # up to 19 digits, more than an integer of either database takes
    sa.Column("callback_id", sa.Text, index=True),
    sa.Column("started_at", sa.Double),  # by the clock of the machine that dialled
    sa.Column("status", sa.Text),
    sa.Column("last_error", sa.Text),
    # By the database's clock, in seconds since the epoch.
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("dialled_at", sa.Double, nullable=False),
    sa.Column("updated_at", sa.Double, nullable=False),
    sa.Column("deadline", sa.Double, nullable=False),
)
#: Whom no key calls.
blocked_numbers = sa.Table(
    "tenios_ledger_blocked",
    metadata,
    sa.Column("number", sa.Text, primary_key=True),
    sa.Column("reason", sa.Text),
    sa.Column("blocked_at", sa.Double, nullable=False),  # by the database's clock
)
versions = sa.Table(
    "tenios_ledger_schema", metadata, sa.Column("version", sa.Integer, primary_key=True)
)
