"""The ledger's database: accepted and refused URLs, and a ledger in several processes."""

from __future__ import annotations

import asyncio
import os
import pickle
import re
import signal
import stat
import subprocess
import sys
import threading
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from support.clients import CONFIG_ID, NUMBER, wait_for_recording
from support.faults import INIT, FaultServer
from support.ledgers import PLACED, claim, damage, database_of, execute
from support.postgresql import PASSWORD, new_database, postgresql

from tenios_ext import AsyncTenios, ConfigurationError, LedgerUnavailableError, NotSentError, Tenios
from tenios_ext.ledger import Ledger
from tenios_ext.ledger._database import _LOCK, _reason, file_system
from tenios_simulator import Simulator


@pytest.mark.parametrize(
    "url",
    [
        "callbacks.db", "", "mysql://host/database", "sqlite+aiosqlite:///callbacks.db", "postgresql+asyncpg://host/database",
        "postgresql://user:secret@host:port/database", "redis://localhost",
    ],
)  # fmt: skip
def test_url_of_another_kind_is_refused(url: str) -> None:
    with pytest.raises(
        ConfigurationError, match=r"must look like sqlite:///callbacks.db or postgresql://"
    ) as raised:
        Ledger(url)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///file:x?mode=memory&uri=true",
        "sqlite://./callbacks.db",
        "sqlite://callbacks.db",
    ],
)
def test_ledger_in_memory_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="must be stored in a file"):
        Ledger(url)


@pytest.mark.parametrize("query", ["uri=true&nolock=1", "vfs=unix-none"])
def test_option_of_sqlite_that_switches_locks_off_is_refused(query: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="may only have the option locks"):
        Ledger(f"sqlite:///{tmp_path}/callbacks.db?{query}")


def test_file_that_is_deleted_is_not_created_again(tmp_path: Path) -> None:
    with Ledger(f"sqlite:///{tmp_path}/callbacks.db") as ledger:
        (tmp_path / "callbacks.db").unlink()
        with pytest.raises(LedgerUnavailableError, match="unable to open database file"):
            ledger.get("key")
    assert list(tmp_path.iterdir()) == []


def test_encoding_of_the_connection_is_utf8_and_that_of_the_database_must_be(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    with Ledger(new_database(server)) as ledger:
        assert ledger.block(NUMBER, reason="10 €").reason == "10 €"
    with pytest.raises(ConfigurationError, match="must have the encoding UTF8"):
        Ledger(new_database(server, "TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'"))


def test_url_that_is_not_text_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="url must be a str, got int"):
        Ledger(1)  # type: ignore[arg-type] # wrong on purpose


def test_sqlite_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="unable to open database file"):
        Ledger(f"sqlite:///{tmp_path}/missing/callbacks.db")
    (tmp_path / "text.db").write_text("not a database, but long enough to look like one" * 100)
    with pytest.raises(ConfigurationError, match="file is not a database"):
        Ledger(f"sqlite:///{tmp_path}/text.db")


def test_postgresql_that_cannot_be_reached_is_refused_without_its_password() -> None:
    with pytest.raises(ConfigurationError, match=r"cannot be used .*refused") as raised:
        Ledger("postgresql://user:s3cret@127.0.0.1:1/database")
    assert "s3cret" not in str(raised.value)
    assert raised.value.__context__ is None


def test_wrong_password_is_not_shown(server: str) -> None:
    with pytest.raises(ConfigurationError, match="password authentication failed") as raised:
        Ledger(server.replace(PASSWORD, "s3cret"))
    assert "s3cret" not in str(raised.value)


def test_password_is_removed_from_what_a_driver_says() -> None:
    error = RuntimeError("cannot connect as user:s3cret\nDETAIL: more")
    assert _reason(error, sa.make_url("postgresql://user:s3cret@host/database")) == (
        "RuntimeError: cannot connect as user:***"
    )


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_each_name_of_postgresql_is_accepted(scheme: str, server: str) -> None:
    with Ledger(server.replace("postgresql", scheme, 1)) as ledger:
        assert ledger.get("missing") is None
        assert PASSWORD not in repr(ledger)


