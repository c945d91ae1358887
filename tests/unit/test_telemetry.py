"""OpenTelemetry sees each request through httpx's own instrumentation, and no key."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from support.dialling import CONFIG_ID, NUMBER
from support.faults import FaultServer, answer

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
def test_each_request_is_a_span_without_the_key(mode: str, spans: InMemorySpanExporter) -> None:
    """One dial and one question are two spans, which name neither key nor number."""

    async def run(url: str) -> None:
        async with AsyncTenios(KEY, CONFIG_ID, base_url=url, aiohttp=False) as tenios:
            await (await tenios.start_callback(NUMBER)).status()

    with FaultServer(answer("200 OK", {"id": 10, "status": "REQUESTED"})) as server:
        if mode == "sync":
            with Tenios(KEY, CONFIG_ID, base_url=server.url) as tenios:
                tenios.start_callback(NUMBER).status()
        else:
            asyncio.run(run(server.url))
    finished = spans.get_finished_spans()
    urls = [str((span.attributes or {}).get("http.url")) for span in finished]
    assert [url.rpartition("/")[2] for url in urls] == ["init", "status"]
    shown = "".join(span.to_json() for span in finished)
    assert KEY not in shown
    assert NUMBER not in shown
