"""The ledger's tables and their version."""

from __future__ import annotations

import sqlalchemy as sa

from .._exceptions import ConfigurationError
from .._version import __version__


class Schema(sa.MetaData):
    """
    Tables with a version.

    A release that changes the tables increments the version and lists the steps from each version
    to the next. Alembic would add two packages for a few statements.

    Args:
        name: The purpose of the tables, such as "ledger".
        version: The version that this release uses.
    """

    def __init__(self, name: str, version: int) -> None:
        super().__init__()
        self.name, self.version = name, version
        columns = sa.Column("version", sa.Integer, primary_key=True), sa.Column("release", sa.Text)
        self._versions = sa.Table(f"tenios_{name}_schema", self, *columns)

    def exists(self, connection: sa.Connection) -> bool:
        return sa.inspect(connection).has_table(self._versions.name)

    def create(self, connection: sa.Connection) -> None:
        """Create the tables, unless another process has."""
        if not self.exists(connection):
            self.create_all(connection)
            values = {"version": self.version, "release": __version__}
            connection.execute(sa.insert(self._versions).values(values))

    def check(self, connection: sa.Connection) -> None:
        """Raise ConfigurationError if another release has changed the tables."""
        newest = sa.select(self._versions).order_by(self._versions.c.version.desc()).limit(1)
        version, release = connection.execute(newest).one_or_none() or (None, "another release")
        if version != self.version:
            raise ConfigurationError(
                f"The tables of the {self.name} have version {version}, from tenios-callback "
                f"{release}. This is tenios-callback {__version__}, which uses version "
                f"{self.version}. Install tenios-callback {release}."
            )


schema = Schema("ledger", 1)
entries = sa.Table(
    "tenios_ledger",
    schema,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("token", sa.Text, nullable=False),  # of the newest attempt
    sa.Column("number", sa.Text, index=True),
    sa.Column("arguments", sa.Text),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("delay", sa.Integer, nullable=False),
    # Up to 19 digits, more than an integer of either database can hold.
    sa.Column("callback_id", sa.Text, index=True),
    sa.Column("started_at", sa.Double),  # by the clock of the machine that sent the request
    sa.Column("status", sa.Text),
    sa.Column("last_error", sa.Text),
    # By the database's clock, in seconds since the epoch.
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("dialled_at", sa.Double, nullable=False),
    sa.Column("updated_at", sa.Double, nullable=False),
    sa.Column("deadline", sa.Double, nullable=False),
)
blocked_numbers = sa.Table(
    "tenios_ledger_blocked",
    schema,
    sa.Column("number", sa.Text, primary_key=True),
    sa.Column("reason", sa.Text),
    sa.Column("blocked_at", sa.Double, nullable=False),  # by the database's clock
)
