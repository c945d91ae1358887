"""What the benchmarks share: environments of their own, a server of one response, the machine's name, and ratios."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import ssl
import statistics
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parent.parent
#: What each client that is measured finds its answer in.
ANSWER = {
    "id": 10,
    "status": "CONNECTED",
    "object": "customer",
    "name": "N",
    "data": {"record_type": "call", "is_alive": True},
    "call_uuid": "abc",
}


def machine() -> str:
    """Return the processor, the number of cores that this process may use, the system and the version of Python."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        names = [line.partition(": ")[2] for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = names[0] if names else model
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{model}, {cores} cores, {platform.system()}, Python {platform.python_version()}"


def print_ratios(rows: dict[str, list[float]], base: str, unit: str) -> None:
    """Print the median of each row, and the ratio of the medians to *base*, with the least and the most of a round."""
    width = max(map(len, rows))
    print(f"{'':{width}}  {unit:>9}  ratio  (least to most of a round)")
    for name, values in rows.items():
        ratio = statistics.median(values) / statistics.median(rows[base])
        rounds = [value / other for value, other in zip(values, rows[base], strict=True)]
        print(
            f"{name:{width}}  {statistics.median(values):9.2f}  {ratio:5.2f}  ({min(rounds):.2f} to {max(rounds):.2f})"
        )


@contextmanager
def environment(*installs: Sequence[str | Path]) -> Iterator[Path]:
    """Make a virtual environment, call `uv pip install` with each of *installs*, and yield its Python."""
    uv = Path(sys.executable).with_name("uv")
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder], check=True)
        for each in installs:
            subprocess.run([uv, "pip", "install", "--quiet", "--python", folder, *each], check=True)
        yield Path(folder) / "bin/python"


class _Protocol(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
        if not separator or len(body) < length:
            return
        self._received = b""
        content = json.dumps(ANSWER).encode()
        headers = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(content)
        assert isinstance(self._transport, asyncio.Transport)
        self._transport.write(headers + content)
        if b"connection: close" in head.lower():
            self._transport.close()


async def _serve(certificate: str) -> None:
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    server = await asyncio.get_running_loop().create_server(_Protocol, "127.0.0.1", 0, ssl=context, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)  # until the parent process closes the pipe
    os._exit(0)


@contextmanager
def serving(certificate: Path | None = None) -> Iterator[str]:
    """Run a server that gives the same answer to each request, in a process of its own, and yield its URL."""
    command: Sequence[str | Path] = [sys.executable, __file__, certificate or ""]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            scheme = "https" if certificate else "http"
            yield f"{scheme}://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.stdin.close()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
