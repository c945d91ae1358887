from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import pytest
from cli.command import objects, tenios

from tenios_ext.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SETTINGS = {"TENIOS_ACCESS_KEY": "SECRET-KEY-1234", "TENIOS_CALLBACK_CONFIG_ID": "CONFIG"}


@contextmanager
def recording(status: int = 400) -> Iterator[tuple[str, list[str]]]:
    """
    Run a server on this machine. Yield its URL and the received requests with their headers.
    """
    received: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            received.append(f"{self.requestline}\n{self.headers}{body}")
            self.send_error(status)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", received
        finally:
            server.shutdown()
            thread.join()


def test_doctor_sends_and_prints_no_access_key() -> None:
    with recording() as (url, received):
        result = tenios("doctor", settings={**SETTINGS, "TENIOS_BASE_URL": url})
    assert result.returncode == 0, result.stdout
    [request] = received
    assert request.startswith("POST /callback/status HTTP/1.1\n")
    assert request.endswith("\n\n{}")
    assert "SECRET-KEY-1234" not in request + result.stdout + result.stderr


def test_doctor_prints_ok_for_each_check_that_passes(simulator: dict[str, str]) -> None:
    settings = {
        **simulator,
        "TENIOS_ALLOWED_NUMBERS": "+49 221 4710123",
        "TENIOS_ALLOWED_REGIONS": "DE,AT",
        "TENIOS_ALLOW_SPECIAL_NUMBERS": "1",
        "TENIOS_ONE_CALL_PER_NUMBER": "1",
    }
    result = tenios("doctor", settings=settings)
    assert result.returncode == 0
    versions, *lines = result.stdout.splitlines()
    assert versions.startswith("ok   versions: tenios-callback ")
    assert lines == [
        "ok   access key: set by TENIOS_ACCESS_KEY",
        "ok   callback config id: SIMULATOR-CONFIG",
        "ok   allowed numbers: +492214710123",
        "ok   allowed regions: AT, DE",
        "ok   special numbers: allowed, including premium-rate numbers",
        "ok   one call per number: on, for calls with a key",
        f"ok   base URL: {simulator['TENIOS_BASE_URL']} responds (HTTP 400)",
    ]


def test_doctor_prints_fail_for_each_check_that_fails() -> None:
    settings = {"TENIOS_ACCESS_KEY": "KEY", "TENIOS_BASE_URL": "http://127.0.0.1:9"}
    result = tenios("doctor", settings=settings)
    assert result.returncode == 1
    failed = [line for line in result.stdout.splitlines() if not line.startswith("ok   ")]
    assert failed[0].startswith("FAIL callback config id: not set. Set TENIOS_CALLBACK_CONFIG_ID")
    assert failed[1].startswith(
        "FAIL base URL: http://127.0.0.1:9 cannot be reached: ConnectError: "
    )
    assert len(failed) == 2


