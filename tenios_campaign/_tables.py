"""The campaigns' tables in the ledger's database (SQLAlchemy)."""

from __future__ import annotations

import sqlalchemy as sa

from tenios_ext.ledger.shared import Schema

#: How long a process may hang in a transaction that others wait for.
_IDLE = "5s"
#: Numbers that other programs are unlikely to use.
_LOCK, ADDING = 4_826_353_072, 4_826_353_073

schema = Schema("campaign", 1)
campaigns = sa.Table(
    "tenios_campaigns",
    schema,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("is_paused", sa.Boolean, nullable=False, default=False),
    sa.Column("is_simulated", sa.Boolean),  # None before the first attempt
    sa.Column("max_active", sa.Integer),
    sa.Column("gap", sa.Double),
    sa.Column("hours", sa.Text),  # JSON
    sa.Column("delimiter", sa.Text, nullable=False, default=","),
    sa.Column("headers", sa.Text, nullable=False, default="[]"),  # JSON
    sa.Column("columns", sa.Text, nullable=False, default="{}"),  # JSON
    sa.Column("last_start", sa.Double, nullable=False, default=0.0),
    sa.Column("trouble", sa.Text),
    sa.Column("failures", sa.Integer, nullable=False, default=0),
    sa.Column("blocked_until", sa.Double, nullable=False, default=0.0),
)
customers = sa.Table(
    "tenios_campaign_customers",
    schema,
    sa.Column("campaign", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("number", sa.Text),  # None after it was erased
    sa.Column("delay", sa.Integer, nullable=False),
    sa.Column("agent_announcement", sa.Text),
    sa.Column("callback_config_id", sa.Text),
    sa.Column("cells", sa.Text),  # JSON
    sa.Column("max_attempts", sa.Integer, nullable=False),
    sa.Column("retry_after", sa.Double, nullable=False),
    sa.Column("agent_retry_after", sa.Double, nullable=False),
    # attempts that were or may have been placed, and the current one
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("serial", sa.Integer, nullable=False, default=0),  # of the newest key in the ledger
    sa.Column("attempt_key", sa.Text, index=True),
    # If neither of these is set, the newest attempt is open.
    sa.Column("due_at", sa.Double),
    sa.Column("result", sa.Text),
    sa.Column("error", sa.Text),
    # Seconds since the epoch, by the clock of the database.
    sa.Column("claimed_at", sa.Double, nullable=False, default=0.0),
    sa.Column("busy_until", sa.Double, nullable=False, default=0.0),
    sa.Column("answered_at", sa.Double),
    sa.Column("ended_at", sa.Double),
    sa.Column("updated_at", sa.Double, nullable=False),
    sa.Index("tenios_campaign_result", "campaign", "result"),
    sa.Index("tenios_campaign_position", "campaign", "position"),
    sa.Index("tenios_campaign_number", "campaign", "number"),
)
c = customers.c
is_left = c.result.is_(None)
is_open = c.result.is_(None) & c.due_at.is_(None)
is_waiting = c.result.is_(None) & c.due_at.is_not(None)
for name, columns, where in (
    ("due", (c.campaign, c.due_at, c.position), is_left),
    ("open", (c.campaign, c.number), is_open),
):
    sa.Index(f"tenios_campaign_{name}", *columns, sqlite_where=where, postgresql_where=where)


def lock(connection: sa.Connection, number: int = _LOCK) -> None:
    """
    Wait for other transactions that take the lock of this number. SQLite has only one writer
    anyway. PostgreSQL ends the session of a process that hangs.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SET LOCAL idle_in_transaction_session_timeout = '{_IDLE}'")
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(number)))
