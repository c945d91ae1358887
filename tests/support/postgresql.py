"""A PostgreSQL server of the tests' own, from the system's packages."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Where Debian puts the server's programs, which are not on the PATH.
DEBIAN = "/usr/lib/postgresql"
PASSWORD = "ledger-password"
# What a test machine may lose in a power cut does not matter; what a killed process may lose does.
OPTIONS = ["-c", "fsync=off", "-c", "unix_socket_directories=", "-c", "listen_addresses=127.0.0.1"]


def program(name: str) -> str | None:
    """Return the path of a program of the newest server that is installed."""
    folders = sorted(Path(DEBIAN).glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True)
    return shutil.which(name, path=os.pathsep.join(map(str, folders))) or shutil.which(name)


def unprivileged_user() -> str | None:
    """Return the user to run the server as; PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    names = {each.pw_name for each in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


@contextmanager
def postgresql(*options: str) -> Iterator[str]:
    """Yield the URL of a new server's database. If PostgreSQL is missing, skip the test, or fail it in CI."""
    initdb, postgres = program("initdb"), program("postgres")
    if initdb is None or postgres is None:
        missing = "PostgreSQL is missing. `make database` installs it on Debian and Ubuntu."
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    user = unprivileged_user()
    with tempfile.TemporaryDirectory(prefix="tenios-postgresql-", ignore_cleanup_errors=True) as folder:
        password = Path(folder, "password")
        password.write_text(PASSWORD)
        if user is not None:
            for path in (folder, password):
                shutil.chown(path, user)
        data = str(Path(folder, "data"))
        command = [
            initdb,
            "-D",
            data,
            "-U",
            "tenios",
            "-A",
            "scram-sha-256",
            f"--pwfile={password}",
            "--no-sync",
            "-E",
            "UTF8",
        ]
        subprocess.run(command, check=True, capture_output=True, user=user, cwd=folder)
        port = free_port()
        url = f"postgresql://tenios:{PASSWORD}@127.0.0.1:{port}/postgres"
        with (
            Path(folder, "log").open("wb") as log,
            subprocess.Popen(
                [postgres, "-D", data, "-p", str(port), *OPTIONS, *options],
                stdout=log, stderr=log, user=user, cwd=folder,
            ) as server,
        ):  # fmt: skip
            try:
                wait_until_open(url, server)
                yield url
            finally:
                server.send_signal(signal.SIGINT)  # Ends the sessions, too.


def free_port() -> int:
    """Return a port that nothing listens on."""
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        return int(probe.getsockname()[1])


def wait_until_open(url: str, server: subprocess.Popen[bytes]) -> None:
    """Wait until the server accepts sessions."""
    while server.poll() is None:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            time.sleep(0.02)
        else:
            return
    pytest.fail("PostgreSQL has ended at once.")
