"""
The CPU of one status request over a kept connection: bare HTTP clients, this SDK, and the SDKs of
others.

    peers.py [--chart FILE]    install them in an environment of their own and compare them
    peers.py NAME URL          measure one, a line for each line of standard input

Each is a process of its own, so that none pays for what another has imported; their rounds are
interleaved. The server is another process. The other SDKs fetch what they have that is most like
the status of a call.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from _chart import bars
from _measure import ROOT, environment, machine, print_ratios
from _server import serving

from tenios_ext import AsyncTenios, Tenios

if TYPE_CHECKING:
    from collections.abc import Awaitable

ROUNDS = 15
REQUESTS = 200
BASE = "httpx"
OURS = {"Tenios", "AsyncTenios", "AsyncTenios(aiohttp=True)"}
PATH = "/callback/status"
BODY = {"access_key": "KEY", "id": 10}

Call = Callable[[], object]


def _in_loop(call: Callable[[], Awaitable[object]]) -> Call:
    """
    Return a function that makes as many asynchronous calls as are measured at once, in one event
    loop.
    """
    loop = asyncio.new_event_loop()

    async def repeat() -> None:
        for _ in range(REQUESTS):
            await call()

    return lambda: loop.run_until_complete(repeat())


def _repeated(call: Call) -> Call:
    def repeat() -> None:
        for _ in range(REQUESTS):
            call()

    return repeat


def _httpx(url: str) -> Call:
    client = import_module("httpx").Client(base_url=url)
    return _repeated(lambda: client.post(PATH, json=BODY).json()["status"])


def _httpx_async(url: str) -> Call:
    client = import_module("httpx").AsyncClient(base_url=url)
    return _in_loop(lambda: client.post(PATH, json=BODY))


def _httpx_aiohttp(url: str) -> Call:
    transport = import_module("httpx_aiohttp").AiohttpTransport()
    client = import_module("httpx").AsyncClient(base_url=url, transport=transport)
    return _in_loop(lambda: client.post(PATH, json=BODY))


def _requests(url: str) -> Call:
    session = import_module("requests").Session()
    return _repeated(lambda: session.post(url + PATH, json=BODY).json()["status"])


def _generated(url: str) -> Call:
    models = import_module("tenios_client.models")
    fetch = import_module("tenios_client.api.callback.get_callback_status").sync_detailed
    client = import_module("tenios_client").Client(base_url=url)
    return _repeated(
        lambda: fetch(client=client, body=models.CallbackStatusRequest("KEY", 10)).parsed.status
    )


def _tenios(url: str) -> Call:
    callback = Tenios("KEY", base_url=url).callback(10)
    return _repeated(callback.status)


def _tenios_async(url: str) -> Call:
    return _in_loop(AsyncTenios("KEY", base_url=url).callback(10).status)


def _tenios_aiohttp(url: str) -> Call:
    return _in_loop(AsyncTenios("KEY", base_url=url, aiohttp=True).callback(10).status)


def _openai(url: str) -> Call:
    client = import_module("openai").OpenAI(api_key="K", base_url=url)
    return _repeated(lambda: client.models.retrieve("abc").id)


def _plivo(url: str) -> Call:
    client: Any = import_module("plivo").RestClient("MA0000000000000000AA", "token")
    client.base_uri = url
    client.account_id = "A"
    module: Any = import_module("plivo.rest.client")
    for name in [
        each
        for each in vars(module)
        if isinstance(vars(module)[each], str) and "api.plivo.com" in vars(module)[each]
    ]:
        setattr(module, name, url)
    return _repeated(lambda: client.calls.get("abc"))


def _stripe(url: str) -> Call:
    client = import_module("stripe").StripeClient("sk_test_1", base_addresses={"api": url})
    return _repeated(lambda: client.v1.customers.retrieve("cus_1").name)


def _telnyx(url: str) -> Call:
    client = import_module("telnyx").Telnyx(api_key="K", base_url=url)
    return _repeated(lambda: client.calls.retrieve_status("abc").data.is_alive)


def _twilio(url: str) -> Call:
    client: Any = import_module("twilio.rest").Client("AC" + "0" * 32, "token")
    client.api.base_url = url
    return _repeated(lambda: client.calls("CA" + "0" * 32).fetch().status)


def _vonage(url: str) -> Call:
    """
    Its layer over requests, without the RSA signature and the model that each request for a call
    would need.
    """
    module: Any = import_module("vonage")
    host = url.partition("//")[2]
    client = module.Vonage(
        module.Auth(api_key="k", api_secret="s" * 8),
        module.HttpClientOptions(api_host=host, rest_host=host),
    )
    adapter: Any = import_module("requests.adapters").HTTPAdapter

    def send(self: Any, request: Any, **options: Any) -> Any:
        request.url = request.url.replace("https://", "http://", 1)  # The scheme cannot be set.
        return adapter.send(self, request, **options)

    session = client.http_client._session  # noqa: SLF001 - there is no other way to another scheme
    session.mount("https://", type("Plain", (adapter,), {"send": send})())
    return _repeated(
        lambda: client.http_client.get(host, "/v1/calls/abc", auth_type="basic")["status"]
    )


PEERS = {
    "httpx": _httpx,
    "httpx, asyncio": _httpx_async,
    "httpx over aiohttp": _httpx_aiohttp,
    "requests": _requests,
    "generated client": _generated,
    "Tenios": _tenios,
    "AsyncTenios": _tenios_async,
    "AsyncTenios(aiohttp=True)": _tenios_aiohttp,
    "openai": _openai,
    "plivo": _plivo,
    "stripe": _stripe,
    "telnyx": _telnyx,
    "twilio": _twilio,
    "vonage": _vonage,
}


def measure(name: str, url: str) -> None:
    """Print the CPU time of one request in microseconds, for each line of standard input."""
    call = PEERS[name](url)
    call()
    print("ready", flush=True)
    for _ in sys.stdin:
        cpu = time.process_time()
        call()
        print(json.dumps((time.process_time() - cpu) / REQUESTS * 1e6), flush=True)


def compare(python: Path) -> dict[str, list[float]]:
    """Return the microseconds of each, a figure for each round."""
    found: dict[str, list[float]] = {name: [] for name in PEERS}
    with ExitStack() as stack:
        url = stack.enter_context(serving())
        workers = {}
        for name in PEERS:
            process = subprocess.Popen(
                [python, __file__, name, url],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                bufsize=1,
            )
            workers[name] = stack.enter_context(process)
            stack.callback(process.kill)
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n", name
        for _ in range(ROUNDS):
            for name, process in workers.items():
                assert process.stdin is not None
                assert process.stdout is not None
                process.stdin.write("\n")
                found[name].append(json.loads(process.stdout.readline()))
    return found


def main() -> None:
    """Measure one, or print a table of all and write the chart."""
    match sys.argv[1:]:
        case [name, url] if name in PEERS:
            measure(name, url)
            return
        case [] | ["--chart", _]:
            print(machine())
        case _:
            sys.exit(__doc__)
    with environment(["-r", ROOT / "requirements/bench.txt"], ["--no-deps", ROOT]) as python:
        found = compare(python)
    print_ratios(found, BASE, "us of CPU")
    if sys.argv[1:]:
        base = median(found[BASE])
        ratios = {name: median(values) / base for name, values in found.items()}
        title = "CPU of one status request, compared with bare httpx"
        Path(sys.argv[2]).write_text(bars(title, ratios, ours=OURS, base=BASE), encoding="utf-8")


if __name__ == "__main__":
    main()