@pytest.mark.parametrize(
    ("settings", "check"),
    [
        ({"HTTPS_PROXY": "proxy.invalid:3128"}, "base URL"),
        ({"HTTPS_PROXY": "nonsense://proxy"}, "settings"),
        ({"HTTPS_PROXY": "http://["}, "settings"),
        ({"HTTPS_PROXY": "http://proxy:99999"}, "settings"),
        ({"HTTP_PROXY": "nonsense://proxy"}, "base URL"),
        ({"ALL_PROXY": "socks5://127.0.0.1:9"}, "base URL"),
        ({"SSL_CERT_FILE": "/nonexistent.pem"}, "settings"),
        ({"SSL_CERT_FILE": "/dev/null"}, "settings"),
        ({"SSL_CERT_DIR": "/nonexistent"}, "base URL"),
        ({"TENIOS_BASE_URL": "tenios.invalid"}, "settings"),
        ({"TENIOS_BASE_URL": "https://["}, "settings"),
        ({"TENIOS_BASE_URL": "https://tenios.invalid:99999"}, "settings"),
        ({"TENIOS_BASE_URL": "https://xn--.invalid"}, "settings"),
        ({"TENIOS_BASE_URL": f"https://{'a' * 64}.invalid"}, "base URL"),
        ({"TENIOS_BASE_URL": "http://simulator.invalid"}, "settings"),
        (
            {
                "TENIOS_BASE_URL": "http://simulator.invalid",
                "TENIOS_INSECURE_HOSTS": "simulator.invalid",
            },
            "base URL",
        ),
        ({"TENIOS_ACCESS_KEY": "", "TENIOS_ACCESS_KEY_FILE": "/nonexistent"}, "settings"),
        ({"TENIOS_ACCESS_KEY": "", "TENIOS_ACCESS_KEY_FILE": "/dev"}, "settings"),
        ({"TENIOS_ACCESS_KEY": "", "TENIOS_ACCESS_KEY_FILE": "/dev/null"}, "settings"),
        ({"TENIOS_ACCESS_KEY": "", "TENIOS_ACCESS_KEY_FILE": "/bin/sh"}, "settings"),
        (
            {"TENIOS_ACCESS_KEY": "", "TENIOS_ACCESS_KEY_FILE": "~nobody-has-this-name/key"},
            "settings",
        ),
        ({"TENIOS_ACCESS_KEY": "", "TENIOS_ACCESS_KEY_FILE": "k" * 5000}, "settings"),
        ({"TENIOS_REGION": "XX"}, "settings"),
        ({"TENIOS_ALLOWED_NUMBERS": "112"}, "settings"),
    ],
    ids=lambda each: str(each)[:60],
)
def test_doctor_reports_each_wrong_setting_on_a_line(settings: dict[str, str], check: str) -> None:
    # A name that cannot exist, so that nothing is sent to another machine.
    result = tenios(
        "doctor", settings={**SETTINGS, "TENIOS_BASE_URL": "https://tenios.invalid", **settings}
    )
    assert (result.returncode, result.stderr) == (1, "")
    [failed] = [line for line in result.stdout.splitlines() if line.startswith("FAIL ")]
    assert failed.startswith(f"FAIL {check}: ")


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (
            {"TENIOS_ACCESS_KEY": ""},
            "The access key is missing. Set TENIOS_ACCESS_KEY, or TENI",
        ),
        ({"TENIOS_REGION": "XX"}, "TENIOS_REGION (or --region) must be a two-letter"),
        ({"TENIOS_ALLOWED_REGIONS": "XX"}, "TENIOS_ALLOWED_REGIONS (or --allowed-regions): reg"),
        ({"TENIOS_ALLOWED_REGIONS": "DE;AT"}, "TENIOS_ALLOWED_REGIONS (or --allowed-regions): reg"),
        ({"TENIOS_ALLOWED_NUMBERS": "1"}, "TENIOS_ALLOWED_NUMBERS: '1' has no country code."),
        ({"TENIOS_BASE_URL": "x"}, "TENIOS_BASE_URL (or --simulator) must be a URL such as"),
        ({"TENIOS_INSECURE_HOSTS": "api.tenios.com"}, "TENIOS_INSECURE_HOSTS must not name TENIOS"),
        ({"HTTPS_PROXY": "x://x"}, "The proxy (HTTPS_PROXY or ALL_PROXY) must be a URL such as"),
        ({"TENIOS_CALLBACK_CONFIG_ID": " "}, "TENIOS_CALLBACK_CONFIG_ID must be one line without"),
    ],
    ids=str,
)
def test_doctor_names_settings_as_the_command_does(settings: dict[str, str], text: str) -> None:
    lines = tenios("doctor", settings={**SETTINGS, **settings}).stdout.splitlines()
    assert lines[-1].startswith(f"FAIL settings: {text}")


def test_doctor_checks_that_a_simulator_responds(simulator: dict[str, str]) -> None:
    url = simulator["TENIOS_BASE_URL"]
    for arguments, text in (([], "responds"), ([url], f"{url} responds")):
        result = tenios("doctor", "--simulator", *arguments)
        assert result.returncode == 0
        assert result.stdout.endswith(f"ok   simulator: {text}\n")
    with recording() as (other, _):
        for wrong in (other, f"{url}/foo"):
            result = tenios("doctor", "--simulator", wrong)
            assert result.returncode == 1
            assert f"FAIL simulator: {wrong} does not respond like a simulator: " in result.stdout


@pytest.mark.parametrize("status", [404, 405, 501])
def test_doctor_prints_fail_if_the_base_url_has_no_such_operation(status: int) -> None:
    with recording(status) as (url, _):
        result = tenios("doctor", settings={**SETTINGS, "TENIOS_BASE_URL": f"{url}/foo"})
    assert result.returncode == 1
    assert f"FAIL base URL: {url}/foo responds (HTTP {status}) but has no /callback/status." in (
        result.stdout
    )


@pytest.mark.parametrize("scheme", ["http://", ""])
def test_doctor_connects_through_the_proxy(scheme: str) -> None:
    with recording() as (url, received):
        settings = {**SETTINGS, "TENIOS_BASE_URL": "https://tenios.invalid"}
        proxy = {"HTTPS_PROXY": scheme + url.removeprefix("http://")}
        result = tenios("doctor", settings={**settings, **proxy})
        direct = tenios("doctor", settings={**settings, **proxy, "NO_PROXY": "tenios.invalid"})
    assert (
        "FAIL base URL: https://tenios.invalid cannot be reached: ProxyError: 501" in result.stdout
    )
    assert "ConnectError" in direct.stdout
    assert received == []


