"""OpenTelemetry's traces of httpx."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from support.clients import CONFIG_ID, NUMBER
from support.faults import FaultServer, respond

from tenios_ext import AsyncTenios, Tenios

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "CANARY-KEY"


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    HTTPXClientInstrumentor().instrument(tracer_provider=provider)
    yield exporter
    HTTPXClientInstrumentor().uninstrument()


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_each_request_is_a_span_without_key_and_number(
    mode: str, spans: InMemorySpanExporter
) -> None:
    async def run(url: str) -> None:
        async with AsyncTenios(KEY, CONFIG_ID, base_url=url, aiohttp=False) as tenios:
            await (await tenios.start_callback(NUMBER)).status()

    with FaultServer(respond("200 OK", {"id": 10, "status": "REQUESTED"})) as server:
        if mode == "sync":
            with Tenios(KEY, CONFIG_ID, base_url=server.url) as tenios:
                tenios.start_callback(NUMBER).status()
        else:
            asyncio.run(run(server.url))
    finished = spans.get_finished_spans()
    urls = [str((span.attributes or {}).get("http.url")) for span in finished]
    assert [url.rpartition("/")[2] for url in urls] == ["init", "status"]
    exported = "".join(span.to_json() for span in finished)
    assert KEY not in exported
    assert NUMBER not in exported