def test_missing_extra_is_named(tmp_path: Path) -> None:
    """The class can be imported without SQLAlchemy, as can the client."""
    code = (
        "import sys; sys.modules['sqlalchemy'] = None; from tenios_ext.ledger import Ledger\n"
        "from tenios_ext import AsyncTenios, ConfigurationError\n"
        "try: Ledger('sqlite:///x.db')\nexcept ConfigurationError as error: print(error)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert (
        run.stdout == "sqlalchemy is not installed. Run: pip install 'tenios-callback[ledger]'\n"
    ), run.stderr


def test_sqlalchemy_is_imported_when_a_ledger_is_made(tmp_path: Path) -> None:
    code = (
        "import sys; from tenios_ext import AsyncTenios, Tenios; from tenios_ext.ledger import "
        "Ledger\nTenios('KEY', 'CONFIG').close(); print('sqlalchemy' in sys.modules)\n"
        "Ledger('sqlite:///callbacks.db'); print('sqlalchemy' in sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert run.stdout == "False\nTrue\n", run.stderr


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/data/callbacks.db", "ext4"),
        ("/mnt/share/callbacks.db", "nfs4"),
        ("/mnt/share/local/callbacks.db", "xfs"),
        ("/mnt/shared/callbacks.db", "ext4"),
        ("/mnt/my share/callbacks.db", "cifs"),
    ],
)
def test_file_system_of_a_path_is_that_of_the_innermost_mount(path: str, expected: str) -> None:
    mounts = [
        "/dev/sda1 / ext4 rw 0 0",
        "server:/share /mnt/share nfs4 rw 0 0",
        "/dev/sdb1 /mnt/share/local xfs rw 0 0",
        r"//server/share /mnt/my\040share cifs rw 0 0",
    ]
    assert file_system(Path(path), mounts) == expected


def test_sqlite_on_a_network_file_system_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "tenios_ext.ledger._database._mounts", lambda: [f"server:/ {tmp_path} nfs4 rw 0 0"]
    )
    with pytest.raises(ConfigurationError, match=r"\(nfs4\).*Use PostgreSQL"):
        Ledger(f"sqlite:///{tmp_path}/callbacks.db")


