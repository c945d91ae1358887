"""PostgreSQL and pgbouncer servers for tests, from the system's packages."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urlsplit

import psycopg
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Debian's folder for the server's programs, which are not on the PATH.
DEBIAN = "/usr/lib/postgresql"
PASSWORD = "ledger-password"
# These tests kill processes, but do not cut the power.
OPTIONS = ["-c", "fsync=off", "-c", "unix_socket_directories=", "-c", "listen_addresses=127.0.0.1"]


def program(name: str) -> str | None:
    """Return the path of a program of the newest installed server."""
    folders = sorted(
        Path(DEBIAN).glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True
    )
    return shutil.which(name, path=os.pathsep.join(map(str, folders))) or shutil.which(name)


def unprivileged_user() -> str | None:
    """Return the user of the server, because PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    names = {each.pw_name for each in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


class PostgresqlServer:
    """A server that can be stopped and restarted, with the URL of its database."""

    def __init__(self, folder: Path, options: tuple[str, ...]) -> None:
        initdb, postgres = program("initdb"), program("postgres")
        if initdb is None or postgres is None:
            skip_or_fail("PostgreSQL")
        self._postgres = postgres
        self._folder, self._options, self._user, self._port = (
            folder,
            options,
            unprivileged_user(),
            free_port(),
        )
        self.url = f"postgresql://tenios:{PASSWORD}@127.0.0.1:{self._port}/postgres"
        password = folder / "password"
        password.write_text(PASSWORD)
        if self._user is not None:
            for path in (folder, password):
                shutil.chown(path, self._user)
        access = ["-U", "tenios", "-A", "scram-sha-256", f"--pwfile={password}"]
        command: list[str | Path] = [
            initdb,
            "-D",
            folder / "data",
            *access,
            "--no-sync",
            "-E",
            "UTF8",
        ]
        subprocess.run(command, check=True, capture_output=True, user=self._user, cwd=folder)
        self.start()

    def start(self) -> None:
        command: list[str | Path] = [
            self._postgres,
            "-D",
            self._folder / "data",
            "-p",
            str(self._port),
            *OPTIONS,
            *self._options,
        ]
        with Path(self._folder, "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, user=self._user, cwd=self._folder
            )
        wait_until_open(self.url, self._process)

    def pids(self) -> list[int]:
        """Return the ids of its processes, the main process first."""
        parent = self._process.pid
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        return [parent, *map(int, children)]

    def stop(self) -> None:
        """Stop it and end its sessions."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait()


@contextmanager
def postgresql_server(*options: str) -> Iterator[PostgresqlServer]:
    """Yield a new server. If PostgreSQL is missing, the test is skipped, or fails in CI."""
    with tempfile.TemporaryDirectory(
        prefix="tenios-postgresql-", ignore_cleanup_errors=True
    ) as folder:
        server = PostgresqlServer(Path(folder), options)
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def postgresql(*options: str) -> Iterator[str]:
    """
    Yield the URL of a database on a new server. If PostgreSQL is missing, the test is skipped, or
    fails in CI.
    """
    with postgresql_server(*options) as server:
        yield server.url


@contextmanager
def pgbouncer(url: str) -> Iterator[str]:
    """
    Yield the URL of the same database behind a pgbouncer with two connections, one per transaction.
    If pgbouncer is missing, the test is skipped, or fails in CI.
    """
    command = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if command is None:
        skip_or_fail("pgbouncer")
    user = unprivileged_user()
    parsed = urlsplit(url)
    port = free_port()
    with tempfile.TemporaryDirectory(
        prefix="tenios-pgbouncer-", ignore_cleanup_errors=True
    ) as folder:
        users, settings = Path(folder, "users"), Path(folder, "pgbouncer.ini")
        users.write_text(f'"{parsed.username}" "{parsed.password}"\n')
        settings.write_text(
            f"""
            [databases]
            * = host=127.0.0.1 port={parsed.port}
            [pgbouncer]
            listen_addr = 127.0.0.1
            listen_port = {port}
            unix_socket_dir =
            auth_type = scram-sha-256
            auth_file = {users}
            pool_mode = transaction
            default_pool_size = 2
            """
        )
        if user is not None:
            for path in (folder, users, settings):
                shutil.chown(path, user)
        with (
            Path(folder, "log").open("wb") as log,
            subprocess.Popen(
                [command, str(settings)], stdout=log, stderr=log, user=user, cwd=folder
            ) as pooler,
        ):
            pooled = url.replace(f":{parsed.port}/", f":{port}/")
            try:
                wait_until_open(pooled, pooler)
                yield pooled
            finally:
                pooler.send_signal(signal.SIGTERM)


def new_database(server: str, options: str = "STRATEGY wal_log") -> str:
    name = f"ledger_{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} {options}".encode())
    return server.rpartition("/")[0] + "/" + name


def skip_or_fail(program: str) -> NoReturn:
    """Skip the test, or fail it in CI, because a program is missing."""
    missing = f"{program} not found. On Debian and Ubuntu, run: make system"
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        return int(probe.getsockname()[1])


def wait_until_open(url: str, server: subprocess.Popen[bytes]) -> None:
    while server.poll() is None:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            time.sleep(0.02)
        else:
            return
    pytest.fail("PostgreSQL exited at startup.")
