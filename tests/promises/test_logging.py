"""Log messages, which are printed only if the program has configured logging."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from typing import Any

import httpx
import pytest
from support.clients import NUMBER, Script, start_callback

from tenios_ext import OutcomeUnknownError, RejectedError, TeniosError


def run(mode: str, script: Script) -> None:
    if mode == "sync":
        with script.client() as tenios:
            tenios.start_callback(NUMBER).wait()
        return

    async def run() -> None:
        async with script.async_client() as tenios:
            await (await tenios.start_callback(NUMBER)).wait()

    asyncio.run(run())


def extras(caplog: pytest.LogCaptureFixture, *names: str) -> list[tuple[Any, ...]]:
    records = [vars(record) for record in caplog.records if record.name == "tenios_ext"]
    return [
        tuple(record[name] for name in names)
        for record in records
        if all(name in record for name in names)
    ]


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_start_and_each_change_are_logged_with_extras(
    mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="tenios_ext")
    run(mode, Script(["REQUESTED", "REQUESTED", 503, 503, "CONNECTED", "DISCONNECTED"]))
    assert extras(caplog, "callback_id") == [(10,)] * 6
    assert extras(caplog, "callback_id", "callback_status") == [
        (10, "REQUESTED"),
        (10, "CONNECTED"),
        (10, "DISCONNECTED"),
    ]
    assert extras(caplog, "callback_id", "attempt") == [(10, 1), (10, 2)]
    ours = [record for record in caplog.records if record.name == "tenios_ext"]
    assert {record.levelname for record in ours} == {"INFO"}
    assert ours[0].getMessage() == "callback 10 started"
    assert ours[-1].getMessage() == "callback 10 is DISCONNECTED"
    assert NUMBER not in caplog.text


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize(
    ("status", "kind", "outcome"),
    [(500, OutcomeUnknownError, "not confirmed"), (400, RejectedError, "not placed")],
)
def test_start_without_a_callback_is_a_warning(
    mode: str,
    status: int,
    kind: type[TeniosError],
    outcome: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(status))

    with pytest.raises(kind) as raised:
        start_callback(mode, access_key="KEY", transport=transport)
    [record] = [record for record in caplog.records if record.name == "tenios_ext"]
    assert record.levelname == "WARNING"
    assert record.getMessage() == f"callback {outcome}: {raised.value}"
    assert extras(caplog, "error") == [(kind.__name__,)]


def test_nothing_is_printed_unless_logging_is_configured() -> None:
    """By default, Python prints warnings of libraries, so this needs a separate process."""
    code = (
        "import httpx\n"
        "from tenios_ext import OutcomeUnknownError, Tenios\n"
        "transport = httpx.MockTransport(lambda _: httpx.Response(500))\n"
        "with Tenios('KEY', 'CONFIG', transport=transport) as tenios:\n"
        "    try:\n"
        "        tenios.start_callback('+492214710123')\n"
        "    except OutcomeUnknownError:\n"
        "        print('raised')\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (ran.stdout, ran.stderr) == ("raised\n", "")
