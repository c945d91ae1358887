"""The PHP client in a web server, which loads only its class and starts no call."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
import pytest
from support.faults import FaultServer, in_turn, respond
from support.prism import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FOLDER = ROOT / "clients/php"
STARTED, ENDED = respond("200 OK", {"id": 10}), respond("200 OK", {"status": "DISCONNECTED"})
AUTOLOAD = """<?php
$composer = json_decode(file_get_contents('{folder}/composer.json'), true);
foreach ($composer['autoload']['psr-4'] as $prefix => $path) {
    spl_autoload_register(function ($class) use ($prefix, $path) {
        if (str_starts_with($class, $prefix)) {
            $name = substr($class, strlen($prefix));
            require '{folder}/' . $path . strtr($name, '\\\\', '/') . '.php';
        }
    });
}
[$accessKey, $callbackConfigId] = ['KEY', 'CONFIG'];
{snippet}
echo $outcome;
"""
SNIPPET = re.findall(
    r"```php\n(.*?)```", (ROOT / "docs/other-languages.md").read_text(encoding="utf-8"), re.DOTALL
)


@pytest.fixture(autouse=True)
def _php() -> None:
    if shutil.which("php") is None:
        text = "PHP not found. On Debian and Ubuntu, run: make system"
        pytest.fail(text) if os.environ.get("CI") else pytest.skip(text)


@contextmanager
def web_server(folder: Path, url: str) -> Iterator[str]:
    """Run PHP's web server and yield its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    environment = {**os.environ, "TENIOS_BASE_URL": url, "TENIOS_ACCESS_KEY": "KEY"}
    command = ["php", "-S", address, "-t", str(folder)]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        assert "started" in server.stderr.readline()
        yield f"http://{address}"
        server.kill()


@pytest.mark.parametrize("page", ["", "?0=%2B492214710123"], ids=["alone", "with a query"])
def test_command_calls_nobody_in_a_web_server(tmp_path: Path, page: str) -> None:
    (tmp_path / "index.php").write_text(f"<?php require '{FOLDER}/callback.php'; echo 'on';")
    with FaultServer(STARTED) as tenios, web_server(tmp_path, tenios.url) as address:
        response = httpx.get(f"{address}/index.php{page}")
    assert (response.status_code, response.text) == (200, "")
    assert tenios.bodies == []


def test_snippet_runs_with_the_class_loaded_as_composer_loads_it(tmp_path: Path) -> None:
    with FaultServer(in_turn(STARTED, ENDED)) as tenios:
        [snippet] = SNIPPET
        page = AUTOLOAD.replace("{folder}", str(FOLDER)).replace("{snippet}", snippet)
        (tmp_path / "index.php").write_text(page)
        with web_server(tmp_path, tenios.url) as address:
            response = httpx.get(f"{address}/index.php")
    assert response.text == "DISCONNECTED\nconnected"
    assert json.loads(tenios.bodies[0])["callback_number"] == "+493023125100"