def test_doctor_does_not_look_at_certificates_for_plain_http() -> None:
    with recording() as (url, _):
        result = tenios(
            "doctor",
            settings={**SETTINGS, "TENIOS_BASE_URL": url, "SSL_CERT_FILE": "/nonexistent.pem"},
        )
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("mode", [0o644, 0o440, 0o600, 0o400])
def test_doctor_reports_an_access_key_file_that_others_can_read(mode: int, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("SECRET-KEY-1234\n")
    path.chmod(mode)
    with recording() as (url, _):
        settings = {
            "TENIOS_CALLBACK_CONFIG_ID": "CONFIG",
            "TENIOS_BASE_URL": url,
            "TENIOS_ACCESS_KEY_FILE": str(path),
        }
        result = tenios("doctor", settings=settings)
        with_key = tenios("doctor", settings={**settings, "TENIOS_ACCESS_KEY": "SECRET-KEY-1234"})
    line = f"WARN access key file: other users of this machine can read it (mode {mode:04o})\n"
    assert result.returncode == 0
    assert (line in result.stdout) == (mode not in {0o600, 0o400})
    assert "access key file" not in with_key.stdout  # not read then


def test_doctor_reports_hosts_that_may_be_reached_without_tls() -> None:
    with recording() as (url, _):
        settings = {**SETTINGS, "TENIOS_BASE_URL": url, "TENIOS_INSECURE_HOSTS": "simulator,other"}
        result = tenios("doctor", settings=settings)
    assert result.returncode == 0
    assert (
        "WARN insecure hosts: simulator,other: the access key may be sent to them unencrypted\n"
        in result.stdout
    )


def test_doctor_reports_that_nothing_is_sent_to_tenios() -> None:
    text = (
        "offline: TENIOS_OFFLINE is set, so nothing is sent to TENIOS. Unset it to start real "
        "callbacks.\n"
    )
    result = tenios("doctor", settings={**SETTINGS, "TENIOS_OFFLINE": "1"})
    assert result.returncode == 1
    assert result.stdout.endswith(f"FAIL {text}")
    with recording() as (url, received):
        simulator = tenios(
            "doctor", settings={**SETTINGS, "TENIOS_OFFLINE": "1", "TENIOS_BASE_URL": url}
        )
    assert simulator.returncode == 0
    assert f"ok   {text}" in simulator.stdout
    assert len(received) == 1


def test_doctor_reports_a_missing_access_key_as_json() -> None:
    result = tenios("doctor", "--json")
    assert result.returncode == 1
    versions, settings = objects(result)
    assert (versions["check"], versions["ok"]) == ("versions", True)
    assert (settings["check"], settings["ok"]) == ("settings", False)
    assert "TENIOS_ACCESS_KEY" in settings["text"]


def test_doctor_says_how_many_keys_have_an_unknown_outcome(tmp_path: Path) -> None:
    with recording() as (base_url, _), Ledger(f"sqlite:///{tmp_path}/callbacks.db") as ledger:
        settings = {
            **SETTINGS,
            "TENIOS_BASE_URL": base_url,
            "TENIOS_LEDGER": f"sqlite:///{tmp_path}/callbacks.db",
        }
        ledger.database.claim(
            "order-4711", token="T", seconds=-1, number=None, arguments="{}", delay=0
        )
        checked = tenios("doctor", settings=settings).stdout
        assert (
            f"ok   ledger: {ledger}, 1 unknown outcome. List them with `tenios ledger list"
            in checked
        )
        with ledger.database._begin() as connection:
            connection.exec_driver_sql("ALTER TABLE tenios_ledger DROP COLUMN last_error")
        checked = tenios("doctor", settings=settings).stdout
        assert f"FAIL ledger: {ledger}: The ledger cannot be used (" in checked


def test_doctor_does_not_show_the_password_of_the_ledger() -> None:
    result = tenios(
        "doctor", settings={**SETTINGS, "TENIOS_LEDGER": "postgresql://user:s3cret@127.0.0.1:1/x"}
    )
    assert result.returncode == 1
    assert (
        "FAIL settings: The ledger 'postgresql+psycopg://user:***@127.0.0.1:1/x' cannot be used ("
        in result.stdout
    )
    assert "s3cret" not in result.stdout + result.stderr