@pytest.mark.parametrize("kind", ["9p", "virtiofs", "fuse.s3fs", "cifs", "unheard-of"])
def test_file_system_that_may_be_shared_needs_an_explicit_word(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = [f"somewhere {tmp_path} {kind} rw 0 0"]
    monkeypatch.setattr("tenios_ext.ledger._database._mounts", lambda: mounts)
    url = f"sqlite:///{tmp_path}/callbacks.db"
    with pytest.raises(ConfigurationError, match=rf"\({re.escape(kind)}\).*\?locks=reliable"):
        Ledger(url)
    Ledger(f"{url}?locks=reliable").close()
    monkeypatch.setattr("tenios_ext.ledger._database._mounts", lambda: ["/dev/sda / ext4 rw 0 0"])
    Ledger(url).close()


def test_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    """It contains phone numbers."""
    with Ledger(f"sqlite:///{tmp_path}/callbacks.db"):
        assert stat.S_IMODE((tmp_path / "callbacks.db").stat().st_mode) == 0o600


def test_home_that_is_not_known_is_a_configuration_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr("pathlib.Path.expanduser", fail)
    with pytest.raises(ConfigurationError, match="home directory"):
        Ledger("sqlite:///~/callbacks.db")


def test_password_in_the_query_of_a_url_is_not_shown(server: str) -> None:
    url = sa.make_url(server).update_query_dict({"sslpassword": "CANARY"})
    with Ledger(url.render_as_string(hide_password=False)) as ledger:
        assert repr(ledger).endswith("?sslpassword=***')")
    with pytest.raises(ConfigurationError) as raised:
        Ledger("postgresql://127.0.0.1:1/db?password=CANARY")
    assert "?password=***'" in str(raised.value)
    assert "CANARY" not in str(raised.value)


def test_relative_path_stays_the_same_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if the process changes its working directory."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    ledger = Ledger("sqlite:///callbacks.db")
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert ledger.entries() == []
    assert pickle.loads(pickle.dumps(ledger)).entries() == []
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_ledger_of_another_release_is_refused_also_while_a_program_uses_it(url: str) -> None:
    message = (
        r"ledger have version 2, from tenios-callback 2\.3\.4\. This is tenios-callback \S+, which "
        r"uses version 1\. Install tenios-callback 2\.3\.4\."
    )
    with Ledger(url) as ledger:
        execute(ledger, "INSERT INTO tenios_ledger_schema VALUES (2, '2.3.4')")
        with pytest.raises(NotSentError, match=f"{message} Nothing was sent."):
            claim(ledger, "key")
        assert ledger.get("key") is None
    with pytest.raises(ConfigurationError, match=message):
        Ledger(url)


def test_ledger_is_opened_and_read_while_another_process_writes(url: str) -> None:
    with Ledger(url) as ledger:
        claim(ledger, "key")
        with database_of(ledger)._begin() as connection:
            execute_in = "UPDATE tenios_ledger SET state = 'unknown'"
            connection.execute(sa.text(execute_in))
            if url.startswith("postgresql"):
                connection.execute(sa.text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
            with Ledger(url) as other:
                assert [entry.state for entry in other.entries()] == ["dialling"]


def test_all_that_a_transaction_reads_is_of_one_time(server: str) -> None:
    with Ledger(new_database(server)) as ledger:

        def count_twice(connection: sa.Connection) -> tuple[Any, ...]:
            count = sa.text("SELECT count(*) FROM tenios_ledger")
            first = connection.scalar(count)
            claim(ledger, "key")
            return first, connection.scalar(count)

        assert database_of(ledger).run(count_twice, read_only=True) == (0, 0)


def test_request_of_a_time_that_is_yet_to_come_is_over(url: str) -> None:
    """The clock was set back."""
    with Ledger(url) as ledger:
        claim(ledger, "key")
        assert [entry.state for entry in ledger.entries()] == ["dialling"]
        execute(
            ledger,
            "UPDATE tenios_ledger SET dialled_at = dialled_at + 3600, deadline = deadline + 3600",
        )
        assert [entry.state for entry in ledger.entries()] == ["unknown"]


def test_tables_are_created_once_by_many_at_once(url: str) -> None:
    failures: list[ConfigurationError] = []
    together = threading.Barrier(8)

    def create() -> None:
        together.wait()
        try:
            Ledger(url).close()
        except ConfigurationError as error:
            failures.append(error)

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with Ledger(url) as ledger:
        assert execute(ledger, "SELECT version FROM tenios_ledger_schema") == [(1,)]


def test_unusable_database_is_an_error_of_its_own(ledger: Ledger) -> None:
    damage(ledger)
    for call in (
        lambda: ledger.get("key"),
        ledger.entries,
        lambda: ledger.resolve("key", placed=True),
    ):
        with pytest.raises(LedgerUnavailableError, match="The ledger cannot be used") as raised:
            call()
        assert raised.value.reason
        assert raised.value.__context__ is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
# of threads, from Python 3.12 on
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_ledger_is_used_on_both_sides_of_a_fork(ledger: Ledger) -> None:
    def use(name: str) -> None:
        for number in range(10):
            key = f"{name}-{number}"
            assert claim(ledger, key, token=key).token == key
            found = ledger.get(key)
            assert found is not None
            assert found.key == key

    use("before")
    child = os.fork()
    if child == 0:
        try:
            use("child")
            os._exit(0)
        finally:
            os._exit(1)
    use("parent")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(ledger.entries()) == 30


def test_pickled_ledger_is_the_same_ledger(ledger: Ledger) -> None:
    copy = pickle.loads(pickle.dumps(ledger))
    claim(ledger, "key")
    assert copy.get("key") == ledger.get("key")
    copy.close()


def test_closed_ledger_connects_again(ledger: Ledger) -> None:
    ledger.close()
    assert ledger.entries() == []


def test_server_that_was_restarted_is_used_again() -> None:
    """For example after a failover."""
    with postgresql() as url, Ledger(url) as ledger:
        ledger.get("key")
        with psycopg.connect(url) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid()"
            )
        assert ledger.get("key") is None
        ledger.close()


def test_default_isolation_of_the_database_does_not_matter(server: str) -> None:
    """With a stricter level, a claim that loses a race would not see the winner's row."""
    with psycopg.connect(url := new_database(server), autocommit=True) as connection:
        connection.execute(
            f"ALTER DATABASE {connection.info.dbname} "
            "SET default_transaction_isolation = 'serializable'".encode()
        )
    with Ledger(url) as ledger:
        assert execute(ledger, "SHOW transaction_isolation") == [("read committed",)]


def test_user_who_may_not_create_tables_can_use_those_that_exist(server: str) -> None:
    url = new_database(server)
    with Ledger(url), psycopg.connect(url, autocommit=True) as connection:
        role = f"limited_{uuid.uuid4().hex}"
        for statement in (
            f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'",
            "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
            f"GRANT SELECT ON tenios_ledger_schema TO {role}",
            f"GRANT SELECT, INSERT, UPDATE ON tenios_ledger TO {role}",
            f"GRANT SELECT ON tenios_ledger_blocked TO {role}",
        ):
            connection.execute(statement.encode())
    with Ledger(url.replace("//tenios:", f"//{role}:")) as ledger:
        claim(ledger, "key")
        assert len(ledger.entries()) == 1
        assert ledger.forget(older_than=timedelta()) == 0


def test_process_that_has_a_file_locked_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenios_ext.ledger._database.LIMIT", 0.1)
    with Ledger(f"sqlite:///{tmp_path}/callbacks.db") as ledger:
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:  # The test below ends it.
            with database_of(ledger)._begin():
                os.write(writer, b"1")
                signal.pause()
        try:
            os.read(reader, 1)
            with pytest.raises(LedgerUnavailableError, match=f"is locked by process {pid}"):
                claim(ledger, "key")
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def test_lock_that_is_held_by_another_program_delays_a_call_only_so_long(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenios_ext.ledger._database.LIMIT", 0.2)
    with Ledger(url) as ledger, FaultServer(PLACED) as server:
        with Tenios("KEY", CONFIG_ID, base_url=server.url, ledger=ledger) as tenios:
            claim(ledger, "key")
            with database_of(ledger)._begin() as connection:
                connection.execute(sa.text("UPDATE tenios_ledger SET state = 'not_placed'"))
                if url.startswith("postgresql"):  # Other programs have no such limit.
                    connection.execute(sa.text("SET LOCAL idle_in_transaction_session_timeout = 0"))
                with pytest.raises(NotSentError, match=r"locked|timeout"):
                    tenios.start_callback(NUMBER, key="key")
        wait_for_recording()
        assert not server.received


# The setting.


def test_relative_ledger_of_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cron job and a web app would use different ledgers and call twice."""
    monkeypatch.setenv("TENIOS_LEDGER", "sqlite:///callbacks.db")
    with pytest.raises(ConfigurationError, match="must name an absolute path"):
        Tenios("KEY", CONFIG_ID)


def test_ledger_is_taken_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENIOS_LEDGER", f"sqlite:///{tmp_path}/callbacks.db")
    with FaultServer(PLACED) as server:
        with Tenios("KEY", CONFIG_ID, base_url=server.url) as tenios:
            tenios.start_callback(NUMBER, key="key")
        with Tenios("KEY", CONFIG_ID, base_url=server.url) as tenios:
            assert tenios.start_callback(NUMBER, key="key").id == 10
        assert server.received == {INIT: 1}


@pytest.mark.parametrize("make", [Tenios, AsyncTenios])
def test_false_is_no_ledger_whatever_the_variable_says(
    make: type[Tenios | AsyncTenios], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENIOS_LEDGER", "nonsense")
    tenios = make("KEY", CONFIG_ID, ledger=False)
    if isinstance(tenios, AsyncTenios):
        asyncio.run(tenios.aclose())
    else:
        tenios.close()


def test_simulator_leaves_the_ledger_of_real_callbacks_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its ids could be those of real callbacks."""
    url = f"sqlite:///{tmp_path}/callbacks.db"
    monkeypatch.setenv("TENIOS_LEDGER", url)
    with Ledger(url) as ledger:
        with FaultServer(PLACED) as server, Tenios("KEY", CONFIG_ID, base_url=server.url) as tenios:
            placed = tenios.start_callback(NUMBER, key="order-4711").id
        before = ledger.entries()
        simulator = Simulator()

        async def run() -> None:
            async with simulator.async_client() as tenios:
                await tenios.callback(placed).wait()

        with simulator.client() as tenios:
            callback = tenios.start_callback(NUMBER)
            assert callback.id == placed
            callback.wait()
        asyncio.run(run())
        assert ledger.entries() == before


def test_wrong_ledger_is_a_configuration_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="ledger must be a Ledger, got str"):
        Tenios("KEY", ledger="sqlite:///callbacks.db")  # type: ignore[arg-type] # wrong on purpose
    monkeypatch.setenv("TENIOS_LEDGER", "nonsense")
    with pytest.raises(ConfigurationError, match="must look like"):
        Tenios("KEY")
