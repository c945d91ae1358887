"""The ledger's tables, and which release made them."""

from __future__ import annotations

import sqlalchemy as sa

from .._exceptions import ConfigurationError
from .._version import __version__


class Schema(sa.MetaData):
    """
    Tables that were made by some release.

    A release that changes them counts the version up, and gets a list of steps from each version to
    the next: Alembic would be two more packages for what are a few statements.

    Args:
        name: What the tables are.
        version: The version that this release uses.
    """

    def __init__(self, name: str, version: int) -> None:
        super().__init__()
        self.name, self.version = name, version
        columns = sa.Column("version", sa.Integer, primary_key=True), sa.Column("release", sa.Text)
        self._versions = sa.Table(f"tenios_{name}_schema", self, *columns)

    def exists(self, connection: sa.Connection) -> bool:
        """Return whether the tables were made."""
        return sa.inspect(connection).has_table(self._versions.name)

    def create(self, connection: sa.Connection) -> None:
        """Make the tables, unless another process has."""
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
                f"The {self.name} was made by tenios-callback {release} (version {version} of its "
                f"tables; tenios-callback {__version__} uses version {self.version}). Install "
                f"tenios-callback {release}."
            )


schema = Schema("ledger", 1)
entries = sa.Table(
    "tenios_ledger",
    schema,
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
    schema,
    sa.Column("number", sa.Text, primary_key=True),
    sa.Column("reason", sa.Text),
    sa.Column("blocked_at", sa.Double, nullable=False),  # by the database's clock
)
